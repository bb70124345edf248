/* relay/edge/round.h - what is done once behind a round of the loop, however often it was asked for in it: so that the
 * answers of many services leave in one piece.
 *
 * A value, embedded, for one loop; between init and close it is on that. */
#ifndef RELAY_EDGE_ROUND_H
#define RELAY_EDGE_ROUND_H
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* Embedded in whoever has something to do, with act and user filled in. */
struct round_item {
    void (*act)(void *user);
    void *user;
    struct round_item *next;
    bool waits;
};

struct round {
    uv_check_t check; /* behind what the round has heard */
    uv_idle_t idle;   /* while somebody waits, the next round waits for nobody */
    struct round_item *first, **end;
    size_t n;
};

void round_init(struct round *r, uv_loop_t *loop);
void round_close(struct round *r); /* nobody waits any more */

void round_add(struct round *r, struct round_item *item);    /* no matter if it waits already */
void round_remove(struct round *r, struct round_item *item); /* likewise if it does not */
#endif
