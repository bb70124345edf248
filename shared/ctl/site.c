/* tunnelctl add and remove: one site's file of the agent's configuration, and a reload.
 *
 *   name, service ── room for the section? ──▶ agent.d/NAME.ini ──▶ POST /v1/reload ── refused ──▶ as it was before
 *
 * Only a file that add wrote is removed, and only while it holds that site alone: what a person wrote is a person's. */
#include "shared/ctl/place.h"
#include "shared/ctl/section.h"
#include "shared/domain.h"
#include "shared/file.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char mark[] = "; written by tunnelctl add\n";

enum { FILE_BYTES = 64 * 1024 };

struct site {
    char name[DOMAIN_BYTES]; /* as it stands in the section */
    struct ctl_place place;
};

static enum ctl_exit fail(const struct err *why)
{
    fprintf(stderr, "tunnelctl: %s\n", why->text);
    return CTL_FAILING;
}

/* Names as people type them: any case, in their own script. */
static enum ctl_exit find_site(struct ctl *c, const char *given, struct site *site)
{
    struct err why = { 0 };
    enum ctl_exit result;
    char *base;

    if (!domain_normalize(str_of(given), site->name))
        return ctl_wrong_usage("%s: not the name of a site", given);
    if (domain_check(site->name, DOMAIN_WILDCARD, &why) != 0)
        return ctl_wrong_usage("%s: %s", given, why.text);
    base = mem_format("%s.ini", site->name);
    if (*base == '*')
        *base = '_'; /* in a file's name it would be a pattern */
    result = ctl_place_find(c, base, &site->place);
    free(base);
    return result;
}

static enum ctl_exit reload(struct ctl *c)
{
    json_t *reply;
    enum ctl_exit result = ctl_ask(c, "POST", "/v1/reload", &reply);

    json_decref(reply);
    return result;
}

/* ---- add ---- */

static bool is_one_word(const char *text)
{
    return *text && strcspn(text, " \t\r\n\"") == strlen(text);
}

static int write_site(const struct ctl *c, const struct site *site, const char *service, struct err *e)
{
    struct buf text = { 0 };
    int rc;

    buf_printf(&text, "%s[domain %s]\nservice = %s\n", mark, site->name, service);
    if (c->dns)
        buf_printf(&text, "dns     = %s\n", c->dns);
    rc = file_write(site->place.path, buf_bytes(&text), text.len, 0644, e);
    buf_free(&text);
    return rc;
}

static enum ctl_exit check_new(struct ctl *c, const struct site *site)
{
    json_t *config;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/config", &config);
    const char *origin = ctl_section_origin(config, "domain", site->name);
    struct err why = { 0 };

    if (result == CTL_WELL && *origin) {
        (void)err_set(&why, ERR_TAKEN, "[domain %s] is there already, at %.200s", site->name, origin);
        result = fail(&why);
    } else if (result == CTL_WELL && ctl_place_fits(&site->place, config, "domain", site->name, &why) != 0) {
        result = fail(&why);
    }
    json_decref(config);
    return result;
}

/* What the daemon refuses is not left behind, or its next start would fail. */
static enum ctl_exit put(struct ctl *c, const struct site *site, const char *service)
{
    struct err why = { 0 };
    enum ctl_exit result;

    if (access(site->place.path, F_OK) == 0) {
        (void)err_set(&why, ERR_TAKEN, "%.300s is there already; take it away first", site->place.path);
        return fail(&why);
    }
    if (ctl_place_open(&site->place, &why) != 0 || write_site(c, site, service, &why) != 0) {
        fprintf(stderr, "tunnelctl: %s; run this as root, or as who owns that folder\n", why.text);
        return CTL_FAILING;
    }
    result = reload(c);
    if (result != CTL_WELL) {
        unlink(site->place.path);
        fprintf(stderr, "tunnelctl: %s was not added\n", site->name);
    } else if (!c->json) {
        printf("added %s, in %s; see tunnelctl status\n", site->name, site->place.path);
    }
    return result;
}

enum ctl_exit ctl_add(struct ctl *c)
{
    struct site site = { 0 };
    enum ctl_exit result;

