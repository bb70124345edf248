/* shared/histogram.h - how long something took, counted into fixed buckets, each twice as wide as the one before.
 *
 * One thread adds; any may read meanwhile. Adding is two loads and two stores: no lock, no locked instruction, no memory. */
#ifndef SHARED_HISTOGRAM_H
#define SHARED_HISTOGRAM_H
#include <stdatomic.h>
#include <stdint.h>

enum {
    HISTOGRAM_FIRST_LOG2 = 7, /* the first bucket ends at 128 microseconds */
    HISTOGRAM_BUCKETS = 19,   /* the last one at 33.6 seconds */
};

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* the last: longer than all */
    _Atomic uint64_t sum_us;
};

/* What several have counted together. */
struct histogram_sum {
    uint64_t counts[HISTOGRAM_BUCKETS + 1], sum_us;
};

/* Adds to what only this thread adds to. */
static inline void histogram_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline unsigned histogram_bucket(uint64_t us)
{
    unsigned bucket;

    if (us <= 1u << HISTOGRAM_FIRST_LOG2)
        return 0;
    bucket = 64 - (unsigned)__builtin_clzll((us - 1) >> HISTOGRAM_FIRST_LOG2);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS;
}

static inline void histogram_add(struct histogram *h, uint64_t us)
{
    histogram_count(&h->counts[histogram_bucket(us)], 1);
    histogram_count(&h->sum_us, us);
}

void histogram_merge(struct histogram_sum *sum, const struct histogram *h);
double histogram_bound(unsigned bucket); /* in seconds; of one below HISTOGRAM_BUCKETS */
#endif
