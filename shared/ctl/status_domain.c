/* tunnelctl status DOMAIN: all that the daemon knows of one domain. */
#include "shared/status/cert_state.h"
#include "shared/ctl/ctl.h"
#include "shared/status/dns_state.h"
#include "shared/status/problems.h"
#include "shared/ctl/table.h"
#include "shared/status/when.h"
#include "shared/value.h"

#include <stdio.h>
#include <string.h>

enum { WHAT_WIDTH = 14 };

/* ---- lines ---- */

/* "  state         up, for 3d 4h"; nothing where there is no value. */
static void line(const char *what, const char *value)
{
    struct buf shown = { 0 };

    if (!*value)
        return;
    value_show(&shown, str_of(what), 0);
    do
        buf_add_text(&shown, " ");
    while (shown.len < WHAT_WIDTH);
    value_show(&shown, str_of(value), 0);
    printf("  %s\n", buf_text(&shown));
    buf_free(&shown);
}

static void list_line(const char *what, const json_t *list)
{
    struct buf text = { 0 };
    const json_t *word;
    size_t i;

    json_array_foreach(list, i, word)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", json_string_value(word) ? json_string_value(word) : "");
    line(what, buf_text(&text));
    buf_free(&text);
}

/* A value and how long it has been so. */
static void since_line(const char *what, const json_t *object, const char *key, const char *since)
{
    struct buf text = { 0 };
    struct when ago;

    buf_add_text(&text, ctl_text(object, key));
    if (text.len > 0 && *ctl_text(object, since))
        buf_printf(&text, ", for %s", when_ago(ctl_text(object, since), &ago));
    line(what, buf_text(&text));
    buf_free(&text);
}

static void time_line(const char *what, const json_t *object, const char *key)
{
    struct buf text = { 0 };
    struct when left;

    if (*ctl_text(object, key))
        buf_printf(&text, "%s, in %s", ctl_text(object, key), when_in(ctl_text(object, key), &left));
    line(what, buf_text(&text));
    buf_free(&text);
}

static void number_line(const char *what, const json_t *object, const char *key)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", json_integer_value(json_object_get(object, key)));
    if (json_is_integer(json_object_get(object, key)))
        line(what, text);
}

/* ---- both sides ---- */

static void show_certificate(const json_t *cert)
{
    since_line("certificate", cert, "state", "since");
    line("  of", ctl_text(cert, "name"));
    line("  at relay", ctl_text(cert, "relay"));
    line("  issued by", ctl_text(cert, "issuer"));
    list_line("  names", json_object_get(cert, "names"));
    time_line("  good until", cert, "not_after");
    time_line("  next try", cert, "next_attempt");
}

/* Who is let in, and how often. */
static void show_guard(const json_t *guard)
{
    list_line("only from", json_object_get(guard, "allow"));
    list_line("not from", json_object_get(guard, "deny"));
    line("rate", ctl_text(guard, "rate"));
    if (json_is_true(json_object_get(guard, "password")))
        line("password", "asked for");
}

static void show_relays_part(const json_t *domain)
{
    const json_t *entry;
    size_t i;

    since_line("state", domain, "state", "since");
    list_line("agents", json_object_get(domain, "agents"));
    show_guard(json_object_get(domain, "guard"));
    line("upstream", ctl_text(domain, "upstream"));
    line("service", ctl_text(domain, "service_state"));
    number_line("requests", domain, "requests");
    number_line("errors", domain, "errors");
    number_line("parked", domain, "parked");
    show_certificate(json_object_get(domain, "cert"));
    json_array_foreach(json_object_get(domain, "certs"), i, entry) show_certificate(entry);
}

static void values_cell(struct buf *out, const json_t *record, const char *key)
{
    const json_t *value;
    size_t i;

    json_array_foreach(json_object_get(record, key), i, value)
        buf_printf(out, "%s%s", i > 0 ? " " : "", json_string_value(value) ? json_string_value(value) : "");
    if (out->len == 0)
        buf_add_text(out, "-");
}

