#include "tests/linesim/line.h"

#include "shared/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PACKET_BYTES = 1500,        /* as on a real line, so that flows interleave finely where it is slow */
    PARCEL_BYTES_MAX = 1 << 16, /* fewer, larger parcels where it is fast */
    NS_PER_S = 1000000000,
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void line_init(struct line *l, uint64_t seed)
{
    *l = (struct line){ .conf.queue_bytes = 64 << 10, .random = seed | 1 };
}

void line_free(struct line *l)
{
    free(l->ring);
    *l = (struct line){ 0 };
}

static struct line_parcel *parcel_at(const struct line *l, size_t i)
{
    return &l->ring[(l->first + i) % l->room];
}

static void grow(struct line *l)
{
    size_t room = l->room ? l->room * 2 : 64;
    struct line_parcel *ring = mem_new(room * sizeof *ring);

    for (size_t i = 0; i < l->parcels; i++)
        ring[i] = *parcel_at(l, i);
    free(l->ring);
    l->ring = ring;
    l->room = room;
    l->first = 0;
}

/* A 64-bit xorshift: luck enough for jitter, and the same luck again for the same seed. */
static int64_t random_up_to(struct line *l, int64_t max)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (int64_t)(l->random % ((uint64_t)max + 1));
}

/* When the oldest queued parcel has left the queue, if nothing stalls it. */
static int64_t sent_at(const struct line *l)
{
    const struct line_parcel *p = parcel_at(l, l->flying);
    int64_t takes_ns = l->conf.rate > 0 ? p->bytes * (int64_t)NS_PER_S / l->conf.rate : 0;

    return later(l->free_at, p->at) + takes_ns;
}

/* Moves what has been sent by now from the queue into flight. Each parcel starts where the one before ended,
 * however late we are called, so the rate is exact as long as the queue does not run dry. */
static void transmit(struct line *l, int64_t now)
{
    while (l->mode == LINE_FLOWS && l->flying < l->parcels && sent_at(l) <= now) {
        struct line_parcel *p = parcel_at(l, l->flying);

        l->free_at = sent_at(l);
        l->last_due = later(l->last_due, l->free_at + l->conf.delay_ns + random_up_to(l, l->conf.jitter_ns));
        p->at = l->last_due;
        l->flying++;
        l->queued_bytes -= p->bytes;
        l->flying_bytes += p->bytes;
    }
}

void line_set(struct line *l, const struct line_conf *conf, int64_t now)
{
    transmit(l, now);
    l->free_at = now; /* a parcel half sent starts again, or the new rate would count from its old start */
    l->conf = *conf;
}

void line_set_mode(struct line *l, enum line_mode mode, int64_t now)
{
    transmit(l, now);
    if (l->mode == LINE_STALLS && mode != LINE_STALLS) {
        int64_t stalled_ns = now - l->stalled_at;

        for (size_t i = 0; i < l->flying; i++)
            parcel_at(l, i)->at += stalled_ns;
        l->last_due += stalled_ns;
        l->free_at = now;
    }
    if (mode == LINE_STALLS && l->mode != LINE_STALLS)
        l->stalled_at = now;
    l->mode = mode;
}

bool line_is_clear(const struct line *l)
{
    return l->mode == LINE_FLOWS && l->parcels == 0 && l->conf.rate == 0 && l->conf.delay_ns == 0 &&
           l->conf.jitter_ns == 0;
}

size_t line_room(const struct line *l)
{
    int64_t bytes = PARCEL_BYTES_MAX;

    if (l->mode == LINE_SWALLOWS || (l->mode == LINE_FLOWS && l->conf.rate == 0))
        return PARCEL_BYTES_MAX;
    if (l->queued_bytes >= l->conf.queue_bytes)
        return 0;
    if (l->conf.rate > 0)
        bytes = sooner(bytes, l->conf.rate / 1000);
    return (size_t)later(PACKET_BYTES, sooner(bytes, l->conf.queue_bytes / 4));
}

void line_put(struct line *l, void *owner, enum line_what what, size_t bytes, int64_t now)
{
    assert(l->mode != LINE_SWALLOWS && bytes <= PARCEL_BYTES_MAX);
    if (l->parcels == l->room)
        grow(l);
    *parcel_at(l, l->parcels++) = (struct line_parcel){ owner, what, (uint32_t)bytes, now };
    l->queued_bytes += (int64_t)bytes;
    transmit(l, now);
}

bool line_lose(struct line *l, struct line_parcel *parcel)
{
    if (l->parcels == 0)
        return false;
    *parcel = *parcel_at(l, 0);
    if (l->flying > 0) {
        l->flying--;
        l->flying_bytes -= parcel->bytes;
    } else {
        l->queued_bytes -= parcel->bytes;
    }
    l->first = (l->first + 1) % l->room;
    if (--l->parcels == 0)
        l->last_due = 0; /* nobody is left to overtake */
    return true;
}

bool line_next(struct line *l, int64_t now, struct line_parcel *parcel)
{
    transmit(l, now);
    while (l->mode == LINE_FLOWS && l->flying > 0 && parcel_at(l, 0)->at <= now) {
        line_lose(l, parcel);
        if (parcel->owner)
            return true;
    }
    return false;
}

int64_t line_wakes_at(const struct line *l)
{
    int64_t at = LINE_NEVER;

    if (l->mode != LINE_FLOWS)
        return LINE_NEVER;
    if (l->flying > 0)
        at = parcel_at(l, 0)->at;
    if (l->flying < l->parcels)
        at = sooner(at, sent_at(l));
    return at;
}

void line_forget(struct line *l, const void *owner)
{
    for (size_t i = 0; i < l->parcels; i++)
        if (parcel_at(l, i)->owner == owner)
            parcel_at(l, i)->owner = NULL;
}
