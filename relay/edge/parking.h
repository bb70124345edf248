/* relay/edge/parking.h - requests that wait for a house that is away.
 *
 * Alive on a worker's loop. Who waits is woken when his site has a lane again, in the order of coming and a few at a time,
 * because that house has just come back; or when his time is over. */
#ifndef RELAY_EDGE_PARKING_H
#define RELAY_EDGE_PARKING_H
#include "relay/edge/snapshot.h"
#include "shared/loop.h"

#include <stdbool.h>

/* Of all workers together. */
enum {
    PARKING_REQUESTS = 2048,
    PARKING_PER_SITE = 512,
    PARKING_BYTES = 32 * 1024 * 1024, /* heads, and what has come of bodies */
    PARKING_PACE = 16, /* so many are woken for a lane, and then as many each PARKING_PACE_MS */
    PARKING_PACE_MS = 100,
    PARKING_NEWS_MS = 1000, /* so long it may take until a lane that has died is known to be gone */
};

struct parking;

/* Where he goes, by a key of his; NULL: nowhere any more. */
typedef const struct snap_target *(*parking_find_cb)(const struct snapshot *s, const char *key);

enum parking_news {
    PARKING_NONE,
    PARKING_LANE, /* the site has a lane, or there is no such site any more */
    PARKING_SAME, /* it has only the lane that failed, which lives after all */
    PARKING_OVER, /* of the time; or nobody may wait any longer */
};

/* Embedded by who waits; zeroed at first. Once woken, or having left, he may come again: what is left of his time counts. */
struct parked {
    struct parked *prev, *next;
    struct parking *parking; /* NULL: does not wait */
    char *host;
    parking_find_cb find;
    struct counts *counts;
    uint64_t not_lane;
    size_t bytes;
    int64_t since_ms, until_ms; /* until: 0 before the first time */
    enum parking_news news;
    void (*wake)(void *user, enum parking_news news); /* he does not wait any more; may do anything */
    void *user;
};

struct parking_place {
    struct str host;       /* by which the site is found; copied */
    parking_find_cb find;  /* by which host finds something else; NULL: a site */
    struct counts *counts; /* of the site: `parked` says how many wait for it */
    uint64_t not_lane;     /* which has failed him; 0: none */
    size_t bytes;          /* that he holds */
    int64_t ms;            /* the whole time that he may wait */
};

struct parking *parking_new(struct loop *loop, unsigned workers);
/* False: his time is over, or too many or too much wait already. */
bool parking_enter(struct parking *p, struct parked *who, const struct parking_place *place);
/* He holds more. False: too much. */
bool parking_grow(struct parked *who, size_t bytes);
void parking_leave(struct parked *who); /* also when he does not wait */
/* There is another snapshot; it is borrowed until the next one. */
void parking_follow(struct parking *p, const struct snapshot *snapshot);
void parking_drain(struct parking *p); /* wakes all, and lets nobody in any more */
/* The same; frees itself after `closed`. */
void parking_stop(struct parking *p, void (*closed)(void *user), void *user);
#endif
