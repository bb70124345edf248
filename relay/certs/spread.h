/* relay/certs/spread.h - http-01 and tls-alpn-01 at all relays where a name is published: this one's own ways, and what its
 * agents pass on to the others. For job threads. */
#ifndef RELAY_CERTS_SPREAD_H
#define RELAY_CERTS_SPREAD_H
#include "relay/certs/challenge.h"
#include "relay/lanes/errands.h"

/* A value; must not move. */
struct spread {
    struct challenge_ways ways;
    const struct challenge_ways *own;
    struct errands *errands;
};

/* Borrows both. */
void spread_init(struct spread *s, const struct challenge_ways *own, struct errands *errands);
#endif
