#include "shared/guesses.h"

static const struct rate rate = { GUESSES_M, 60, GUESSES };

void guesses_init(struct guesses *g, size_t sets)
{
    limiter_init(&g->taken, sets);
}

void guesses_free(struct guesses *g)
{
    limiter_free(&g->taken);
}

bool guesses_take(struct guesses *g, uint64_t what, uint64_t source, uint64_t now_ns, unsigned *retry_s)
{
    uint64_t wait_ns;

    if (limiter_take(&g->taken, what, source, &rate, now_ns, &wait_ns))
        return true;
    *retry_s = limiter_wait_s(wait_ns);
    return false;
}

void guesses_give_back(struct guesses *g, uint64_t what, uint64_t source)
{
    limiter_give_back(&g->taken, what, source, &rate);
}

unsigned guesses_taken(const struct guesses *g, uint64_t what, uint64_t source, uint64_t now_ns)
{
    return limiter_taken(&g->taken, what, source, &rate, now_ns);
}
