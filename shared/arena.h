/* shared/arena.h - many small pieces of memory, freed together.
 *
 * A value, embedded; one per request or per configuration. A peer's data passes through max_bytes: beyond it
 * arena_get returns NULL. An arena with max_bytes 0 has no limit and aborts when memory is out. */
#ifndef SHARED_ARENA_H
#define SHARED_ARENA_H
#include "shared/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used_bytes, max_bytes;
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_free(struct arena *a);           /* leaves an empty, usable one with the same limit */
void *arena_get(struct arena *a, size_t n); /* zeroed, aligned for any type */
char *arena_copy(struct arena *a, const char *text);
char *arena_copy_str(struct arena *a, struct str s); /* with a NUL behind */
#endif
