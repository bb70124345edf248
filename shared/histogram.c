#include "shared/histogram.h"

void histogram_merge(struct histogram_sum *sum, const struct histogram *h)
{
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        sum->counts[i] += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    sum->sum_us += atomic_load_explicit(&h->sum_us, memory_order_relaxed);
}

double histogram_bound(unsigned bucket)
{
    return (double)((uint64_t)1 << (HISTOGRAM_FIRST_LOG2 + bucket)) / 1e6;
}
