/* tunnelctl certs import: certificates that another program has ordered, given to the relay. It alone writes its store,
 * and takes what is better than what is there. */
#include "shared/ctl/cert_folder.h"
#include "shared/ctl/ctl.h"
#include "shared/json.h"

#include <stdio.h>
#include <string.h>

enum { IMPORT_S = 30 };

static const char where[] =
    "certbot keeps them in /etc/letsencrypt, lego in .lego, acme.sh in ~/.acme.sh, Caddy in caddy/certificates below its "
    "data folder";

/* One line for each name that the certificate might have been taken for. */
static enum ctl_exit print_results(const json_t *reply)
{
    const json_t *results = json_object_get(reply, "results"), *one;
    enum ctl_exit result = CTL_WELL;
    size_t i;

    json_array_foreach(results, i, one)
    {
        const char *state = ctl_text(one, "state"), *why = ctl_text(one, "why");

        ctl_say(stdout, "  %s: %s%s%s", ctl_text(one, "name"),
                strcmp(state, "taken") == 0  ? "taken"
                : strcmp(state, "kept") == 0 ? "not taken, what is in the store stays"
                                             : "not taken",
                *why ? ": " : "", why);
        if (strcmp(state, "refused") == 0)
            result = CTL_FAILING;
    }
    return result;
}

static void print_heading(const char *path, const json_t *reply)
{
    const json_t *names = json_object_get(reply, "names"), *name;
    struct buf list = { 0 };
    size_t i;

    json_array_foreach(names, i, name)
        buf_printf(&list, " %s", json_string_value(name) ? json_string_value(name) : "");
    ctl_say(stdout, "%s:%s (%s, from %s, until %s)", path, buf_text(&list), ctl_text(reply, "key_type"),
            ctl_text(reply, "ca"), ctl_text(reply, "not_after"));
    buf_free(&list);
}

static bool has_refusal(const json_t *reply)
{
    const json_t *results = json_object_get(reply, "results"), *one;
    size_t i;

    json_array_foreach(results, i, one) if (strcmp(ctl_text(one, "state"), "refused") == 0) return true;
    return false;
}

static enum ctl_exit import_one(struct ctl *c, const struct cert_found *found)
{
    json_t *content, *reply;
    enum ctl_exit result;

    if (found->why) {
        fprintf(stderr, "tunnelctl: %s: not taken: %s\n", found->path, found->why);
        return CTL_FAILING;
    }
    content = json_pack("{s:s, s:s, s:o}", "chain", found->chain_pem, "key", found->key_pem, "origin",
                        json_any_text(found->path));
    result = ctl_tell(c, "POST", "/v1/certs/import", content, IMPORT_S, &reply);
    if (result != CTL_WELL)
        return result;
    if (!c->json) {
        print_heading(found->path, reply);
        result = print_results(reply);
    } else if (has_refusal(reply)) {
        result = CTL_FAILING;
    }
    json_decref(reply);
    return result;
}

enum ctl_exit ctl_certs_import(struct ctl *c)
{
    enum ctl_exit result = CTL_WELL;
    struct cert_folder folder;
    struct err e;

    if (c->argc != 1)
        return ctl_wrong_usage("certs import takes one DIR: %s", where);
    if (cert_folder_read(c->argv[0], &folder, &e) != 0) {
        fprintf(stderr, "tunnelctl: %s\n", e.text);
        result = CTL_FAILING;
    } else if (folder.n == 0) {
        fprintf(stderr, "tunnelctl: %s: there is no certificate in it; %s\n", c->argv[0], where);
        result = CTL_FAILING;
    }
    for (size_t i = 0; result < CTL_USAGE && i < folder.n; i++) {
        enum ctl_exit one = import_one(c, &folder.list[i]);

        result = one > result ? one : result;
    }
    cert_folder_free(&folder);
    return result;
}
