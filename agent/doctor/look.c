/* The path from the house, in order: this machine, each relay's name and ports, each site's services, its records, and its ports
 * as they look from here. */
#include "agent/doctor/look.h"

#include "agent/carry/service.h"
#include "agent/doctor/judge.h"
#include "shared/cidr.h"
#include "shared/doctor/host.h"
#include "shared/doctor/reach.h"
#include "shared/doctor/steps.h"
#include "shared/doctor/visit.h"
#include "shared/dns/lookup.h"
#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/unix_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVICE_MS = 6000, BODY_BYTES = 64 * 1024, HTTPS_PORT = 443, HTTP_PORT = 80, RESOLVERS = 8 };

struct round {
    struct job *job;
    struct lookup resolvers;
    struct err no_resolvers;
    const char *words[RESOLVERS];
    int64_t until_s;
};

/* ---- relays ---- */

static json_t *look_at_port(const struct round *r, const json_t *addresses, unsigned port)
{
    json_t *seen = NULL;
    const json_t *address;
    size_t i;

    json_array_foreach(addresses, i, address)
    {
        json_decref(seen);
        seen = reach_port(json_string_value(address), port, REACH_GREETING, r->job);
        if (fact_is(seen, "state", "greeted") || visit_is_over(r->job, r->until_s))
            break;
    }
    return seen;
}

static void look_at_relay(const struct round *r, json_t *relay)
{
    unsigned port = (unsigned)fact_number(relay, "port", 22);
    json_t *name, *ports = json_array();
    const json_t *addresses;

    if (!*fact_text(relay, "host"))
        return;
    name = reach_name(fact_text(relay, "host"));
    addresses = json_object_get(name, "addresses");
    json_object_set_new(relay, "lookup", name);
    json_object_set_new(relay, "ports", ports);
    if (json_array_size(addresses) == 0)
        return;
    json_array_append_new(ports, look_at_port(r, addresses, port));
    if (!json_is_true(json_object_get(relay, "plain")) && port != HTTPS_PORT &&
        !visit_is_over(r->job, r->until_s) && !fact_is(json_array_get(ports, 0), "state", "greeted"))
        json_array_append_new(ports, look_at_port(r, addresses, HTTPS_PORT));
}

/* ---- services ---- */

/* A wildcard stands for any name below it. */
static char *host_of(const char *domain)
{
    return strncmp(domain, "*.", 2) == 0 ? mem_format("www%s", domain + 1) : mem_copy(domain);
}

/* The HTTP status of GET /, 0 with the reason when there was none. proxied: as the relay would ask. */
static int ask_service(const struct round *r, const char *url, const char *address, bool proxied,
                       const char *host, struct err *e)
{
    char *forwarded_host = mem_format("X-Forwarded-Host: %s", host);
    const char *const fields[] = { "X-Forwarded-For: 192.0.2.1",
                                   "X-Forwarded-Proto: https",
                                   "X-Forwarded-Port: 443",
                                   "X-Real-IP: 192.0.2.1",
                                   "Forwarded: for=192.0.2.1;proto=https",
                                   forwarded_host,
                                   NULL };
    const struct fetch_request request = { .method = "GET",
                                           .url = url,
                                           .headers = proxied ? fields : NULL,
                                           .at = address,
                                           .any_certificate = true,
                                           .direct = true,
                                           .timeout_ms = SERVICE_MS,
                                           .max_bytes = BODY_BYTES,
                                           .job = r->job };
    struct fetch_reply reply = { 0 };
    int status;

    if (fetch(&request, &reply, e) != 0)
        e->code = reply.status > 0 ? ERR_NONE : e->code;
    status = reply.status;
    fetch_reply_free(&reply);
    free(forwarded_host);
    return status;
}

static void look_by_http(const struct round *r, json_t *seen, const struct service *s, const char *host,
                         const char *address)
{
    char *url = mem_format(strchr(host, ':') ? "%s://[%s]:%u/" : "%s://%s:%u/",
                           s->kind == SERVICE_HTTPS ? "https" : "http", host, s->at.port);
    struct err why = { 0 };
    int status = ask_service(r, url, address, true, host, &why);

    json_object_set_new(seen, "status", json_integer(status));
    if (status == 0) {
        json_object_set_new(seen, "state", json_string(why.code == ERR_TIMEOUT ? "silent" : "no_http"));
        json_object_set_new(seen, "why", json_any_text(why.text));
    }
    if (status >= 400 && status < 500 && !visit_is_over(r->job, r->until_s))
        json_object_set_new(seen, "plain_status",
                            json_integer(ask_service(r, url, address, false, host, &why)));
    free(url);
}

static json_t *look_at_socket(const char *path)
{
    struct err why = { 0 };
    int fd = unix_connect(path, &why);

    if (fd >= 0)
        close(fd);
    return json_pack("{s:s, s:o}", "state", fd >= 0 ? "open" : "refused", "why", json_any_text(why.text));
}

static json_t *look_at_service(const struct round *r, const char *domain, const char *text)
{
    struct service s;
    json_t *name, *seen = NULL;
    const json_t *address;
    char *host;
    size_t i;

    if (service_parse(&s, text, NULL) != 0)
        return NULL;
    if (s.kind == SERVICE_UNIX)
        return look_at_socket(s.at.host);
    name = reach_name(s.at.host);
    json_array_foreach(json_object_get(name, "addresses"), i, address)
    {
        json_decref(seen);
        seen = reach_port(json_string_value(address), s.at.port, REACH_NOBODY, r->job);
        if (fact_is(seen, "state", "open") || visit_is_over(r->job, r->until_s))
            break;
    }
    if (!seen)
        seen = json_pack("{s:s, s:s}", "state", "nameless", "why", fact_text(name, "why"));
    host = host_of(domain);
    if (fact_is(seen, "state", "open") && (s.kind == SERVICE_HTTP || s.kind == SERVICE_HTTPS))
        look_by_http(r, seen, &s, host, fact_text(seen, "address"));
    free(host);
    json_decref(name);
    return seen;
}

