/* What the jobs that order certificates need of the relay's other parts: ways to meet challenges, and a look beforehand. All
 * but the start, the reload and the end is called on jobs' threads. */
#include "relay/certs/dns_said.h"
#include "relay/certs/preflight.h"
#include "relay/certs/spread.h"
#include "relay/options.h"
#include "relay/relay_parts.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { CAA_NAMES = 8 };

/* ---- ways ---- */

struct begun {
    struct spread spread;
    struct dns01_way dns;
};

static void *begin(void *user, const struct issuer *by, const struct challenge_ways *ways[CHALLENGE_TYPES],
                   struct err *e)
{
    const struct relay *r = user;
    struct begun *b = mem_new(sizeof *b);

    if (dns01_way_init(&b->dns, r->dns01, by->conf->dns, &by->conf->resolvers, e) != 0) {
        free(b);
        return NULL;
    }
    spread_init(&b->spread, ways_challenges(r->ways), r->errands);
    ways[CHALLENGE_TLS_ALPN_01] = ways[CHALLENGE_HTTP_01] = &b->spread.ways;
    ways[CHALLENGE_DNS_01] = &b->dns.ways;
    return b;
}

static void end(void *begun)
{
    free(begun);
}

/* ---- a look beforehand ---- */

/* Names of the authority in CAA records; they are the directory's. */
static size_t caa_names(const struct acme_directory *d, const char *names[CAA_NAMES])
{
    const json_t *list = json_object_get(json_object_get(d->json, "meta"), "caaIdentities");
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(list) && n < CAA_NAMES; i++)
        if (json_is_string(json_array_get(list, i)))
            names[n++] = json_string_value(json_array_get(list, i));
    return n;
}

static struct publish published(struct relay *r)
{
    struct publish copy;

    uv_mutex_lock(&r->published_lock);
    copy = r->published;
    uv_mutex_unlock(&r->published_lock);
    for (size_t i = 0; i < copy.n; i++)
        copy.list[i] = NULL; /* it points into the other one */
    return copy;
}

static int look(void *user, const struct issuer *by, const char *name, struct job *job, char *warning,
                struct err *e)
{
    struct relay *r = user;
    struct publish ours = published(r);
    const char *caa[CAA_NAMES], *addresses[LANE_PUBLISH];
    struct preflight_result result = { 0 };
    struct acme_directory directory = { 0 };
    struct acme_why why;
    struct lookup resolvers;
    int rc;

    if (lookup_open(&resolvers, &by->conf->resolvers, e) != 0)
        return -1;
    resolvers.job = job;
    for (size_t i = 0; i < ours.n; i++)
        addresses[i] = ours.texts[i];
    acme_why_init(&why);
    const struct preflight_ask ask = {
        .name = name,
        .challenges = { by->challenges[0], by->challenges[1], by->challenges[2] },
        .challenges_n = by->challenges_n,
        .has_provider = by->conf->dns[0],
        .resolvers = &resolvers,
        .publish = addresses,
        .publish_n = ours.n,
        .caa = caa,
        .caa_n = acme_directory_get(by->ca, job, &directory, &why) == 0 ? caa_names(&directory, caa) : 0,
        .ways = r->ways,
        .errands = r->errands,
        .job = job,
    };
    rc = preflight_run(&ask, &result, e);
    strcpy(warning, result.warning);
    acme_directory_free(&directory);
    acme_why_free(&why);
    return rc;
}

/* The resolvers keep nothing for longer than the records allow. */
static int dns(void *user, const struct issuer *by, const char *name, struct job *job, struct buf *out,
               struct err *e)
{
    struct lookup resolvers;

    (void)user;
    if (lookup_open(&resolvers, &by->conf->resolvers, e) != 0)
        return -1;
    resolvers.job = job;
    return dns_said(&resolvers, name, out, e);
}

/* ---- start, reload, end ---- */

void relay_orders_start(struct relay *r)
{
    uv_mutex_init(&r->published_lock);
    r->errands = errands_hold(lanes_errands(r->lanes));
    r->dns01 = dns01_start(r->loop, r->conf, relay_conf_of(r->conf)->base.state_dir, r->errands);
    r->help = (struct obtain_help){ begin, end, look, dns, r };
    relay_orders_reload(r);
}

static void find_published(struct relay *r)
{
    struct publish now;

    publish_find(&now, &relay_conf_of(r->conf)->publish);
    uv_mutex_lock(&r->published_lock);
    r->published = now; /* its list points elsewhere, and is not used */
    uv_mutex_unlock(&r->published_lock);
}

void relay_orders_reload(struct relay *r)
{
    dns01_reload(r->dns01, r->conf);
    find_published(r);
}

/* An interface may get its IPv6 address long after the start. */
void relay_orders_tick(struct relay *r)
{
    dns01_tick(r->dns01);
    find_published(r);
}

void relay_orders_free(struct relay *r)
{
    if (!r->dns01)
        return;
    dns01_free(r->dns01);
    errands_release(r->errands);
    uv_mutex_destroy(&r->published_lock);
}
