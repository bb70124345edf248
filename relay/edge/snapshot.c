#include "relay/edge/snapshot.h"

#include "relay/edge/snapshot_parts.h"
#include "shared/domain.h"
#include "shared/mem.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct snapshot *snapshot_new(void)
{
    struct snapshot *s = mem_new(sizeof *s);

    atomic_init(&s->refs, 1);
    arena_init(&s->texts, 0);
    return s;
}

void snapshot_set_tls(struct snapshot *s, SSL_CTX *begin, SSL_CTX *fallback)
{
    s->tls_begin = begin;
    s->tls_fallback = fallback;
    SSL_CTX_up_ref(begin);
    if (fallback)
        SSL_CTX_up_ref(fallback);
}

void snapshot_set_rules(struct snapshot *s, const struct snap_rules *rules)
{
    size_t size = rules->trusted.n * sizeof *rules->trusted.list;

    s->rules = *rules;
    if (size > 0)
        s->rules.trusted.list = memcpy(arena_get(&s->texts, size), rules->trusted.list, size);
}

void snapshot_set_challenges(struct snapshot *s, struct challenges *c)
{
    s->challenges = challenges_hold(c);
}

static struct snap_lane *add_lane(struct snapshot *s, uint64_t id, const char *agent, const char *boot,
                                  struct counts *counts)
{
    struct snap_lane *lane = mem_new(sizeof *lane);

    lane->id = id;
    lane->agent = arena_copy(&s->texts, agent);
    lane->boot = arena_copy(&s->texts, boot);
    lane->counts = counts_hold(counts);
    s->lanes = mem_grow(s->lanes, (s->lanes_n + 1) * sizeof(void *));
    s->lanes[s->lanes_n++] = lane;
    return lane;
}

const struct snap_lane *snapshot_add_lane(struct snapshot *s, uint64_t id, const char *agent,
                                          const char *boot, int64_t claim, uint16_t port, bool busy,
                                          const unsigned char secret[PROXY2_SECRET_BYTES],
                                          struct counts *counts)
{
    struct snap_lane *lane = add_lane(s, id, agent, boot, counts);

    lane->claim = claim;
    lane->port = port;
    lane->busy = busy;
    memcpy(lane->secret, secret, sizeof lane->secret);
    return lane;
}

const struct snap_lane *snapshot_add_plain(struct snapshot *s, uint64_t id, const struct host_port *to,
                                           struct counts *counts)
{
    struct snap_lane *lane = add_lane(s, id, "", "", counts);

    lane->plain = *to;
    return lane;
}

bool snap_target_is_shared(const struct snap_target *target)
{
    for (size_t i = 1; i < target->lanes_n; i++) {
        const struct snap_lane *first = target->lanes[0].lane, *other = target->lanes[i].lane;

        if (strcmp(first->agent, other->agent) != 0 || strcmp(first->boot, other->boot) != 0)
            return true;
    }
    return false;
}

bool snap_lane_is_plain(const struct snap_lane *lane)
{
    return lane->plain.port != 0;
}

struct snap_site *snapshot_add_site(struct snapshot *s, const char *name, SSL_CTX *tls,
                                    const struct policy *policy, struct counts *counts)
{
    struct snap_site *site = mem_new(sizeof *site);
    char item[DOMAIN_BYTES + 8];

    snprintf(item, sizeof item, "domain:%s", name);
    site->name = arena_copy(&s->texts, name);
    site->own = (struct snap_target){ .item = arena_copy(&s->texts, item), .route = "" };
    site->tls = tls;
    if (tls)
        SSL_CTX_up_ref(tls);
    s->passes = s->passes || policy->tls == POLICY_PASSTHROUGH;
    policy_copy(&site->policy, policy, &s->texts);
    site->guard = guard_new(name, &site->policy, &s->texts);
    site->routes = mem_new((site->policy.routes_n + 1) * sizeof *site->routes);
    for (size_t i = 0; i < site->policy.routes_n; i++)
        site->routes[site->routes_n++] =
            (struct snap_target){ .item = site->own.item, .route = site->policy.routes[i] };
    site->counts = counts_hold(counts);
    s->sites = mem_grow(s->sites, (s->sites_n + 1) * sizeof(void *));
    s->sites[s->sites_n++] = site;
    return site;
}

