/* tunnelctl dns: each record, wanted and there; tunnelctl dns sync: make it so now, or say what that would be. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/table.h"
#include "shared/status/when.h"

#include <stdio.h>
#include <string.h>

enum {
    SYNC_S = 125,  /* for what providers have to be asked */
    PUBLIC_S = 30, /* for what resolvers have to be asked */
};

static void add_values(struct buf *out, const json_t *list)
{
    const json_t *value;
    size_t i;

    if (json_array_size(list) == 0)
        buf_add_text(out, json_is_array(list) ? "none" : "?");
    json_array_foreach(list, i, value)
        buf_printf(out, "%s%s", i > 0 ? " " : "", json_string_value(value) ? json_string_value(value) : "");
}

static bool is_refused(const json_t *provider)
{
    const char *state = ctl_text(provider, "state");

    return strcmp(state, "ok") != 0 && strcmp(state, "working") != 0;
}

static bool is_wrong(const json_t *reply)
{
    const json_t *one;
    bool wrong = json_array_size(json_object_get(reply, "errors")) > 0;
    size_t i;

    json_array_foreach(json_object_get(reply, "records"), i, one)
    {
        const char *state = ctl_text(one, "state");

        wrong = wrong || strcmp(state, "failed") == 0 || strcmp(state, "foreign") == 0;
    }
    json_array_foreach(json_object_get(reply, "plan"), i, one) wrong =
        wrong || strcmp(ctl_text(one, "action"), "foreign") == 0;
    json_array_foreach(json_object_get(reply, "providers"), i, one) wrong = wrong || is_refused(one);
    return wrong;
}

static void record_row(struct table *table, const json_t *record)
{
    struct buf wanted = { 0 }, there = { 0 }, public = { 0 };
    struct when changed, check;

    add_values(&wanted, json_object_get(record, "wanted"));
    add_values(&there, json_object_get(record, "provider"));
    add_values(&public, json_object_get(record, "public"));
    table_row(table,
              (const char *const[]){ ctl_text(record, "name"), ctl_text(record, "type"),
                                     ctl_text(record, "state"), buf_text(&wanted), buf_text(&there),
                                     buf_text(&public), when_ago(ctl_text(record, "last_change"), &changed),
                                     when_in(ctl_text(record, "next_check"), &check) });
    buf_free(&wanted);
    buf_free(&there);
    buf_free(&public);
}

/* What is wrong, waited for, or to be known, in whole sentences below the table. */
static void print_reasons(const json_t *records)
{
    const json_t *record;
    struct when begun;
    size_t i;

    json_array_foreach(records, i, record)
    {
        const char *since = ctl_text(record, "failing_since");

        if (*ctl_text(record, "last_error"))
            ctl_say(stdout, "  %s %s: %s%s%s", ctl_text(record, "name"), ctl_text(record, "type"),
                    ctl_text(record, "last_error"), *since ? "; since " : "",
                    *since ? when_ago(since, &begun) : "");
        if (*ctl_text(record, "note"))
            ctl_say(stdout, "  %s %s: %s", ctl_text(record, "name"), ctl_text(record, "type"),
                    ctl_text(record, "note"));
    }
}

static void print_records(const json_t *records)
{
    static const char *const headings[] = { "NAME",        "TYPE",   "STATE",   "WANTED",
                                            "AT PROVIDER", "PUBLIC", "CHANGED", "CHECK IN" };
    struct buf out = { 0 };
    const json_t *record;
    struct table table;
    size_t i;

    table_init(&table, 8, headings);
    json_array_foreach(records, i, record) record_row(&table, record);
    table_print(&out, &table);
    fputs(buf_text(&out), stdout);
    buf_free(&out);
    table_free(&table);
}

static void print_providers(const json_t *providers)
{
    const json_t *provider;
    struct when until;
    size_t i;

    json_array_foreach(providers, i, provider)
    {
        const char *end = ctl_text(provider, "hold_until");

        if (is_refused(provider))
            ctl_say(stdout, "  provider %s is not asked %s%s (%s): %s", ctl_text(provider, "name"),
                    *end ? "for another " : "until its configuration changes",
                    *end ? when_in(end, &until) : "", ctl_text(provider, "state"),
                    ctl_text(provider, "last_error"));
    }
}

static enum ctl_exit show(struct ctl *c)
{
    enum ctl_exit result;
    const json_t *records;
    json_t *reply;

