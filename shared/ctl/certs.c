/* tunnelctl certs: each site's certificate, how it is doing, and what is next; certs renew and certs revoke: now. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/table.h"
#include "shared/status/when.h"
#include "shared/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ORDER_S = 125,   /* a daemon's own patience for an answer that takes time, and a little more */
    NAMES_SHOWN = 3, /* of what a certificate covers, in the table; all are in --json */
};

/* ---- the table ---- */

static void add_names(struct buf *out, const json_t *names)
{
    size_t n = json_array_size(names);

    if (n == 0)
        buf_add_text(out, "-");
    for (size_t i = 0; i < n && i < NAMES_SHOWN; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", json_string_value(json_array_get(names, i)));
    if (n > NAMES_SHOWN)
        buf_printf(out, " and %zu more", n - NAMES_SHOWN);
}

/* Those of an authority say when they are renewed, others when they are made anew. */
static const char *next_of(const json_t *cert)
{
    const char *renewal = ctl_text(cert, "next_renewal");

    return *renewal ? renewal : ctl_text(cert, "next_attempt");
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static void cert_row(struct table *table, const json_t *cert)
{
    struct buf names = { 0 };
    struct when left, next;

    add_names(&names, json_object_get(cert, "names"));
    table_row(table, (const char *const[]){
                         ctl_text(cert, "name"), buf_text(&names), ctl_text(cert, "state"),
                         or_dash(ctl_text(cert, "issuer")), when_in(ctl_text(cert, "not_after"), &left),
                         when_in(next_of(cert), &next), or_dash(ctl_text(cert, "renewal_why")) });
    buf_free(&names);
}

static void print_table(const json_t *certs)
{
    static const char *const headings[] = { "NAME", "COVERS", "STATE", "ISSUER", "LEFT", "NEXT IN", "WHY" };
    struct buf out = { 0 };
    const json_t *cert;
    struct table table;
    size_t i;

    table_init(&table, 7, headings);
    json_array_foreach(certs, i, cert) cert_row(&table, cert);
    table_print(&out, &table);
    fputs(buf_text(&out), stdout);
    buf_free(&out);
    table_free(&table);
}

/* ---- what is wrong, in whole sentences below it ---- */

/* When it was tried last, by whichever authority. */
static const char *last_try_of(const json_t *cert)
{
    const json_t *issuers = json_object_get(cert, "issuers"), *one;
    const char *last = "";
    size_t i;

    json_array_foreach(issuers, i, one)
    {
        if (strcmp(ctl_text(one, "last_try"), last) > 0)
            last = ctl_text(one, "last_try");
    }
    return last;
}

static void print_error(const json_t *cert)
{
    const char *error = ctl_text(cert, "last_error"), *tried = last_try_of(cert);
    const char *since = ctl_text(cert, "failing_since");
    struct when ago, begun;

    if (*error)
        ctl_say(stdout, "  %s: %s%s%s%s%s%s", ctl_text(cert, "name"), *tried ? "tried " : "",
                *tried ? when_ago(tried, &ago) : "", *tried ? " ago: " : "", error, *since ? "; since " : "",
                *since ? when_ago(since, &begun) : "");
    if (*ctl_text(cert, "warning"))
        ctl_say(stdout, "  %s: %s", ctl_text(cert, "name"), ctl_text(cert, "warning"));
}

static void print_undeployed(const json_t *cert)
{
    const char *why = ctl_text(cert, "deploy_error");
    struct when begun;

    if (*why)
        ctl_say(stdout, "  %s: %s; since %s", ctl_text(cert, "name"), why,
                when_ago(ctl_text(cert, "deploy_failing_since"), &begun));
}

static void print_left_out(const json_t *cert)
{
    const json_t *list = json_object_get(cert, "left_out"), *one;
    struct when begun;
    size_t i;

    json_array_foreach(list, i, one)
    {
        ctl_say(stdout, "  %s: %s is left out since %s: %s", ctl_text(cert, "name"), ctl_text(one, "name"),
                when_ago(ctl_text(one, "since"), &begun), ctl_text(one, "why"));
    }
}

/* What somebody else writes may be good for long, and for another name: nobody here will mend it. */
static bool is_doubtful(const json_t *cert)
{
    return strcmp(ctl_text(cert, "issuer"), "files") == 0 && *ctl_text(cert, "last_error");
}

static bool is_wrong(const json_t *cert)
{
    const char *state = ctl_text(cert, "state");

    return is_doubtful(cert) || strcmp(state, "failing") == 0 || strcmp(state, "expired") == 0 ||
           *ctl_text(cert, "deploy_error");
}

static enum ctl_exit show(struct ctl *c)
{
    enum ctl_exit result;
    const json_t *certs, *cert;
    json_t *reply;
    size_t i;

    if (c->argc > 0)
        return ctl_wrong_usage("certs takes renew, revoke, import or nothing, but was given %s", c->argv[0]);
    result = ctl_ask(c, "GET", "/v1/certs", &reply);
    if (result != CTL_WELL)
        return result;
    certs = json_object_get(reply, "certs");
    if (!c->json && json_array_size(certs) == 0)
        printf("there is no site yet; an agent that claims one gets a certificate for it\n");
    else if (!c->json)
        print_table(certs);
    json_array_foreach(certs, i, cert)
    {
        if (!c->json) {
            print_error(cert);
            print_undeployed(cert);
            print_left_out(cert);
        }
        if (is_wrong(cert))
            result = CTL_FAILING;
    }
    json_decref(reply);
    return result;
}

/* ---- now ---- */

/* As certs lists it: also the bare name of a machine in a LAN. */
static bool is_listed_name(const char *given, char name[DOMAIN_BYTES])
{
    return ctl_site_name(given, name) ||
           (domain_normalize(str_of(given), name) && domain_check(name, DOMAIN_SITE, NULL) == 0);
}

static enum ctl_exit tell(struct ctl *c, const char *what, json_t *takes_content, json_t **reply)
{
    char name[DOMAIN_BYTES];
    struct buf path = { 0 };
    enum ctl_exit result;

    *reply = NULL;
    if (c->argc != 1 || !is_listed_name(c->argv[0], name)) {
        json_decref(takes_content);
        return ctl_wrong_usage("certs %s takes the DOMAIN of a site, as tunnelctl certs lists it", what);
    }
    buf_printf(&path, "/v1/certs/%s/%s", name, what);
    result = ctl_tell(c, "POST", buf_text(&path), takes_content, ORDER_S, reply);
    buf_free(&path);
    return result;
}

static enum ctl_exit renew(struct ctl *c)
{
    json_t *reply;
    enum ctl_exit result = tell(c, "renew", NULL, &reply);
    struct when left;

    if (result != CTL_WELL)
        return result;
    if (!c->json) {
        printf("%s: %s, from %s, good for %s\n", ctl_text(reply, "name"), ctl_text(reply, "state"),
               or_dash(ctl_text(reply, "issuer")), when_in(ctl_text(reply, "not_after"), &left));
        print_error(reply);
        print_undeployed(reply);
        print_left_out(reply);
    }
    result = is_wrong(reply) ? CTL_FAILING : CTL_WELL;
    json_decref(reply);
    return result;
}

static enum ctl_exit revoke(struct ctl *c)
{
    json_t *content = c->reason ? json_pack("{s:s}", "reason", c->reason) : NULL, *reply;
    enum ctl_exit result = tell(c, "revoke", content, &reply);

    if (result == CTL_WELL && !c->json)
        printf("%s: revoked; another one is ordered\n", ctl_text(reply, "name"));
    json_decref(reply);
    return result;
}

enum ctl_exit ctl_certs(struct ctl *c)
{
    static const struct ctl_part parts[] = { { "renew", renew },
                                             { "revoke", revoke },
                                             { "import", ctl_certs_import } };
    const char *what = c->argc > 0 ? c->argv[0] : "";

    if (c->reason && strcmp(what, "revoke") != 0)
        return ctl_wrong_usage("--reason is for certs revoke");
    return ctl_run_part(c, parts, sizeof parts / sizeof parts[0], show);
}