void snapshot_add_name(struct snapshot *s, struct snap_site *site, const char *name, bool trusted)
{
    s->names = mem_grow(s->names, (s->names_n + 1) * sizeof *s->names);
    s->names[s->names_n++] =
        (struct name){ .host = arena_copy(&s->texts, name), .site = site, .trusted = trusted };
    s->sorted = false;
}

void snapshot_show_apart(struct snapshot *s, SSL_CTX *tls, bool trusted_cert)
{
    struct name *name = &s->names[s->names_n - 1];

    SSL_CTX_up_ref(tls);
    name->tls = tls;
    name->by_browsers = trusted_cert;
    name->site->names_apart = true;
}

void snapshot_add_target_lane(struct snap_target *target, const struct snap_lane *lane, int64_t priority,
                              const json_t *policy)
{
    if (target->fixed)
        return;
    target->lanes = mem_grow(target->lanes, (target->lanes_n + 1) * sizeof *target->lanes);
    target->lanes[target->lanes_n++] =
        (struct snap_way){ .lane = lane, .priority = priority, .http2 = policy_http2(policy, target->route) };
}

static int longest_first(const void *a, const void *b)
{
    size_t n = strlen(((const struct snap_target *)a)->route),
           m = strlen(((const struct snap_target *)b)->route);

    return (n < m) - (n > m);
}

static void set_route(struct snapshot *s, struct snap_site *site, const char *path,
                      const struct snap_lane *plain)
{
    struct snap_target *target = NULL;

    for (size_t i = 0; i < site->routes_n && !target; i++)
        target = strcmp(site->routes[i].route, path) == 0 ? &site->routes[i] : NULL;
    if (!target) {
        site->routes = mem_grow(site->routes, (site->routes_n + 1) * sizeof *site->routes);
        target = &site->routes[site->routes_n++];
        *target = (struct snap_target){ .item = site->own.item, .route = arena_copy(&s->texts, path) };
    }
    snapshot_add_target_lane(target, plain, 0, NULL);
    target->fixed = true;
    qsort(site->routes, site->routes_n, sizeof *site->routes, longest_first);
}

static struct snap_site *find_site(const struct snapshot *s, const char *name)
{
    for (size_t i = 0; i < s->sites_n; i++)
        if (strcmp(s->sites[i]->name, name) == 0)
            return s->sites[i];
    return NULL;
}

bool snapshot_has_site(const struct snapshot *s, const char *name)
{
    for (size_t i = 0; i < s->sites_n; i++)
        if (strcmp(s->sites[i]->name, name) == 0)
            return true;
    return false;
}

void snapshot_add_route(struct snapshot *s, const char *name, const char *path, const struct snap_lane *to)
{
    struct snap_site *site = find_site(s, name);

    if (site)
        set_route(s, site, path, to);
}

void snapshot_add_site_lane(struct snapshot *s, const char *name, const struct snap_lane *lane,
                            int64_t priority, const json_t *policy)
{
    struct snap_site *site = find_site(s, name);

    if (!site)
        return;
    snapshot_add_target_lane(&site->own, lane, priority, policy);
    for (size_t i = 0; i < site->routes_n; i++)
        snapshot_add_target_lane(&site->routes[i], lane, priority, policy);
}

void snapshot_add_target_down(struct snapshot *s, const struct snap_target *target, const char *route,
                              enum lane_service how, const struct snap_lane *lane)
{
    s->downs = mem_grow(s->downs, (s->downs_n + 1) * sizeof *s->downs);
    s->downs[s->downs_n++] = (struct snap_down){ lane, target->item, arena_copy(&s->texts, route), how };
}

void snapshot_add_down(struct snapshot *s, const char *name, const char *route, enum lane_service how,
                       const struct snap_lane *lane)
{
    const struct snap_site *site = find_site(s, name);

    if (site)
        snapshot_add_target_down(s, &site->own, route, how, lane);
}

size_t snapshot_downs(const struct snapshot *s, const struct snap_down **downs)
{
    *downs = s->downs;
    return s->downs_n;
}

static int by_host(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->host, ((const struct name *)b)->host);
}