    if (c->argc > 0)
        return ctl_wrong_usage("dns takes sync, providers, import or nothing, but was given %s", c->argv[0]);
    result = ctl_tell(c, "GET", "/v1/dns?public", NULL, PUBLIC_S, &reply);
    if (result != CTL_WELL) {
        json_decref(reply);
        return result;
    }
    records = json_object_get(reply, "records");
    if (!c->json && json_array_size(records) == 0)
        printf("no site of this agent has a dns; name a [provider] in its section, or write dns = manual\n");
    else if (!c->json)
        print_records(records);
    if (!c->json) {
        print_reasons(records);
        print_providers(json_object_get(reply, "providers"));
    }
    result = is_wrong(reply) ? CTL_FAILING : CTL_WELL;
    json_decref(reply);
    return result;
}

/* ---- sync ---- */

static void print_side(char sign, const json_t *ours, const json_t *other)
{
    const json_t *value, *same;
    size_t i, j;

    json_array_foreach(ours, i, value)
    {
        bool both = false;

        json_array_foreach(other, j, same) both = both || json_equal(value, same);
        if (!both)
            ctl_say(stdout, "%c   %s", sign, json_string_value(value) ? json_string_value(value) : "");
    }
}

static void print_step(const json_t *step)
{
    const char *action = ctl_text(step, "action");

    if (strcmp(action, "keep") == 0)
        return;
    ctl_say(stdout, "  %s %s at %s: %s%s%s", ctl_text(step, "name"), ctl_text(step, "type"),
            ctl_text(step, "provider"), action, *ctl_text(step, "why") ? ", " : "", ctl_text(step, "why"));
    if (strcmp(action, "foreign") == 0)
        return;
    print_side('-', json_object_get(step, "from"), json_object_get(step, "to"));
    print_side('+', json_object_get(step, "to"), json_object_get(step, "from"));
}

static void print_plan(const json_t *plan)
{
    size_t i, changed, kept = 0, foreign = 0;
    const json_t *step;

    json_array_foreach(plan, i, step)
    {
        kept += strcmp(ctl_text(step, "action"), "keep") == 0;
        foreign += strcmp(ctl_text(step, "action"), "foreign") == 0;
        print_step(step);
    }
    changed = json_array_size(plan) - kept - foreign;
    printf("%zu record%s to be changed, %zu as %s should be", changed, changed == 1 ? "" : "s", kept,
           kept == 1 ? "it" : "they");
    if (foreign > 0)
        printf(", %zu with a record of somebody else in the way", foreign);
    putchar('\n');
}

static void print_errors(const json_t *errors)
{
    const json_t *error;
    size_t i;

    json_array_foreach(errors, i, error)
        ctl_say(stderr, "tunnelctl: %s", json_string_value(error) ? json_string_value(error) : "");
}

static enum ctl_exit sync_now(struct ctl *c)
{
    json_t *content = json_object(), *reply;
    enum ctl_exit result;

    if (c->argc > 1) {
        json_decref(content);
        return ctl_wrong_usage("dns sync takes at most one DOMAIN, but was given %s as well", c->argv[1]);
    }
    if (c->argc == 1)
        json_object_set_new(content, "domain", json_string(c->argv[0]));
    json_object_set_new(content, "dry_run", json_boolean(c->dry_run));
    result = ctl_tell(c, "POST", "/v1/dns/sync", content, SYNC_S, &reply);
    if (result != CTL_WELL) {
        json_decref(reply);
        return result;
    }
    if (!c->json && c->dry_run)
        print_plan(json_object_get(reply, "plan"));
    else if (!c->json)
        print_records(json_object_get(reply, "records"));
    if (!c->json) {
        print_reasons(json_object_get(reply, "records"));
        print_errors(json_object_get(reply, "errors"));
    }
    result = is_wrong(reply) ? CTL_FAILING : CTL_WELL;
    json_decref(reply);
    return result;
}

enum ctl_exit ctl_dns(struct ctl *c)
{
    static const struct ctl_part parts[] = { { "sync", sync_now },
                                             { "providers", ctl_dns_providers },
                                             { "import", ctl_dns_import } };
    const char *what = c->argc > 0 ? c->argv[0] : "";

    if (c->dry_run && strcmp(what, "sync") != 0)
        return ctl_wrong_usage("--dry-run is for dns sync");
    if (c->out && strcmp(what, "import") != 0)
        return ctl_wrong_usage("--out is for dns import");
    return ctl_run_part(c, parts, sizeof parts / sizeof parts[0], show);
}