static void look_at_services(const struct round *r, json_t *domain)
{
    const char *name = fact_text(domain, "name");
    json_t *route, *seen;
    size_t i;

    if (!*fact_text(domain, "service"))
        return;
    if ((seen = look_at_service(r, name, fact_text(domain, "service"))))
        json_object_set_new(domain, "seen", seen);
    json_array_foreach(json_object_get(domain, "routes"), i, route)
    {
        if (!visit_is_over(r->job, r->until_s) &&
            (seen = look_at_service(r, name, fact_text(route, "service"))))
            json_object_set_new(route, "seen", seen);
    }
}

/* ---- what the public sees ---- */

/* NULL: nobody can tell; *why says it. */
static json_t *public_values(const struct round *r, const char *name, enum dns_type type, struct err *why)
{
    json_t *values = NULL;
    struct dns_rrset set;

    if (r->no_resolvers.code != ERR_NONE) {
        (void)err_set(why, r->no_resolvers.code, "%s", r->no_resolvers.text);
        return NULL;
    }
    dns_rrset_init(&set, name, type);
    if (lookup(&r->resolvers, &set, why) == 0)
        values = json_array();
    for (size_t i = 0; values && i < set.n; i++)
        json_array_append_new(values, json_any_text(set.values[i].text));
    dns_rrset_free(&set);
    return values;
}

static void look_at_record(const struct round *r, json_t *record)
{
    struct err why = { 0 };
    json_t *values = public_values(r, fact_text(record, "name"),
                                   fact_is(record, "type", "AAAA") ? DNS_TYPE_AAAA : DNS_TYPE_A, &why);

    json_object_set_new(record, "public", values ? values : json_null());
    json_object_set_new(record, "public_why", json_any_text(why.text));
}

static void look_at_ports(const struct round *r, const json_t *domain, json_t *ports, const json_t *addresses)
{
    const json_t *address;
    size_t i;

    json_array_foreach(addresses, i, address)
    {
        if (!agent_is_relays(domain, json_string_value(address)))
            continue; /* that is a matter of DNS */
        for (unsigned port = HTTP_PORT; port <= HTTPS_PORT && !visit_is_over(r->job, r->until_s);
             port += HTTPS_PORT - HTTP_PORT)
            json_array_append_new(ports, reach_port(json_string_value(address), port, REACH_NOBODY, r->job));
    }
}

static json_t *public_addresses(const struct round *r, const char *host, struct err *why)
{
    static const enum dns_type types[] = { DNS_TYPE_A, DNS_TYPE_AAAA };
    struct sockaddr_storage at;
    json_t *found = json_array();

    if (cidr_address(str_of(host), &at)) {
        json_array_append_new(found, json_any_text(host));
        return found;
    }
    for (size_t i = 0; i < 2 && !visit_is_over(r->job, r->until_s); i++) {
        json_t *values = public_values(r, host, types[i], why);

        json_array_extend(found, values);
        json_decref(values);
    }
    return found;
}

/* The ports of visitors, at the addresses that they find for the site's own name. */
static void look_from_outside(const struct round *r, json_t *domain)
{
    char *host = host_of(fact_text(domain, "name"));
    json_t *ports = json_array();
    struct err why = { 0 };
    json_t *found = public_addresses(r, host, &why);

    look_at_ports(r, domain, ports, found);
    json_object_set_new(domain, "addresses", found);
    json_object_set_new(domain, "addresses_why", json_any_text(why.text));
    json_object_set_new(domain, "outside", ports);
    free(host);
}

static void look_at_domain(const struct round *r, json_t *domain)
{
    json_t *record;
    size_t i;

    look_at_services(r, domain);
    json_array_foreach(json_object_get(json_object_get(domain, "dns"), "records"), i, record)
    {
        if (!visit_is_over(r->job, r->until_s))
            look_at_record(r, record);
    }
    if (fact_is(domain, "mode", "tunnel") && !visit_is_over(r->job, r->until_s))
        look_from_outside(r, domain);
}

/* ---- all of it ---- */

static void open_resolvers(struct round *r, const json_t *facts)
{
    const json_t *list = json_object_get(facts, "resolvers");
    struct opt_words words = { 0, r->words };

    for (size_t i = 0; i < json_array_size(list) && i < RESOLVERS; i++)
        r->words[words.n++] = json_string_value(json_array_get(list, i));
    if (lookup_open(&r->resolvers, &words, &r->no_resolvers) == 0)
        r->resolvers.job = r->job;
}

void agent_doctor_look(json_t *facts, struct job *job, void *nobody)
{
    struct round r = { .job = job, .until_s = visit_now_s() + VISIT_LOOK_MS / 1000 };
    json_t *one;
    size_t i;

    (void)nobody;
    host_look(facts, fact_text(facts, "state_dir"));
    json_array_foreach(json_object_get(facts, "key_files"), i, one)
        host_look_at_secret(facts, json_string_value(one));
    open_resolvers(&r, facts);
    json_array_foreach(json_object_get(facts, "relays"), i, one)
    {
        if (!visit_is_over(r.job, r.until_s))
            look_at_relay(&r, one);
    }
    json_array_foreach(json_object_get(facts, "domains"), i, one)
    {
        if (visit_is_over(r.job, r.until_s))
            json_object_set_new(one, "skipped", json_true());
        else
            look_at_domain(&r, one);
    }
}
