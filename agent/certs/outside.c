/* The life of a look from outside:
 *
 *   a relay's fetch: may it? ── no ──▶ fetched, not tried
 *      └── yes ──▶ a job: is the address the name's? ── GET ──▶ fetched: the nonce came back, or what came instead */
#include "agent/certs/outside.h"

#include "agent/certs/claimed.h"
#include "agent/options.h"
#include "shared/cidr.h"
#include "shared/dns/lookup.h"
#include "shared/domain.h"
#include "shared/http/fetch.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/public_ip.h"
#include "shared/str.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOKS_MAX = 8, FETCH_MS = 10000, NONCE_MAX = 128, BODY_BYTES = 4096 };

struct look {
    struct look *next;
    struct outside *outside;
    char relay[64], name[DOMAIN_BYTES], address[64], path[sizeof OUTSIDE_PATH + NONCE_MAX];
    unsigned port;
    bool published;
    json_t *id;
    struct lookup lookup;
    struct job *job; /* the loop's */
    bool ok;
    int64_t status;
    struct err why;
};

struct outside {
    struct loop *loop;
    const struct outside_events *events;
    void *user;
    struct look *looks;
    uv_timer_t end; /* its closing ends us from the loop */
    bool stopping, closed;
};

static void end_if_done(struct outside *o);

/* ---- may it? ---- */

static bool is_path(const char *path)
{
    static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const size_t n = sizeof OUTSIDE_PATH - 1;
    size_t nonce;

    if (strncmp(path, OUTSIDE_PATH, n) != 0)
        return false;
    nonce = strspn(path + n, base64url);
    return nonce > 0 && nonce <= NONCE_MAX && path[n + nonce] == 0;
}

int outside_rule(const struct opt_conf *conf, const char *relay, const struct lane_msg *fetch, struct err *e)
{
    struct sockaddr_storage address;

    if (!claimed_at(conf, relay, fetch->fetch.name))
        return err_set(e, ERR_INPUT, "the agent does not claim %.200s, so it does not look at it",
                       fetch->fetch.name);
    if (fetch->fetch.port != 80 && fetch->fetch.port != 443)
        return err_set(e, ERR_INPUT, "the agent looks at ports 80 and 443 alone");
    if (!is_path(fetch->fetch.path))
        return err_set(e, ERR_INPUT, "the agent looks at %s and a nonce alone", OUTSIDE_PATH);
    if (!cidr_address(str_of(fetch->fetch.address), &address))
        return err_set(e, ERR_INPUT, "%.60s is no address", fetch->fetch.address);
    return 0;
}

/* ---- the job ---- */

/* As the public sees it: the relay's own word is not enough to make this house connect to just any machine, least of all to
 * one of its own network. */
static int check_address(struct look *k, const struct sockaddr_storage *to)
{
    struct dns_rrset set;
    bool found = k->published && !public_ip_wrong((const struct sockaddr *)to);
    int rc = 0;

    dns_rrset_init(&set, k->name, to->ss_family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA);
    if (!found)
        rc = lookup(&k->lookup, &set, &k->why);
    found = found || dns_rrset_has(&set, k->address);
    dns_rrset_free(&set);
    if (rc != 0)
        return err_wrap(&k->why, "this house cannot look %s up", k->name);
    return found ? 0
                 : err_set(&k->why, ERR_INPUT,
                           "this house finds no address %s for %s, so it does not look there", k->address,
                           k->name);
}

