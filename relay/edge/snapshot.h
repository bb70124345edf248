/* relay/edge/snapshot.h - what the control plane publishes and the workers read: sites, their certificates and lanes.
 *
 * Built by one thread, then immutable and counted: each worker holds one reference to the current one. */
#ifndef RELAY_EDGE_SNAPSHOT_H
#define RELAY_EDGE_SNAPSHOT_H
#include "relay/edge/challenges.h"
#include "relay/edge/counts.h"
#include "relay/edge/crowd.h"
#include "relay/edge/guard.h"
#include "shared/host_port.h"
#include "shared/http/h1.h"
#include "shared/lane_types.h"
#include "shared/policy.h"
#include "shared/proxy2.h"

#include <openssl/ssl.h>
#include <time.h>

struct snap_lane {
    uint64_t id;       /* never reused while the relay runs */
    const char *agent; /* "": there is none, but plain TCP to `plain` */
    const char *boot;  /* which of its machines; "" where there is no agent */
    struct host_port plain;
    uint16_t port; /* on 127.0.0.1 */
    int64_t claim; /* serial of the one in force: older streams may lead to other services */
    bool busy;     /* answers late: for others first */
    unsigned char secret[PROXY2_SECRET_BYTES];
    struct counts *counts;
};

/* A lane that is up, as a way to one service. */
struct snap_way {
    const struct snap_lane *lane;
    int64_t priority; /* the lowest that is up gets all */
    enum policy_http2 http2;
};

/* Where requests go: a service of the site, by the lanes that lead to it. */
struct snap_target {
    const char *item;  /* "domain:NAME", as claimed */
    const char *route; /* path, as claimed; "": the site's own service */
    struct snap_way *lanes;
    size_t lanes_n;
    bool fixed; /* by the relay's own configuration: not by lanes of agents */
};

struct snap_site {
    const char *name, *agent; /* as claimed; who had it first, or NULL */
    struct snap_target own;
    struct snap_target *routes; /* the longest path first */
    size_t routes_n;
    SSL_CTX *tls; /* NULL: it ends the TLS of its visitors itself */
    struct counts *counts;
    time_t away_since; /* while no lane serves it; 0: that is not known */
    struct policy policy;
    const struct snap_guard *guard; /* NULL: everybody comes in */
    bool trusted_cert, names_apart; /* by browsers, as far as we know; some names have certificates apart */
};

struct snap_rules {       /* what counts for every connection, whatever it asks for */
    struct cidrs trusted; /* proxies whose word is taken */
    struct h1_limits limits;
    bool http2; /* is offered to those who come with TLS */
    struct crowd_limits crowd;
};

struct snap_down {
    const struct snap_lane *lane;
    const char *item, *route;
    enum lane_service how;
};

struct snapshot *snapshot_new(void); /* with one reference */
/* What TLS connections begin with, and the certificate for unknown names (NULL: they are refused). */
void snapshot_set_tls(struct snapshot *s, SSL_CTX *begin, SSL_CTX *fallback);
void snapshot_set_rules(struct snapshot *s, const struct snap_rules *rules); /* copied */
void snapshot_set_challenges(struct snapshot *s, struct challenges *c);      /* gets a reference of its own */
/* While building. Secrets and texts are copied, contexts and counts get references of their own. */
const struct snap_lane *snapshot_add_lane(struct snapshot *s, uint64_t id, const char *agent,
                                          const char *boot, int64_t claim, uint16_t port, bool busy,
                                          const unsigned char secret[PROXY2_SECRET_BYTES],
                                          struct counts *counts);
const struct snap_lane *snapshot_add_plain(struct snapshot *s, uint64_t id, const struct host_port *to,
                                           struct counts *counts);
struct snap_site *snapshot_add_site(struct snapshot *s, const char *name, SSL_CTX *tls,
                                    const struct policy *policy, struct counts *counts);
void snapshot_add_name(struct snapshot *s, struct snap_site *site, const char *name, bool trusted);
void snapshot_show_apart(struct snapshot *s, SSL_CTX *tls, bool trusted_cert); /* by the name added last */
bool snapshot_has_site(const struct snapshot *s, const char *name);
/* A path of the site of this name is served by this lane alone, whatever is claimed. The path is copied. */
void snapshot_add_route(struct snapshot *s, const char *name, const char *path, const struct snap_lane *to);
/* To the site of this name and its claimed routes, if it is there. policy: as this lane's agent claims it, or NULL. */
void snapshot_add_site_lane(struct snapshot *s, const char *name, const struct snap_lane *lane,
                            int64_t priority, const json_t *policy);
/* The service of this route ("": the site's own) is down at the other end of this lane, as its agent says. */
void snapshot_add_down(struct snapshot *s, const char *name, const char *route, enum lane_service how,
                       const struct snap_lane *lane);
void snapshot_finish(struct snapshot *s); /* ends the building */
struct snapshot *snapshot_hold(struct snapshot *s);
void snapshot_release(struct snapshot *s); /* NULL is fine */

/* By host name: any case, with or without a trailing dot, no port. Exact before wildcard. NULL: unknown. */
const struct snap_site *snapshot_find(const struct snapshot *s, struct str host);
/* Whether browsers trust the certificate that this name of the site is shown with. */
bool snapshot_browsers_trust(const struct snapshot *s, const struct snap_site *site, struct str host);
const char *snapshot_nameless(const struct snapshot *s, const char *address); /* see snapshot.c */
/* Which context to go on with for this server name; "" when the visitor sent none. NULL: refuse it. validates: see tls.h. */
SSL_CTX *snapshot_pick_tls(const struct snapshot *s, struct str server_name, bool validates);
const struct challenges *snapshot_challenges(const struct snapshot *s); /* borrowed; NULL: there are none */
bool snapshot_trusted(const struct snapshot *s, const char *host); /* the site's certificate is good for it */
/* The site that ends the TLS for this server name itself, if there is any; NULL: we do, or nobody. */
const struct snap_site *snapshot_passes(const struct snapshot *s, struct str server_name);
bool snapshot_has_passthrough(const struct snapshot *s);
SSL_CTX *snapshot_tls_begin(const struct snapshot *s); /* borrowed */
const struct snap_rules *snapshot_rules(const struct snapshot *s);
bool snap_lane_is_plain(const struct snap_lane *lane);
bool snap_target_is_shared(const struct snap_target *target); /* its lanes lead to more than one machine */
size_t snapshot_downs(const struct snapshot *s, const struct snap_down **downs);
size_t snapshot_lanes(const struct snapshot *s, const struct snap_lane *const **lanes);
#endif
