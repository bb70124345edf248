/* relay/lanes/memory.h - STATE_DIR/claims.json: what agents claimed last. After a restart of the relay their sites are
 * expected then, not unknown, until they have claimed anew.
 *
 * An object, embedded. What cannot be read or written is logged, and nothing stops for it. */
#ifndef RELAY_LANES_MEMORY_H
#define RELAY_LANES_MEMORY_H
#include "relay/lanes/claims.h"
#include "shared/buf.h"

struct memory {
    char *path;
    struct buf written; /* what is there, so that the same is not written again */
    bool recalled;
};

void memory_init(struct memory *m, const char *state_dir);
void memory_free(struct memory *m);
/* Once, when the claims know who may serve what: names that an agent may not serve any more are left out. */
void memory_recall(struct memory *m, struct claims *c);
/* Nothing before memory_recall. False: it could not be written, and is to be tried again. */
bool memory_keep(struct memory *m, const struct claims *c);
#endif
