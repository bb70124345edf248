/* relay/edge/snapshot_parts.h - what snapshot.c and snapshot_ports.c share. */
#ifndef RELAY_EDGE_SNAPSHOT_PARTS_H
#define RELAY_EDGE_SNAPSHOT_PARTS_H
#include "relay/edge/banned.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/snapshot_ports.h"
#include "shared/arena.h"

#include <stdatomic.h>

struct name {
    const char *host; /* normalized */
    struct snap_site *site;
    SSL_CTX *tls; /* NULL: the site's */
    bool trusted;
    bool by_browsers; /* of a certificate apart: whether they trust that */
};

/* Addresses that an agent refuses at what it serves. */
struct snap_agent_bans {
    const char *agent;
    struct banned *bans;
};

struct snapshot {
    atomic_int refs;
    struct arena texts;
    struct snap_rules rules;
    SSL_CTX *tls_begin, *tls_fallback; /* either may be NULL */
    struct challenges *challenges;     /* likewise */
    struct snap_lane **lanes;
    struct snap_site **sites;
    struct snap_port **ports;
    struct name *names;
    struct snap_down *downs;
    size_t lanes_n, sites_n, ports_n, names_n, downs_n;
    const char *address; /* the only address that is a name of a site; NULL: there is none, or another */
    struct banned *bans; /* for all; NULL: none */
    struct snap_agent_bans *agent_bans;
    size_t agent_bans_n;
    bool sorted;
    bool passes; /* some site ends its visitors' TLS itself */
};

void snapshot_add_target_lane(struct snap_target *target, const struct snap_lane *lane, int64_t priority,
                              const json_t *policy);
void snapshot_add_target_down(struct snapshot *s, const struct snap_target *target, const char *route,
                              enum lane_service how, const struct snap_lane *lane);
void snapshot_free_ports(struct snapshot *s);
void snapshot_free_bans(struct snapshot *s);
#endif
