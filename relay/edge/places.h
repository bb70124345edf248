/* relay/edge/places.h - how many connections may be spliced to sshd at once: in all, and for each source. One for all
 * workers; its functions may be called from any thread. */
#ifndef RELAY_EDGE_PLACES_H
#define RELAY_EDGE_PLACES_H
#include <stdint.h>
#include <uv.h>

enum {
    PLACES_IN_ALL = 256,
    PLACES_OF_ONE = 32
}; /* a house has 8 lanes at most, and neighbours behind its address */

enum places_answer { PLACES_TAKEN, PLACES_ALL_TAKEN, PLACES_SOURCE_HAS_ENOUGH };

struct places {
    uv_mutex_t lock;
    unsigned n;
    uint32_t sources[PLACES_IN_ALL]; /* n of them, one for each place that is taken */
};

void places_init(struct places *p);
void places_free(struct places *p);
enum places_answer places_take(struct places *p, uint32_t source);
void places_leave(struct places *p, uint32_t source); /* one that it has taken */
#endif
