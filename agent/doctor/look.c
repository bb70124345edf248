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

enum {
    SERVICE_MS = 6000,
    BODY_BYTES = 64 * 1024,
    HTTPS_PORT = 443,
    HTTP_PORT = 80,
    RESOLVERS = 8,
    LOCATION_BYTES = 300
};

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

/* How a service is asked. */
struct question {
    const char *address; /* where it is */
    const char *host;    /* the name that it is asked for */
    bool https, proxied; /* proxied: as the relay would ask */
    bool verified;       /* its certificate has to hold */
};

/* The HTTP status of GET /, 0 with the reason when there was none. */
static int ask_service(const struct round *r, const struct question *q, unsigned port,
                       struct fetch_reply *reply, struct err *e)
{
    char *url = mem_format(strchr(q->host, ':') ? "%s://[%s]:%u/" : "%s://%s:%u/",
                           q->https ? "https" : "http", q->host, port);
    char *host = mem_format("Host: %s", q->host), *forwarded_host = mem_format("X-Forwarded-%s", host);
    const char *const fields[] = { host,
                                   "X-Forwarded-For: 192.0.2.1",
                                   "X-Forwarded-Proto: https",
                                   "X-Forwarded-Port: 443",
                                   "X-Real-IP: 192.0.2.1",
                                   "Forwarded: for=192.0.2.1;proto=https",
                                   forwarded_host,
                                   NULL };
    const char *const host_alone[] = { host, NULL };
    const struct fetch_request request = { .method = "GET",
                                           .url = url,
                                           .headers = q->proxied    ? fields
                                                      : q->verified ? NULL
                                                                    : host_alone,
                                           .at = q->address,
                                           .any_certificate = !q->verified,
                                           .direct = true,
                                           .timeout_ms = SERVICE_MS,
                                           .max_bytes = BODY_BYTES,
                                           .job = r->job };

    if (fetch(&request, reply, e) != 0)
        e->code = reply->status > 0 ? ERR_NONE : e->code;
    free(forwarded_host);
    free(host);
    free(url);
    return reply->status;
}

static int status_of(const struct round *r, const struct question *q, unsigned port)
{
    struct fetch_reply reply = { 0 };
    struct err why = { 0 };
    int status = ask_service(r, q, port, &reply, &why);

    fetch_reply_free(&reply);
    return status;
}

/* Who is refused as a visitor of the site is asked without what a proxy adds, and by a name that nobody is refused for. */
static void look_into_refusal(const struct round *r, json_t *seen, struct question q, unsigned port)
{
    q.proxied = false;
    if (!visit_is_over(r->job, r->until_s))
        json_object_set_new(seen, "plain_status", json_integer(status_of(r, &q, port)));
    q.host = "localhost";
    if (!visit_is_over(r->job, r->until_s))
        json_object_set_new(seen, "local_status", json_integer(status_of(r, &q, port)));
}

/* As the agent asks it for visitors: by the name that stands in its URL. */
static void look_at_certificate(const struct round *r, json_t *seen, const struct service *s,
                                const char *address)
{
    const struct question q = { .address = address, .host = s->at.host, .https = true, .verified = true };
    struct fetch_reply reply = { 0 };
    struct err why = { 0 };

    if (!visit_is_over(r->job, r->until_s) && ask_service(r, &q, s->at.port, &reply, &why) == 0 &&
        why.code == ERR_PEER)
        json_object_set_new(seen, "certificate_wrong", json_any_text(why.text));
    fetch_reply_free(&reply);
}

static void note_location(json_t *seen, const struct fetch_reply *reply)
{
    struct str to = fetch_field(reply, "Location");
    char *text;

    if (reply->status < 300 || reply->status >= 400 || !to.p)
        return;
    text = mem_copy_n(to.p, to.n < LOCATION_BYTES ? to.n : LOCATION_BYTES);
    json_object_set_new(seen, "location", json_any_text(text));
    free(text);
    json_object_set_new(seen, "sets_cookie", json_boolean(fetch_field(reply, "Set-Cookie").p != NULL));
}

static void look_by_http(const struct round *r, json_t *seen, const struct service *s, const char *host,
                         bool verify)
{
    const struct question q = { .address = fact_text(seen, "address"),
                                .host = host,
                                .https = s->kind == SERVICE_HTTPS,
                                .proxied = true };
    struct fetch_reply reply = { 0 };
    struct err why = { 0 };
    int status = ask_service(r, &q, s->at.port, &reply, &why);

    json_object_set_new(seen, "status", json_integer(status));
    if (status == 0) {
        json_object_set_new(seen, "state", json_string(why.code == ERR_TIMEOUT ? "silent" : "no_http"));
        json_object_set_new(seen, "why", json_any_text(why.text));
    }
    note_location(seen, &reply);
    if (status >= 400)
        look_into_refusal(r, seen, q, s->at.port);
    if (q.https && verify && status > 0)
        look_at_certificate(r, seen, s, q.address);
    fetch_reply_free(&reply);
}

/* Nobody listens at the one loopback address: at the other one, which "localhost" may mean as well? */
static void look_at_other_loopback(const struct round *r, json_t *seen, unsigned port)
{
    bool v4 = fact_is(seen, "address", "127.0.0.1");
    json_t *other;

    if (!fact_is(seen, "state", "refused") || (!v4 && !fact_is(seen, "address", "::1")))
        return;
    other = reach_port(v4 ? "::1" : "127.0.0.1", port, REACH_NOBODY, r->job);
    if (fact_is(other, "state", "open"))
        json_object_set_new(seen, "other", json_sprintf(v4 ? "[::1]:%u" : "127.0.0.1:%u", port));
    json_decref(other);
}

static json_t *look_at_socket(const char *path)
{
    struct err why = { 0 };
    int fd = unix_connect(path, &why);

    if (fd >= 0)
        close(fd);
    return json_pack("{s:s, s:o}", "state", fd >= 0 ? "open" : "refused", "why", json_any_text(why.text));
}

static json_t *look_at_service(const struct round *r, const char *domain, bool verify, const char *text)
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
        look_by_http(r, seen, &s, host, verify);
    look_at_other_loopback(r, seen, s.at.port);
    free(host);
    json_decref(name);
    return seen;
}

static void look_at_services(const struct round *r, json_t *domain)
{
    const char *name = fact_text(domain, "name");
    bool verify = json_is_true(json_object_get(domain, "verify"));
    json_t *route, *seen;
    size_t i;

    if (!*fact_text(domain, "service"))
        return;
    if ((seen = look_at_service(r, name, verify, fact_text(domain, "service"))))
        json_object_set_new(domain, "seen", seen);
    json_array_foreach(json_object_get(domain, "routes"), i, route)
    {
        if (!visit_is_over(r->job, r->until_s) &&
            (seen = look_at_service(r, name, verify, fact_text(route, "service"))))
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