static void show_records(const json_t *dns)
{
    static const char *const headings[] = { "RECORD", "TYPE", "STATE", "WANTED", "PROVIDER", "PUBLIC" };
    const json_t *record;
    struct buf out = { 0 };
    struct table table;
    size_t i;

    table_init(&table, 6, headings);
    json_array_foreach(json_object_get(dns, "records"), i, record)
    {
        struct buf wanted = { 0 }, provider = { 0 }, public = { 0 };

        values_cell(&wanted, record, "wanted");
        values_cell(&provider, record, "provider");
        values_cell(&public, record, "public");
        table_row(&table, (const char *const[]){ ctl_text(record, "name"), ctl_text(record, "type"),
                                                 ctl_text(record, "state"), buf_text(&wanted),
                                                 buf_text(&provider), buf_text(&public) });
        buf_free(&wanted);
        buf_free(&provider);
        buf_free(&public);
    }
    if (table.rows > 1) {
        table_print(&out, &table);
        printf("\n%s", buf_text(&out));
    }
    buf_free(&out);
    table_free(&table);
}

static void show_agents_part(const json_t *domain)
{
    const json_t *entry, *dns = json_object_get(domain, "dns");
    size_t i;

    line("mode", ctl_text(domain, "mode"));
    line("service", ctl_text(domain, "service"));
    since_line("", domain, "service_state", "service_since");
    json_array_foreach(json_object_get(domain, "routes"), i, entry)
    {
        line(ctl_text(entry, "path"), ctl_text(entry, "service"));
        since_line("", entry, "service_state", "service_since");
    }
    line("claim", ctl_text(domain, "claim"));
    show_guard(json_object_get(domain, "guard"));
    json_array_foreach(json_object_get(domain, "certs"), i, entry) show_certificate(entry);
    line("DNS", ctl_text(dns, "provider"));
    show_records(dns);
}

/* ---- the command ---- */

static bool is_well(const json_t *status, const struct buf *problems)
{
    const json_t *domain = json_object_get(status, "domain");
    const char *state = ctl_text(domain, "state");

    return problems->len == 0 && (!*state || strcmp(state, "up") == 0) && dns_state_is_well(domain) &&
           cert_state_is_well(domain);
}

static void show(const json_t *status, struct buf *problems)
{
    const json_t *domain = json_object_get(status, "domain");

    line(ctl_text(domain, "name"),
         strcmp(ctl_text(status, "role"), "relay") == 0 ? "at the relay" : "at home");
    if (problems->len > 0)
        printf("\nwrong\n%s\n", buf_text(problems));
    list_line("aliases", json_object_get(domain, "aliases"));
    if (strcmp(ctl_text(status, "role"), "relay") == 0)
        show_relays_part(domain);
    else
        show_agents_part(domain);
}

enum ctl_exit ctl_status_domain(struct ctl *c, const char *given)
{
    struct buf path = { 0 }, problems = { 0 };
    char name[DOMAIN_BYTES];
    json_t *status, *all;
    enum ctl_exit result;

    if (!ctl_site_name(given, name))
        return ctl_wrong_usage("status takes the name of a site as status lists it, and %s is none", given);
    buf_printf(&path, "/v1/status/%s", name);
    result = ctl_ask(c, "GET", buf_text(&path), &status);
    if (result == CTL_WELL) {
        all = json_pack("{s:O, s:[O]}", "role", json_object_get(status, "role"), "domains",
                        json_object_get(status, "domain"));
        problems_add(&problems, all);
        json_decref(all);
        if (!c->json)
            show(status, &problems);
        result = is_well(status, &problems) ? CTL_WELL : CTL_FAILING;
    }
    json_decref(status);
    buf_free(&path);
    buf_free(&problems);
    return result;
}
