/* agent/certs/outside.h - how a site looks from this house, for a relay: it cannot see a firewall that stands in front of it.
 *
 * Alive on the loop from outside_start until it calls `ended`, once, last, after outside_stop. A relay may have asked for that
 * path alone which it answers itself, for names of ours, and at addresses where these are found. */
#ifndef AGENT_CERTS_OUTSIDE_H
#define AGENT_CERTS_OUTSIDE_H
#include "shared/lane_types.h"
#include "shared/loop.h"
#include "shared/opt.h"

#define OUTSIDE_PATH "/.well-known/tunnel-check/"

struct outside;

struct outside_events {
    void (*answered)(void *user, const char *relay, const struct lane_msg *m); /* a fetched */
    void (*ended)(void *user);
};

struct outside *outside_start(struct loop *loop, const struct outside_events *events, void *user);
/* A fetch. published: the relay says that this address is one of its own, which is enough for a public one; else the DNS has to
 * say so. conf is borrowed for the call. */
void outside_hear(struct outside *o, const struct opt_conf *conf, const char *relay, bool published,
                  const struct lane_msg *m);
void outside_stop(struct outside *o);

/* What is against it; code ERR_NONE: nothing. Pure. */
must_check int outside_rule(const struct opt_conf *conf, const char *relay, const struct lane_msg *fetch,
                            struct err *e);
#endif
