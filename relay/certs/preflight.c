/* The life of a pre-flight:
 *
 *   addresses of the name ──▶ a nonce is shown ──▶ asked for at each address, port by port ──▶ verdict
 *                                                  by an agent; where that cannot, by us                */
#include "relay/certs/preflight.h"

#include "relay/certs/caa.h"
#include "shared/cidr.h"
#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/public_ip.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NONCE_BYTES = 16,
    ADDRESSES_MAX = 8,
    ERRAND_MS = 30 * 1000,
    PASS_MS = 20 * 1000, /* an agent that is away is waited for meanwhile */
    CLEAR_MS = 5 * 1000,
    OWN_MS = 10 * 1000,
    BODY_BYTES = 4096
};

_Static_assert(PASS_MS + ERRAND_MS + OWN_MS + CLEAR_MS <= PREFLIGHT_SEE_MORE_MS,
               "one look, and what is around it");

struct flight {
    const struct preflight_ask *ask;
    struct preflight_result *result;
    char host[DOMAIN_BYTES], nonce[2 * NONCE_BYTES + 1], path[64];
    char addresses[ADDRESSES_MAX][64];
    size_t n;
    bool unseen; /* somewhere it was only this relay itself that looked */
};

static void warn(struct flight *f, const char *fmt, ...) printf_like(2, 3);
static void warn(struct flight *f, const char *fmt, ...)
{
    size_t used = strlen(f->result->warning);
    va_list args;

    if (used > 0 && used + 2 < sizeof f->result->warning) {
        strcpy(f->result->warning + used, "; ");
        used += 2;
    }
    va_start(args, fmt);
    vsnprintf(f->result->warning + used, sizeof f->result->warning - used, fmt, args);
    va_end(args);
}

/* ---- where the public goes ---- */

static int add_addresses(struct flight *f, enum dns_type type, struct err *e)
{
    struct dns_rrset set;
    int rc;

    dns_rrset_init(&set, f->host, type);
    rc = lookup(f->ask->resolvers, &set, e);
    for (size_t i = 0; rc == 0 && i < set.n && f->n < ADDRESSES_MAX; i++)
        snprintf(f->addresses[f->n++], sizeof f->addresses[0], "%s", set.values[i].text);
    dns_rrset_free(&set);
    return rc;
}

static const char *one_of_ours(const struct preflight_ask *ask)
{
    return ask->publish_n > 0 ? ask->publish[0] : "this relay's address";
}

static int find_addresses(struct flight *f, struct err *e)
{
    struct sockaddr_storage ignored;

    if (cidr_address(str_of(f->host), &ignored)) {
        snprintf(f->addresses[f->n++], sizeof f->addresses[0], "%.63s", f->host);
        return 0;
    }
    if (add_addresses(f, DNS_TYPE_A, e) != 0 || add_addresses(f, DNS_TYPE_AAAA, e) != 0)
        return err_wrap(e, "cannot find out where %s leads", f->host);
    return f->n > 0
               ? 0
               : err_set(
                     e, ERR_MISSING,
                     "%s has no address in DNS; set an A record to %s, or name a [provider] in dns of its "
                     "section at the agent",
                     f->host, one_of_ours(f->ask));
}

static bool is_published(const struct preflight_ask *ask, const char *address)
{
    for (size_t i = 0; i < ask->publish_n; i++)
        if (strcmp(ask->publish[i], address) == 0)
            return true;
    return false;
}

/* ---- one look ---- */

/* Whoever claims a name chooses its records: this machine calls none of its own network for them. */
static int check_place(const struct flight *f, const char *address, struct err *e)
{
    struct sockaddr_storage to;
    const char *wrong =
        cidr_address(str_of(address), &to) ? public_ip_wrong((const struct sockaddr *)&to) : "no address";

    if (!wrong || is_published(f->ask, address))
        return 0;
    return err_set(e, ERR_PEER, "%s is %s, where this relay looks only if its publish names it", address,
                   wrong);
}

static int get(const struct flight *f, const char *address, unsigned port, struct err *e)
{
    char *url = mem_format(strchr(f->host, ':') ? "%s://[%s]%s" : "%s://%s%s", port == 443 ? "https" : "http",
                           f->host, f->path);
    const struct fetch_request request = { .method = "GET",
                                           .url = url,
                                           .at = address,
                                           .any_certificate = true,
                                           .direct = true,
                                           .timeout_ms = OWN_MS,
                                           .max_bytes = BODY_BYTES,
                                           .user_agent = "tunnel-relay/" TUNNEL_VERSION,
                                           .job = f->ask->job };
    struct fetch_reply reply = { 0 };
    int rc = fetch(&request, &reply, e);
    struct str body = { buf_bytes(&reply.body), reply.body.len };

    if (rc == 0 && (reply.status != 200 || !str_eq(str_trim(body), f->nonce)))
        rc = err_set(e, ERR_PEER, "%s port %u answers (HTTP status %d), but it is not this relay", address,
                     port, reply.status);
    fetch_reply_free(&reply);
    free(url);
    return rc;
}

