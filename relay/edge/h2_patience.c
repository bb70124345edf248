#include "relay/edge/h2_patience.h"

/* A browser that gives up a page of 100 pictures is far from the end of it; a flood is there in a fraction of a second. */
enum {
    PATIENCE = 1000,
    PATIENCE_PER_S = 100,
    MAX_ACKS = 1000,
    ACKS_PER_REQUEST = 2, /* some open a window for each stream at once */
    ACKS_PER_PIECE =
        3, /* the windows of stream and connection, and a PING that measures how fast the line is */
};

void h2_patience_init(struct h2_patience *p, uint64_t now_ms)
{
    *p = (struct h2_patience){ .left = PATIENCE, .refilled_ms = now_ms };
}

static void give_back(struct h2_patience *p, uint64_t n)
{
    p->left = n > PATIENCE - p->left ? PATIENCE : p->left + (unsigned)n;
}

static void refill(struct h2_patience *p, uint64_t now_ms)
{
    uint64_t back = (now_ms - p->refilled_ms) * PATIENCE_PER_S / 1000;

    if (back == 0)
        return; /* the part of one is not lost */
    give_back(p, back);
    p->refilled_ms = now_ms;
}

bool h2_patience_pay(struct h2_patience *p, unsigned cost, uint64_t now_ms)
{
    refill(p, now_ms);
    p->lost = p->lost || p->left < cost;
    if (!p->lost)
        p->left -= cost;
    return !p->lost;
}

bool h2_patience_pay_ack(struct h2_patience *p, uint64_t now_ms)
{
    if (p->acks == 0)
        return h2_patience_pay(p, H2_COST_OF_FRAME, now_ms);
    p->acks--;
    return !p->lost;
}

bool h2_patience_pay_ignored(struct h2_patience *p, unsigned frames, uint64_t now_ms)
{
    p->ignored += frames;
    frames = p->ignored / H2_IGNORED_FRAMES;
    p->ignored %= H2_IGNORED_FRAMES;
    return h2_patience_pay(p, frames * H2_COST_OF_FRAME, now_ms);
}

static void grant_acks(struct h2_patience *p, unsigned n)
{
    p->acks = n > MAX_ACKS - p->acks ? MAX_ACKS : p->acks + n;
}

void h2_patience_asked(struct h2_patience *p)
{
    grant_acks(p, ACKS_PER_REQUEST);
}

void h2_patience_sent(struct h2_patience *p)
{
    grant_acks(p, ACKS_PER_PIECE);
}

void h2_patience_served(struct h2_patience *p)
{
    give_back(p, H2_COST_OF_REQUEST);
}