/* Behind NAT visitors come to an address of ours that is not the one that they have asked for. */
static void find_address(struct snapshot *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->names_n; i++)
        if (domain_is_address(s->names[i].host)) {
            s->address = s->names[i].host;
            n++;
        }
    if (n > 1)
        s->address = NULL;
}

void snapshot_finish(struct snapshot *s)
{
    find_address(s);
    if (s->names_n > 0)
        qsort(s->names, s->names_n, sizeof *s->names, by_host);
    s->sorted = true;
}

struct snapshot *snapshot_hold(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_release(struct snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < s->lanes_n; i++) {
        OPENSSL_cleanse(s->lanes[i]->secret, sizeof s->lanes[i]->secret);
        counts_release(s->lanes[i]->counts);
        free(s->lanes[i]);
    }
    for (size_t i = 0; i < s->sites_n; i++) {
        SSL_CTX_free(s->sites[i]->tls);
        counts_release(s->sites[i]->counts);
        for (size_t j = 0; j < s->sites[i]->routes_n; j++)
            free(s->sites[i]->routes[j].lanes);
        free(s->sites[i]->routes);
        free(s->sites[i]->own.lanes);
        free(s->sites[i]);
    }
    for (size_t i = 0; i < s->names_n; i++)
        SSL_CTX_free(s->names[i].tls);
    snapshot_free_ports(s);
    snapshot_free_bans(s);
    SSL_CTX_free(s->tls_begin);
    SSL_CTX_free(s->tls_fallback);
    challenges_release(s->challenges);
    free(s->lanes);
    free(s->sites);
    free(s->names);
    free(s->downs);
    arena_free(&s->texts);
    free(s);
}

static const struct name *find_exact(const struct snapshot *s, const char *host)
{
    const struct name key = { .host = host };

    return s->names_n > 0 ? bsearch(&key, s->names, s->names_n, sizeof key, by_host) : NULL;
}

static const struct name *find(const struct snapshot *s, struct str host)
{
    char name[DOMAIN_BYTES + 1];
    const struct name *found;
    char *dot;

    if (!domain_normalize(host, name))
        return NULL;
    found = find_exact(s, name);
    dot = strchr(name, '.');
    if (!found && dot && dot > name) {
        dot[-1] = '*'; /* "www.a.com" -> "*.a.com": a wildcard covers one label */
        found = find_exact(s, dot - 1);
    }
    return found;
}

const struct snap_site *snapshot_find(const struct snapshot *s, struct str host)
{
    const struct name *found = find(s, host);

    return found ? found->site : NULL;
}

bool snapshot_browsers_trust(const struct snapshot *s, const struct snap_site *site, struct str host)
{
    const struct name *found = site->names_apart ? find(s, host) : NULL;

    return found && found->tls ? found->by_browsers : site->trusted_cert;
}

bool snapshot_trusted(const struct snapshot *s, const char *host)
{
    const struct name *found = find(s, str_of(host));

    return found && found->trusted;
}

/* Who names no server has asked for an address. Which one, when he came to this one of ours? */
const char *snapshot_nameless(const struct snapshot *s, const char *address)
{
    return s->address && !find_exact(s, address) ? s->address : address;
}

SSL_CTX *snapshot_pick_tls(const struct snapshot *s, struct str server_name, bool validates)
{
    const struct name *found;

    if (validates)
        return challenges_tls(s->challenges, server_name);
    found = find(s, server_name);
    if (!found)
        return s->tls_fallback;
    return found->tls ? found->tls : found->site->tls;
}

const struct challenges *snapshot_challenges(const struct snapshot *s)
{
    return s->challenges;
}

bool snapshot_has_passthrough(const struct snapshot *s)
{
    return s->passes;
}

const struct snap_site *snapshot_passes(const struct snapshot *s, struct str server_name)
{
    const struct snap_site *site = s->passes ? snapshot_find(s, server_name) : NULL;

    return site && site->policy.tls == POLICY_PASSTHROUGH ? site : NULL;
}

const struct snap_rules *snapshot_rules(const struct snapshot *s)
{
    return &s->rules;
}

SSL_CTX *snapshot_tls_begin(const struct snapshot *s)
{
    return s->tls_begin;
}

size_t snapshot_lanes(const struct snapshot *s, const struct snap_lane *const **lanes)
{
    *lanes = (const struct snap_lane *const *)s->lanes;
    return s->lanes_n;
}
