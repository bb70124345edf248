/* relay/edge/parking.h - requests that wait for a house that is away.
 *
 * One for each worker. A request is woken when its site has a lane again, in the order of their coming and not all at once,
 * because that house has just come back; or when its time is over. */
#ifndef RELAY_EDGE_PARKING_H
#define RELAY_EDGE_PARKING_H
#include "relay/edge/snapshot.h"
#include "shared/loop.h"

#include <stdbool.h>

enum { PARKING_REQUESTS = 512, PARKING_PER_SITE = 128 };

struct parking;

/* Embedded by who waits; zeroed at first. */
struct parked {
    struct parked *prev, *next;
    struct parking *parking; /* NULL: does not wait */
    const char *site;        /* its name; borrowed */
    int64_t until_ms;
    /* Not any more when this is called; there: the site has a lane again. */
    void (*wake)(struct parked *who, bool there);
};

struct parking *parking_new(struct loop *loop);
void parking_stop(struct parking *p, void (*closed)(void *user), void *user); /* wakes all; frees itself */
/* False: too many wait already. */
bool parking_enter(struct parking *p, struct parked *who, const char *site, int64_t ms);
void parking_leave(struct parked *who); /* also when it does not wait */
/* There is another snapshot; it is borrowed until the next one. */
void parking_follow(struct parking *p, const struct snapshot *snapshot);
#endif