static int look_ourselves(const struct flight *f, const char *address, unsigned port, struct err *e)
{
    return check_place(f, address, e) == 0 ? get(f, address, port, e) : -1;
}

/* 0: the nonce came back. ERR_MISSING: no agent can look. */
static int look_from_house(struct flight *f, const char *address, unsigned port, struct err *e)
{
    const struct errand errand = {
        .host = f->host,
        .who = ERRAND_FIRST,
        .msg = { .type = LANE_FETCH,
                 .fetch = { .name = f->host, .address = address, .port = (int64_t)port, .path = f->path } },
        .patience_ms = ERRAND_MS,
    };
    struct errand_answer answer;
    int rc = errands_run(f->ask->errands, &errand, f->ask->job, &answer, e);

    if (rc == 0 || e->code == ERR_PEER)
        snprintf(f->result->agent, sizeof f->result->agent, "%s", answer.agent);
    if (rc != 0 && e->code == ERR_PEER && answer.status == LANE_FETCH_NOT_TRIED)
        e->code = ERR_MISSING;
    return rc;
}

static int look(struct flight *f, const char *address, unsigned port, struct err *e)
{
    struct err house = { 0 };

    if (look_from_house(f, address, port, &house) == 0)
        return 0;
    if (house.code != ERR_MISSING && house.code != ERR_TIMEOUT)
        return err_set(e, house.code, "%s", house.text);
    f->unseen = true;
    return look_ourselves(f, address, port, e);
}

/* A CA takes IPv6 where there is any, and any address of several: so each has to do. */
static int look_at_port(struct flight *f, unsigned port, struct err *e)
{
    for (size_t i = 0; i < f->n; i++)
        if (look(f, f->addresses[i], port, e) != 0)
            return -1;
    return 0;
}

/* ---- at the other relays of the name ---- */

/* Where the name's addresses are theirs, too, the nonce comes back from there; an agent that cannot pass it on has none. */
static void pass(const struct flight *f, bool set)
{
    const struct errand errand = {
        .host = f->host,
        .who = ERRAND_ALL,
        .msg = { .type = LANE_CHALLENGE,
                 .challenge = { .set = set,
                                .how = LANE_SHOW_CHECK,
                                .name = f->host,
                                .token = f->nonce,
                                .answer = f->nonce } },
        .patience_ms = set ? PASS_MS : CLEAR_MS,
    };
    struct errand_answer answer;
    struct err why = { 0 };

    if (errands_run(f->ask->errands, &errand, f->ask->job, &answer, &why) != 0)
        log_debug("other relays do not show a nonce", kv_str("domain", f->host), kv_str("error", why.text));
}

/* ---- the verdict ---- */

static unsigned port_of(enum challenge_type type)
{
    return type == CHALLENGE_HTTP_01 ? 80 : 443;
}

static bool has(const struct preflight_ask *ask, enum challenge_type type)
{
    for (size_t i = 0; i < ask->challenges_n; i++)
        if (ask->challenges[i] == type)
            return true;
    return false;
}

static bool is_stopped(const struct err *e)
{
    return e->code == ERR_STOPPED;
}

/* The first challenge that would be met is enough; the order tries the others, too. */
static int look_everywhere(struct flight *f, struct err *e)
{
    struct err why[CHALLENGE_TYPES] = { 0 };
    size_t tried = 0;

    for (size_t i = 0; i < f->ask->challenges_n; i++) {
        enum challenge_type type = f->ask->challenges[i];

        if (type == CHALLENGE_DNS_01)
            continue;
        if (look_at_port(f, port_of(type), &why[tried++]) == 0)
            return 0;
        if (is_stopped(&why[tried - 1]))
            return err_set(e, ERR_STOPPED, "%s", why[tried - 1].text);
    }
    if (tried == 2 && strcmp(why[0].text, why[1].text) != 0)
        return err_set(e, why[0].code, "%.118s; %.118s", why[0].text, why[1].text);
    return err_set(e, why[0].code, "%s", why[0].text);
}

static int explain(const struct flight *f, struct err *e)
{
    char seen[sizeof e->text];

    if (is_stopped(e))
        return -1;
    snprintf(seen, sizeof seen, "%s", e->text);
    return err_set(
        e, e->code,
        "%.60s does not lead to this relay: %.240s; set its records to %.40s, and open ports 80 and 443",
        f->host, seen, one_of_ours(f->ask));
}

/* A provider's NAT hides a machine's IPv4 address from it: then any may be its own. */
static bool knows_own(const struct preflight_ask *ask, const char *address)
{
    bool v6 = strchr(address, ':') != NULL;

    for (size_t i = 0; i < ask->publish_n; i++)
        if (v6 || !strchr(ask->publish[i], ':'))
            return true;
    return false;
}