/* No packet is sent: the kernel only says whether it would know where to. */
static int check_route(struct look *k, const struct sockaddr_storage *to)
{
    struct sockaddr_storage at = *to;
    int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

    ((struct sockaddr_in *)(void *)&at)->sin_port = htons(53); /* lies alike in both families */
    rc = fd < 0
             ? -1
             : connect(fd, (const struct sockaddr *)&at,
                       to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    if (rc != 0)
        err_errno(&k->why, errno, "this house has no way to %s addresses such as %s",
                  to->ss_family == AF_INET ? "IPv4" : "IPv6", k->address);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void judge(struct look *k, const struct fetch_reply *reply)
{
    const char *nonce = k->path + sizeof OUTSIDE_PATH - 1;
    struct str body = { buf_bytes(&reply->body), reply->body.len };

    while (body.n > 0 && (body.p[body.n - 1] == '\n' || body.p[body.n - 1] == '\r'))
        body.n--;
    k->status = reply->status;
    k->ok = reply->status == 200 && str_eq(body, nonce);
    if (k->ok)
        return;
    if (reply->status == 200)
        err_set(&k->why, ERR_PEER, "%s port %u answers something else than this relay does", k->address,
                k->port);
    else
        err_set(&k->why, ERR_PEER, "%s port %u answers with HTTP status %d", k->address, k->port,
                reply->status);
}

static void get(struct look *k, struct job *job)
{
    char *url = mem_format(strchr(k->name, ':') ? "%s://[%s]%s" : "%s://%s%s",
                           k->port == 443 ? "https" : "http", k->name, k->path);
    const struct fetch_request request = { .method = "GET",
                                           .url = url,
                                           .at = k->address,
                                           .any_certificate = true,
                                           .direct = true,
                                           .timeout_ms = FETCH_MS,
                                           .max_bytes = BODY_BYTES,
                                           .job = job };
    struct fetch_reply reply = { 0 };

    k->status = 0;
    if (fetch(&request, &reply, &k->why) == 0)
        judge(k, &reply);
    else
        err_wrap(&k->why, "%s port %u", k->address, k->port);
    fetch_reply_free(&reply);
    free(url);
}

/* On the thread. */
static void run(struct job *job, void *user)
{
    struct look *k = user;
    struct sockaddr_storage to;

    k->lookup.job = job;
    k->status = LANE_FETCH_NOT_TRIED;
    if (cidr_address(str_of(k->address), &to) && check_address(k, &to) == 0 && check_route(k, &to) == 0)
        get(k, job);
}

/* ---- asked and answered ---- */

static void answer(struct outside *o, const char *relay, json_t *id, bool ok, int64_t status, const char *why)
{
    const struct lane_msg m = { .type = LANE_FETCHED,
                                .done = { .id = id, .ok = ok, .status = status, .why = why } };

    o->events->answered(o->user, relay, &m);
}

static void forget(struct look *k)
{
    struct look **at = &k->outside->looks;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    json_decref(k->id);
    free(k);
}

static void on_job_ended(void *user)
{
    struct look *k = user;
    struct outside *o = k->outside;

    if (!o->stopping) {
        log_info("looked from outside for a relay", kv_str("relay", k->relay), kv_str("domain", k->name),
                 kv_str("peer", k->address), kv_int("port", k->port),
                 kv_str("error", k->ok ? "" : k->why.text));
        answer(o, k->relay, k->id, k->ok, k->status, k->ok ? "" : k->why.text);
    }
    forget(k);
    end_if_done(o);
}

static struct look *look_new(struct outside *o, const char *relay, bool published, const struct lane_msg *m)
{
    struct look *k = mem_new(sizeof *k);

    k->outside = o;
    snprintf(k->relay, sizeof k->relay, "%s", relay);
    snprintf(k->name, sizeof k->name, "%s", m->fetch.name);
    snprintf(k->address, sizeof k->address, "%s", m->fetch.address);
    snprintf(k->path, sizeof k->path, "%s", m->fetch.path);
    k->port = (unsigned)m->fetch.port;
    k->published = published;
    k->id = json_incref(m->fetch.id);
    k->next = o->looks;
    o->looks = k;
    return k;
}

static size_t count(const struct outside *o)
{
    size_t n = 0;

    for (const struct look *k = o->looks; k; k = k->next)
        n++;
    return n;
}

void outside_hear(struct outside *o, const struct opt_conf *conf, const char *relay, bool published,
                  const struct lane_msg *m)
{
    struct err why = { 0 };
    struct look *k;

    if (o->stopping)
        return;
    if (outside_rule(conf, relay, m, &why) == 0 && count(o) >= LOOKS_MAX)
        err_set(&why, ERR_LIMIT, "the agent looks at %d places already", LOOKS_MAX);
    if (why.code != ERR_NONE) {
        log_warn_limited(relay, "a relay asks for a look that it does not get", kv_str("relay", relay),
                         kv_str("error", why.text));
        answer(o, relay, m->fetch.id, false, LANE_FETCH_NOT_TRIED, why.text);
        return;
    }
    k = look_new(o, relay, published, m);
    if (lookup_open(&k->lookup, &agent_conf_of(conf)->resolvers, &why) == 0)
        k->job = job_start(o->loop, run, on_job_ended, k, &why);
    if (k->job)
        return;
    answer(o, relay, m->fetch.id, false, LANE_FETCH_NOT_TRIED, why.text);
    forget(k);
}

/* ---- start and end ---- */

struct outside *outside_start(struct loop *loop, const struct outside_events *events, void *user)
{
    struct outside *o = mem_new(sizeof *o);

    o->loop = loop;
    o->events = events;
    o->user = user;
    uv_timer_init(&loop->uv, &o->end);
    o->end.data = o;
    return o;
}

static void on_closed(uv_handle_t *handle)
{
    struct outside *o = handle->data;

    o->closed = true;
    end_if_done(o);
}

void outside_stop(struct outside *o)
{
    if (o->stopping)
        return;
    o->stopping = true;
    for (struct look *k = o->looks; k; k = k->next)
        job_cancel(k->job);
    uv_close((uv_handle_t *)&o->end, on_closed);
}

static void end_if_done(struct outside *o)
{
    void (*ended)(void *user) = o->events->ended;
    void *user = o->user;

    if (!o->stopping || !o->closed || o->looks)
        return;
    free(o);
    ended(user);
}