    if (c->argc != 2)
        return ctl_wrong_usage("add takes the site's DOMAIN and its SERVICE, such as http://127.0.0.1:80");
    if (!is_one_word(c->argv[1]))
        return ctl_wrong_usage("\"%s\" is no service; write http://HOST:PORT, or unix:PATH", c->argv[1]);
    if (c->dns && !is_one_word(c->dns))
        return ctl_wrong_usage("--dns \"%s\": give the name of a [provider] section, or manual", c->dns);
    result = find_site(c, c->argv[0], &site);
    if (result == CTL_WELL)
        result = check_new(c, &site);
    if (result == CTL_WELL)
        result = put(c, &site, c->argv[1]);
    ctl_place_free(&site.place);
    return result;
}

/* ---- remove ---- */

/* That the file is as add wrote it, but for keys and comments of this one section. */
static int check_file(const struct site *site, const char *origin, struct buf *text, struct err *e)
{
    struct buf shown = { 0 };
    struct str other;
    size_t line_no;

    if (!ctl_place_is(&site->place, origin) || file_read(site->place.path, FILE_BYTES, text, NULL) != 0 ||
        strncmp(buf_text(text), mark, sizeof mark - 1) != 0)
        return err_set(
            e, ERR_TAKEN,
            "[domain %s] stands at %.200s, which tunnelctl did not write; take it out there, and run: "
            "tunnelctl reload",
            site->name, origin);
    line_no = section_find_other((struct str){ buf_bytes(text), text->len }, "domain", site->name, &other);
    if (line_no == 0)
        return 0;
    value_show(&shown, other, VALUE_SHOWN_CHARS);
    (void)err_set(
        e, ERR_TAKEN,
        "%.200s:%zu: %s would go with the file; take [domain %s] out there, and run: tunnelctl reload",
        site->place.path, line_no, buf_text(&shown), site->name);
    buf_free(&shown);
    return -1;
}

static enum ctl_exit check_ours(struct ctl *c, const struct site *site, struct buf *text)
{
    json_t *config;
    enum ctl_exit result = ctl_ask_aside(c, "GET", "/v1/config", &config);
    const char *origin = ctl_section_origin(config, "domain", site->name);
    struct err why = { 0 };
    int rc = 0;

    if (result == CTL_WELL && !*origin)
        rc = err_set(&why, ERR_MISSING, "there is no [domain %s]; see tunnelctl status", site->name);
    else if (result == CTL_WELL)
        rc = check_file(site, origin, text, &why);
    json_decref(config);
    return rc == 0 ? result : fail(&why);
}

/* Where no pattern of an include finds it, until it is known that it may go: beside where it was, with a dot in front. */
static char *aside_of(const struct ctl_place *p)
{
    const char *base = strrchr(p->path, '/') + 1;

    return mem_format("%.*s.%s.removed", (int)(base - p->path), p->path, base);
}

static enum ctl_exit take(struct ctl *c, const struct site *site)
{
    const char *path = site->place.path;
    char *aside = aside_of(&site->place);
    enum ctl_exit result = CTL_FAILING;

    if (rename(path, aside) != 0) {
        fprintf(stderr, "tunnelctl: cannot remove %s; run this as root, or as who owns that folder\n", path);
        free(aside);
        return result;
    }
    result = reload(c);
    if (result == CTL_WELL) {
        (void)unlink(aside);
        if (!c->json)
            printf("removed %s\n", site->name);
    } else {
        if (rename(aside, path) != 0)
            fprintf(stderr, "tunnelctl: what was in %s is in %s now\n", path, aside);
        fprintf(stderr, "tunnelctl: %s was not removed\n", site->name);
    }
    free(aside);
    return result;
}

enum ctl_exit ctl_remove(struct ctl *c)
{
    struct site site = { 0 };
    struct buf text = { 0 };
    enum ctl_exit result;

    if (c->argc != 1)
        return ctl_wrong_usage("remove takes the site's DOMAIN");
    result = find_site(c, c->argv[0], &site);
    if (result == CTL_WELL)
        result = check_ours(c, &site, &text);
    if (result == CTL_WELL)
        result = take(c, &site);
    buf_free(&text);
    ctl_place_free(&site.place);
    return result;
}
