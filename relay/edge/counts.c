#include "relay/edge/counts.h"

#include "shared/mem.h"

#include <stdlib.h>

struct counts *counts_new(void)
{
    struct counts *c = mem_new(sizeof *c);

    atomic_init(&c->refs, 1);
    return c;
}

struct counts *counts_hold(struct counts *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void counts_release(struct counts *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}
