#include "agent/carry/traffic.h"

#include "shared/mem.h"

#include <stdlib.h>

struct traffic *traffic_new(void)
{
    struct traffic *t = mem_new(sizeof *t);

    t->refs = 1;
    return t;
}

struct traffic *traffic_hold(struct traffic *t)
{
    if (t)
        t->refs++;
    return t;
}

void traffic_release(struct traffic *t)
{
    if (t && --t->refs == 0)
        free(t);
}

struct traffic *traffic_begin(struct traffic *t)
{
    if (t) {
        t->connections++;
        t->total++;
    }
    return traffic_hold(t);
}

void traffic_end(struct traffic *t)
{
    if (t)
        t->connections--;
    traffic_release(t);
}

void traffic_add(struct traffic *t, uint64_t in, uint64_t out)
{
    if (t) {
        t->bytes_in += in;
        t->bytes_out += out;
    }
}
