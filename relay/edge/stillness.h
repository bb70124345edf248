/* relay/edge/stillness.h - whether what holds bytes stands still. Pure; plain data. */
#ifndef RELAY_EDGE_STILLNESS_H
#define RELAY_EDGE_STILLNESS_H
#include <stdbool.h>
#include <stdint.h>

struct stillness {
    uint64_t moved, stuck; /* at the last look; stuck: what it holds, if nothing has moved for some time */
    unsigned looks;        /* since something has */
};

/* Looks, once a second: how many bytes have moved in all, and how many are held. */
void stillness_look(struct stillness *s, uint64_t moved, uint64_t held);
/* Nothing has moved for some time, whether or not it holds anything. */
bool stillness_lasts(const struct stillness *s);
#endif
