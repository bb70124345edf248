/* shared/limiter.h - how often each source has come lately, over all threads together.
 *
 * A value, embedded; any thread may ask, without a lock. It is a table of a fixed size. A place in it is the time at which a
 * bucket of tokens is full again (the "virtual scheduling" of ATM, or GCRA), so a full one is worth nothing and its place is
 * free. Where all places of a set are taken, who comes anew shares the bucket that is fullest: so nobody gets a fresh one
 * by making the table forget him, and all together never get more than there are places. */
#ifndef SHARED_LIMITER_H
#define SHARED_LIMITER_H
#include "shared/rate.h"

#include <stdbool.h>
#include <stddef.h>

enum { LIMITER_WAYS = 8 }; /* places of a set, of 16 bytes each */

struct limiter {
    struct limiter_place *places;
    size_t sets;
    uint64_t seed[2];
};

void limiter_init(struct limiter *l, size_t sets); /* a power of two */
void limiter_free(struct limiter *l);
/* Takes a token, of what this source may do (a number for each limit). False: there is none, and there is one in *wait_ns.
 * It is exact, but for two threads that see a source for the first time at once. */
bool limiter_take(struct limiter *l, uint64_t what, uint64_t source, const struct rate *rate, uint64_t now_ns,
                  uint64_t *wait_ns);
void limiter_give_back(struct limiter *l, uint64_t what, uint64_t source, const struct rate *rate);
/* How many tokens of a full bucket are missing. */
unsigned limiter_taken(const struct limiter *l, uint64_t what, uint64_t source, const struct rate *rate,
                       uint64_t now_ns);
unsigned limiter_wait_s(uint64_t wait_ns); /* for Retry-After */
#endif
