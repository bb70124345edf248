/* shared/holders.h - who has which name: each name is held by one.
 *
 * A value, embedded; a zeroed one is empty. Looking a name up takes a few comparisons, however many there are. Names
 * are copied; holders are the caller's, and never looked into. Pure. */
#ifndef SHARED_HOLDERS_H
#define SHARED_HOLDERS_H
#include "shared/arena.h"

struct holders {
    void *tree;
    struct arena memory;
};

void holders_free(struct holders *h); /* leaves an empty one */
/* The one that has the name; NULL when none has. */
void *holders_of(const struct holders *h, struct str name);
/* The one that has the name already; or NULL, and it is `holder` from now on. */
void *holders_take(struct holders *h, struct str name, const void *holder);
#endif
