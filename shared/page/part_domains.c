/* Domains and their certificates. */
#include "shared/page/parts.h"

#include "shared/mem.h"
#include "shared/status/cert_state.h"
#include "shared/status/dns_state.h"
#include "shared/status/text.h"
#include "shared/status/well.h"
#include "shared/status/when.h"

#include <stdlib.h>
#include <string.h>

enum { DOMAINS_BYTES = 12000, CERTS_BYTES = 6000 };

enum { BAD, GOOD, PASSES }; /* the worst first */

/* ---- domains ---- */

/* Who serves it: its agents, or its upstream. */
static void add_servers(struct html_table *t, const json_t *domain)
{
    if (json_array_size(json_object_get(domain, "agents")) > 0)
        part_list(t, json_object_get(domain, "agents"));
    else
        part_text(t, domain, "upstream");
}

static void add_at_relay(struct html_table *t, const json_t *domain)
{
    if (!html_row(t))
        return;
    part_text(t, domain, "name");
    part_state(t, domain, "state", well_served(domain));
    part_since(t, domain, "since");
    add_servers(t, domain);
    part_number(t, domain, "requests", "");
    part_number(t, domain, "errors", "");
    part_bytes(t, domain, "bytes_in");
    part_bytes(t, domain, "bytes_out");
}

static void add_route(struct html_table *t, const json_t *domain, const json_t *route)
{
    struct buf name = { 0 };

    if (!html_row(t))
        return;
    buf_printf(&name, "%s%s", status_text(domain, "name"), status_text(route, "path"));
    html_text(html_cell(t), buf_text(&name), 120);
    buf_free(&name);
    part_state(t, route, "service_state", well_service(route));
    part_since(t, route, "service_since");
    part_text(t, domain, "mode");
    part_text(t, route, "service");
    part_text(t, NULL, "dns");
    part_text(t, NULL, "cert");
}

/* A site's own service and those of its routes. */
static void add_at_home(struct html_table *t, const json_t *domain)
{
    const json_t *route;
    struct cert_cell cert;
    size_t i;

    if (html_row(t)) {
        part_text(t, domain, "name");
        part_state(t, domain, "service_state", well_service(domain));
        part_since(t, domain, "service_since");
        part_text(t, domain, "mode");
        part_text(t, domain, "service");
        part_word(t, dns_state_of(domain), dns_state_is_well(domain));
        part_word(t, cert_state_of(domain, &cert), cert_state_is_well(domain));
    }
    json_array_foreach(json_object_get(domain, "routes"), i, route) add_route(t, domain, route);
}

void part_domains_add(struct buf *out, const json_t *status)
{
    static const char *const at_relay[] = { "Domain",   "State",  "Since",         "Served by",
                                            "Requests", "Errors", "From visitors", "To visitors" };
    static const char *const at_home[] = {
        "Domain", "State", "Since", "Mode", "Service", "DNS", "Certificate"
    };
    const bool is_relay = part_is_relay(status);
    const json_t *domain;
    struct html_table t;
    size_t i;

    buf_add_text(out, "<h2>Domains</h2>");
    html_table_begin(&t, out, DOMAINS_BYTES, is_relay ? at_relay : at_home, is_relay ? 8 : 7);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(json_object_get(status, "domains"), i, domain)
        {
            if ((is_relay ? well_domain_at_relay(domain) : well_domain_at_home(domain)) != (pass == GOOD))
                continue;
            if (is_relay)
                add_at_relay(&t, domain);
            else
                add_at_home(&t, domain);
        }
    html_table_end(&t, "tunnelctl status", "No site is served yet.");
}

/* ---- certificates ---- */

enum { DATE_CHARS = 10 };

/* "2026-12-31, 62d 3h left" */
static void add_until(struct html_table *t, const json_t *cert)
{
    const char *until = status_text(cert, "not_after");
    struct buf *cell = html_cell(t);
    struct when left;
    char *date;

    if (strlen(until) < DATE_CHARS) {
        buf_add_text(cell, "\xe2\x80\x93");
        return;
    }
    date = mem_copy_n(until, DATE_CHARS);
    html_text(cell, date, 0);
    free(date);
    buf_printf(cell, ", %s", when_left(until, &left));
}

static void add_next(struct html_table *t, const json_t *cert)
{
    const char *next = status_text(cert, "next_attempt");
    struct when left;

    buf_printf(html_cell(t), *next ? "in %s" : "\xe2\x80\x93", *next ? when_in(next, &left) : "");
}

static void add_cert(struct html_table *t, const json_t *named, const json_t *cert, bool is_relay)
{
    if (!html_row(t))
        return;
    part_text(t, named, "name");
    part_state(t, cert, "state", !cert_state_is_wrong(cert));
    part_text(t, cert, is_relay ? "issuer" : "relay");
    add_until(t, cert);
    if (is_relay)
        add_next(t, cert);
    else
        part_since(t, cert, "since");
}

/* One of certs[] may be of an alias, whose name it has then. */
static void add_certs(struct html_table *t, const json_t *status, size_t rank)
{
    const bool is_relay = part_is_relay(status);
    const json_t *domain, *cert;
    size_t i, j;

    json_array_foreach(json_object_get(status, "domains"), i, domain)
    {
        cert = json_object_get(domain, "cert");
        if (json_is_object(cert) && cert_state_rank(cert) == rank)
            add_cert(t, domain, cert, is_relay);
        json_array_foreach(json_object_get(domain, "certs"), j, cert)
        {
            if (cert_state_rank(cert) == rank)
                add_cert(t, *status_text(cert, "name") ? cert : domain, cert, is_relay);
        }
    }
}

void part_certs_add(struct buf *out, const json_t *status)
{
    static const char *const at_relay[] = { "Domain", "State", "Issued by", "Good until", "Next attempt" };
    static const char *const at_home[] = { "Domain", "State", "At relay", "Good until", "Since" };
    const bool is_relay = part_is_relay(status);
    struct html_table t;

    buf_add_text(out, "<h2>Certificates</h2>");
    html_table_begin(&t, out, CERTS_BYTES, is_relay ? at_relay : at_home, 5);
    for (size_t rank = 0; rank <= CERT_STATE_BEST; rank++)
        add_certs(&t, status, rank);
    html_table_end(&t, is_relay ? "tunnelctl certs" : "tunnelctl status",
                   is_relay ? "None yet." : "No relay has told of any yet.");
}