static void note_addresses(struct flight *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (knows_own(f->ask, f->addresses[i]) && !is_published(f->ask, f->addresses[i]))
            warn(f, "%s is at %s, which is no address of this relay (a proxy or a load balancer in front?)",
                 f->host, f->addresses[i]);
    if (f->unseen)
        warn(f, "only this relay itself has looked, so a firewall in front of it was not tested");
}

static void note_caa(struct flight *f)
{
    bool wildcard = strcmp(f->host, f->ask->name) != 0;
    struct err why = { 0 };
    struct caa caa;

    if (f->ask->caa_n == 0)
        return;
    if (caa_find(&caa, f->ask->resolvers, f->host, &why) != 0)
        warn(f, "%s (a CA that cannot look them up does not issue)", why.text);
    else if (caa_unknown(&caa))
        warn(f, "the CAA records of %s have the critical tag %s, which CAs do not know, so that none issues",
             caa.at, caa_unknown(&caa));
    else if (!caa_admits(&caa, wildcard, f->ask->caa, f->ask->caa_n))
        warn(f, "the CAA records of %s do not let %s issue", caa.at, f->ask->caa[0]);
}

/* ---- the flight ---- */

static void make_nonce(struct flight *f)
{
    unsigned char bytes[NONCE_BYTES];

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        abort(); /* no randomness: nothing of TLS works either */
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(f->nonce + 2 * i, 3, "%02x", bytes[i]);
    snprintf(f->path, sizeof f->path, "%s%s", BOARD_CHECK, f->nonce);
}

static int fly(struct flight *f, struct err *e)
{
    int rc;

    make_nonce(f);
    if (find_addresses(f, e) != 0 || ways_put_nonce(f->ask->ways, f->nonce, f->ask->job, e) != 0)
        return -1;
    pass(f, true);
    rc = look_everywhere(f, e);
    pass(f, false);
    ways_take_nonce(f->ask->ways, f->nonce);
    note_addresses(f);
    return rc == 0 ? 0 : explain(f, e);
}

int preflight_run(const struct preflight_ask *ask, struct preflight_result *result, struct err *e)
{
    struct flight f = { .ask = ask, .result = result };
    bool wildcard = strncmp(ask->name, "*.", 2) == 0;
    struct err why = { 0 };
    int rc = 0;

    *result = (struct preflight_result){ 0 };
    snprintf(f.host, sizeof f.host, "%s", ask->name + (wildcard ? 2 : 0));
    note_caa(&f);
    if (wildcard || (!has(ask, CHALLENGE_HTTP_01) && !has(ask, CHALLENGE_TLS_ALPN_01)))
        return 0; /* dns-01 alone, which sees about itself */
    rc = fly(&f, &why);
    if (rc != 0 && ask->has_provider && has(ask, CHALLENGE_DNS_01) && !is_stopped(&why)) {
        warn(&f, "%s (dns-01 may do all the same)", why.text);
        return 0;
    }
    return rc == 0 ? 0 : err_set(e, why.code, "%s", why.text);
}

/* ---- for a person ---- */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static json_t *see(struct flight *f, const char *address, unsigned port)
{
    struct err why = { 0 };
    bool ok;

    f->unseen = false;
    ok = look(f, address, port, &why) == 0;
    return json_pack("{s:s, s:i, s:b, s:o, s:o}", "address", address, "port", (int)port, "ok", ok, "by",
                     json_any_text(f->unseen ? "" : f->result->agent), "why", json_any_text(why.text));
}

/* False: time was up before the last one. */
static bool see_all(struct flight *f, const unsigned *ports, size_t ports_n, int64_t patience_ms,
                    json_t *looks)
{
    const int64_t until_ms = now_ms() + patience_ms;
    bool whole = true;

    pass(f, true);
    for (size_t i = 0; i < f->n * ports_n && whole; i++) {
        whole = now_ms() < until_ms && !job_cancelled(f->ask->job);
        if (whole)
            json_array_append_new(looks, see(f, f->addresses[i / ports_n], ports[i % ports_n]));
    }
    pass(f, false);
    ways_take_nonce(f->ask->ways, f->nonce);
    return whole;
}

json_t *preflight_see(const struct preflight_ask *ask, const unsigned *ports, size_t ports_n,
                      int64_t patience_ms)
{
    struct preflight_result result = { 0 };
    struct flight f = { .ask = ask, .result = &result };
    json_t *looks = json_array();
    struct err why = { 0 };
    bool whole = true;

    snprintf(f.host, sizeof f.host, "%s", ask->name);
    make_nonce(&f);
    if (find_addresses(&f, &why) == 0 && ways_put_nonce(ask->ways, f.nonce, ask->job, &why) == 0)
        whole = see_all(&f, ports, ports_n, patience_ms, looks);
    return json_pack("{s:o, s:b, s:b, s:o}", "error", json_any_text(why.text), "unknown",
                     why.code != ERR_NONE && why.code != ERR_MISSING, "late", !whole, "looks", looks);
}
