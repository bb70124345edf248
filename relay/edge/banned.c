#include "relay/edge/banned.h"

#include "shared/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_BYTES = 16, MAPPED_BYTES = 12, LENGTHS = 129 };

struct banned {
    atomic_size_t refs;
    struct ban **list; /* the longest prefix first, then by address */
    size_t n;
    struct {
        uint8_t bits;
        size_t from, n; /* in the list */
    } lengths[LENGTHS];
    size_t lengths_n;
};

static int in_order(const void *a, const void *b)
{
    const struct ban *x = *(struct ban *const *)a, *y = *(struct ban *const *)b;

    if (x->net.bits != y->net.bits)
        return x->net.bits > y->net.bits ? -1 : 1;
    return memcmp(x->net.address, y->net.address, ADDRESS_BYTES);
}

static void note_lengths(struct banned *b)
{
    for (size_t i = 0; i < b->n; i++) {
        uint8_t bits = b->list[i]->net.bits;

        if (b->lengths_n == 0 || b->lengths[b->lengths_n - 1].bits != bits) {
            b->lengths[b->lengths_n].bits = bits;
            b->lengths[b->lengths_n].from = i;
            b->lengths_n++;
        }
        b->lengths[b->lengths_n - 1].n++;
    }
}

struct banned *banned_new(const struct bans *bans)
{
    struct banned *b;

    if (bans->n == 0)
        return NULL;
    b = mem_new(sizeof *b);
    atomic_init(&b->refs, 1);
    b->list = mem_new(bans->n * sizeof *b->list);
    for (; b->n < bans->n; b->n++)
        b->list[b->n] = ban_hold(bans->list[b->n]);
    qsort(b->list, b->n, sizeof *b->list, in_order);
    note_lengths(b);
    return b;
}

struct banned *banned_hold(struct banned *b)
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void banned_release(struct banned *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < b->n; i++)
        ban_release(b->list[i]);
    free(b->list);
    free(b);
}

/* IPv4 mapped, as networks have it. */
static bool bytes_of(const struct sockaddr_storage *addr, unsigned char out[ADDRESS_BYTES])
{
    static const unsigned char mapped[MAPPED_BYTES] = { [10] = 0xff, [11] = 0xff };

    memcpy(out, mapped, sizeof mapped);
    if (addr->ss_family == AF_INET)
        memcpy(out + MAPPED_BYTES, &((const struct sockaddr_in *)addr)->sin_addr, 4);
    else if (addr->ss_family == AF_INET6)
        memcpy(out, &((const struct sockaddr_in6 *)addr)->sin6_addr, ADDRESS_BYTES);
    else
        return false;
    return true;
}

static void cut(unsigned char address[ADDRESS_BYTES], unsigned bits)
{
    if (bits % 8 != 0)
        address[bits / 8] &= (unsigned char)(0xff00u >> bits % 8);
    for (unsigned i = (bits + 7) / 8; i < ADDRESS_BYTES; i++)
        address[i] = 0;
}

static struct ban *find(struct ban *const *list, size_t n, const unsigned char address[ADDRESS_BYTES])
{
    while (n > 0) {
        size_t half = n / 2;
        int order = memcmp(address, list[half]->net.address, ADDRESS_BYTES);

        if (order == 0)
            return list[half];
        list += order > 0 ? half + 1 : 0;
        n = order > 0 ? n - half - 1 : half;
    }
    return NULL;
}

bool banned_hit(const struct banned *b, const struct sockaddr_storage *addr, time_t now)
{
    unsigned char address[ADDRESS_BYTES];

    if (!b || !bytes_of(addr, address))
        return false;
    for (size_t i = 0; i < b->lengths_n; i++) {
        struct ban *ban;

        cut(address, b->lengths[i].bits);
        ban = find(b->list + b->lengths[i].from, b->lengths[i].n, address);
        if (ban && ban->until > now) {
            atomic_fetch_add_explicit(&ban->hits, 1, memory_order_relaxed);
            return true;
        }
    }
    return false;
}
