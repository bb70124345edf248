/* relay/certs/dns01.h - dns-01: a TXT value where a CA looks for it, set by a [provider] of this relay, or by that of an agent
 * that serves the name.
 *
 * Alive on the loop from dns01_start to `closed`; jobs may hold it for longer, until dns01_free. What this relay sets is written
 * down in STATE_DIR/dns01.json before, so that the next start takes away what was left behind. */
#ifndef RELAY_CERTS_DNS01_H
#define RELAY_CERTS_DNS01_H
#include "relay/certs/challenge.h"
#include "relay/lanes/errands.h"
#include "shared/dns/lookup.h"
#include "shared/opt.h"

struct dns01;

/* Holds errands. Begins to take away what was left behind. */
struct dns01 *dns01_start(struct loop *loop, const struct opt_conf *conf, const char *state_dir,
                          struct errands *errands);
void dns01_reload(struct dns01 *d, const struct opt_conf *conf); /* the [provider] sections */
void dns01_tick(struct dns01 *d);                                /* now and then: tries again to take away */
void dns01_stop(struct dns01 *d, void (*closed)(void *user), void *user);
void dns01_free(struct dns01 *d); /* once closed, and when every job that uses it has ended. NULL is fine */

/* For the orders of one issuer. A value; must not move. */
struct dns01_way {
    struct challenge_ways ways; /* for jobs' threads, any number at once */
    struct dns01 *dns01;
    char provider[64]; /* "": that of the agent */
    struct lookup lookup;
};
/* provider: name of a [provider], or "". Copies both. */
must_check int dns01_way_init(struct dns01_way *w, struct dns01 *d, const char *provider,
                              const struct opt_words *resolvers, struct err *e);
#endif
