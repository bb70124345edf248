#include "shared/arena.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 2048, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, room;
    _Alignas(ALIGN) char mem[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){ .max_bytes = max_bytes };
}

void arena_free(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;

        a->blocks = b->next;
        free(b);
    }
    a->used_bytes = 0;
}

static struct arena_block *add_block(struct arena *a, size_t n)
{
    size_t room = n > BLOCK_BYTES / 4 ? n : BLOCK_BYTES - sizeof(struct arena_block);
    struct arena_block *b;

    b = a->max_bytes ? calloc(1, sizeof *b + room) : mem_new(sizeof *b + room);
    if (!b)
        return NULL;
    b->room = room;
    /* A piece with a block of its own goes behind the current block, which still has room. */
    if (a->blocks && room == n) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = a->blocks;
        a->blocks = b;
    }
    return b;
}

void *arena_get(struct arena *a, size_t n)
{
    struct arena_block *b = a->blocks;
    void *p;

    if (a->max_bytes && (n > a->max_bytes || a->used_bytes > a->max_bytes - n))
        return NULL;
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!b || b->room - b->used < n)
        b = add_block(a, n);
    if (!b)
        return NULL;
    p = b->mem + b->used;
    b->used += n;
    a->used_bytes += n;
    return p;
}

char *arena_copy_str(struct arena *a, struct str s)
{
    char *copy = s.n < (size_t)-1 ? arena_get(a, s.n + 1) : NULL;

    if (copy && s.n > 0)
        memcpy(copy, s.p, s.n);
    return copy;
}

char *arena_copy(struct arena *a, const char *text)
{
    return arena_copy_str(a, str_of(text));
}
