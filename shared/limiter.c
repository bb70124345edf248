#include "shared/limiter.h"

#include "shared/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

struct limiter_place {
    _Atomic uint64_t tag;     /* who has it; 0: nobody yet */
    _Atomic uint64_t full_ns; /* when his bucket is full again */
};

void limiter_init(struct limiter *l, size_t sets)
{
    assert(sets > 0 && (sets & (sets - 1)) == 0);
    *l = (struct limiter){ .places = mem_new(sets * LIMITER_WAYS * sizeof *l->places), .sets = sets };
    if (getrandom(l->seed, sizeof l->seed, 0) != (ssize_t)sizeof l->seed)
        abort(); /* or who chooses his addresses could choose his place */
}

void limiter_free(struct limiter *l)
{
    free(l->places);
}

/* ---- whose place is which: SipHash-2-4 of two words ---- */

static uint64_t turned(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turned(v[1], 13) ^ v[0];
    v[3] = turned(v[3], 16) ^ v[2];
    v[0] = turned(v[0], 32) + v[3];
    v[2] += v[1];
    v[1] = turned(v[1], 17) ^ v[2];
    v[3] = turned(v[3], 21) ^ v[0];
    v[2] = turned(v[2], 32);
}

static uint64_t hash(const uint64_t seed[2], uint64_t what, uint64_t source)
{
    const uint64_t words[3] = { what, source, (uint64_t)16 << 56 };
    uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                      seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u };

    for (int i = 0; i < 3; i++) {
        v[3] ^= words[i];
        sip_round(v);
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static struct limiter_place *find(const struct limiter *l, uint64_t tag)
{
    struct limiter_place *set = l->places + (tag & (l->sets - 1)) * LIMITER_WAYS;

    for (int i = 0; i < LIMITER_WAYS; i++)
        if (load(&set[i].tag) == tag)
            return &set[i];
    return NULL;
}

/* Whatever the one before owes there is taken over. */
static struct limiter_place *take_place(struct limiter *l, uint64_t tag)
{
    struct limiter_place *set = l->places + (tag & (l->sets - 1)) * LIMITER_WAYS, *fullest = set;

    for (int i = 1; i < LIMITER_WAYS; i++)
        if (load(&set[i].full_ns) < load(&fullest->full_ns))
            fullest = &set[i];
    atomic_store_explicit(&fullest->tag, tag, memory_order_relaxed);
    return fullest;
}

/* ---- tokens ---- */

bool limiter_take(struct limiter *l, uint64_t what, uint64_t source, const struct rate *rate, uint64_t now_ns,
                  uint64_t *wait_ns)
{
    const uint64_t tag = hash(l->seed, what, source) | (uint64_t)1 << 63, every = rate_every_ns(rate),
                   most = every * rate->burst;
    struct limiter_place *place = find(l, tag);
    uint64_t full, owed;

    if (!place)
        place = take_place(l, tag);
    full = load(&place->full_ns);
    do {
        owed = full > now_ns ? full - now_ns : 0;
        if (owed > most)
            owed = most; /* by another rate, before a reload */
        if (owed + every > most) {
            *wait_ns = owed + every - most;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&place->full_ns, &full, now_ns + owed + every,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void limiter_give_back(struct limiter *l, uint64_t what, uint64_t source, const struct rate *rate)
{
    struct limiter_place *place = find(l, hash(l->seed, what, source) | (uint64_t)1 << 63);
    const uint64_t every = rate_every_ns(rate);
    uint64_t full = place ? load(&place->full_ns) : 0;

    while (full >= every &&
           !atomic_compare_exchange_weak_explicit(&place->full_ns, &full, full - every, memory_order_relaxed,
                                                  memory_order_relaxed))
        ; /* somebody else was faster */
}

unsigned limiter_taken(const struct limiter *l, uint64_t what, uint64_t source, const struct rate *rate,
                       uint64_t now_ns)
{
    const struct limiter_place *place = find(l, hash(l->seed, what, source) | (uint64_t)1 << 63);
    const uint64_t full = place ? load(&place->full_ns) : 0, every = rate_every_ns(rate);

    return full > now_ns ? (unsigned)((full - now_ns + every - 1) / every) : 0;
}

unsigned limiter_wait_s(uint64_t wait_ns)
{
    return (unsigned)((wait_ns + 999999999) / 1000000000);
}
