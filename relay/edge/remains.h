/* relay/edge/remains.h - what visitors have yet to read of responses that are whole, and so belong to no stream to a lane
 * any more: it counts with what those hold.
 *
 * Plain data; a list of a worker's pool (relay/edge/pool.h), embedded in whoever holds such bytes. */
#ifndef RELAY_EDGE_REMAINS_H
#define RELAY_EDGE_REMAINS_H
#include "relay/edge/stillness.h"

#include <stddef.h>

struct remains_events {
    uint64_t (*held)(void *user,
                     uint64_t *moved); /* bytes; moved: how many have gone to the visitor in all */
    uint64_t (*shed)(
        void *user); /* gives up the response of which it holds most, and tells how much that was */
};

struct remains {
    const struct remains_events *events;
    void *user;
    struct remains *prev, *next;
    struct stillness stillness;
};

struct remains_list {
    struct remains *first;
};

/* Borrows both until remains_leave. */
void remains_join(struct remains *r, struct remains_list *list, const struct remains_events *events,
                  void *user);
void remains_leave(struct remains *r, struct remains_list *list);
uint64_t remains_look(struct remains_list *list); /* once a second: what all hold */
/* Whoever stands still and holds most; NULL: nobody does. */
struct remains *remains_fattest(const struct remains_list *list);
uint64_t remains_shed(struct remains *r);
#endif
