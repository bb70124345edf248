/* relay/edge/counts.h - traffic of one lane, one site or one port: added to by workers, read by the control plane.
 *
 * Counted by reference, because snapshots, streams and the status each keep it for as long as they need. */
#ifndef RELAY_EDGE_COUNTS_H
#define RELAY_EDGE_COUNTS_H
#include <stdatomic.h>
#include <stddef.h>

enum { COUNTS_CLASSES = 6 };

struct counts {
    atomic_size_t refs;
    atomic_ullong requests, errors; /* of a site; of a port its connections so far */
    atomic_llong parked;            /* of a site or port: how many wait for it now */
    atomic_llong failing_since;     /* of a site: Unix time since when its service cannot be had; 0: it can */
    atomic_llong streams;           /* of a lane: in use now; of a port: its connections now */
    atomic_llong lasting;           /* of a lane: those of them that have been in use for a second or more */
    /* Of a lane: from it, to it; of a port: from visitors, to them; of a site: the contents of requests, of responses. */
    atomic_ullong bytes_in, bytes_out;
    atomic_ullong
        answers[COUNTS_CLASSES]; /* of a site, by the first digit of their status; 0: ended without one */
};

struct counts *counts_new(void); /* with one reference */
struct counts *counts_hold(struct counts *c);
void counts_release(struct counts *c); /* NULL is fine */

#define counts_add(counter, n) atomic_fetch_add_explicit(counter, n, memory_order_relaxed)

/* status: 0 of a request that has ended without an answer. */
static inline void counts_answered(struct counts *c, int status)
{
    counts_add(&c->answers[status >= 100 && status < 600 ? status / 100 : 0], 1);
}
#endif
