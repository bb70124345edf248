/* shared/guesses.h - how many wrong passwords may come from one source before nobody listens to it.
 *
 * A value, embedded; any thread may ask. Each password takes a guess away, and one that was right gives it back. */
#ifndef SHARED_GUESSES_H
#define SHARED_GUESSES_H
#include "shared/limiter.h"

enum {
    GUESSES = 10,   /* at once, */
    GUESSES_M = 10, /* and in each minute after it */
};

struct guesses {
    struct limiter taken;
};

void guesses_init(struct guesses *g, size_t sets); /* see limiter.h */
void guesses_free(struct guesses *g);
/* what: a number for each place that has passwords; source: see source.h. False: there is no guess left, and one in
 * *retry_s. */
bool guesses_take(struct guesses *g, uint64_t what, uint64_t source, uint64_t now_ns, unsigned *retry_s);
void guesses_give_back(struct guesses *g, uint64_t what, uint64_t source);
unsigned guesses_taken(const struct guesses *g, uint64_t what, uint64_t source, uint64_t now_ns); /* lately */
#endif
