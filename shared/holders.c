#include "shared/holders.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct held {
    struct str name;
    void *by;
};

static int by_name(const void *a, const void *b)
{
    const struct str x = ((const struct held *)a)->name, y = ((const struct held *)b)->name;

    if (x.n != y.n)
        return x.n < y.n ? -1 : 1;
    return x.n > 0 ? memcmp(x.p, y.p, x.n) : 0;
}

static void keep(void *held)
{
    (void)held; /* the arena's */
}

void holders_free(struct holders *h)
{
    tdestroy(h->tree, keep);
    h->tree = NULL;
    arena_free(&h->memory);
}

void *holders_of(const struct holders *h, struct str name)
{
    const struct held key = { name, NULL };
    struct held *const *found = tfind(&key, &h->tree, by_name);

    return found ? (*found)->by : NULL;
}

void *holders_take(struct holders *h, struct str name, const void *holder)
{
    void *by = holders_of(h, name);
    struct held *held;

    if (by)
        return by;
    held = arena_get(&h->memory, sizeof *held);
    held->name = (struct str){ arena_copy_str(&h->memory, name), name.n };
    held->by = (void *)(uintptr_t)holder;
    if (!tsearch(held, &h->tree, by_name))
        abort(); /* out of memory */
    return NULL;
}
