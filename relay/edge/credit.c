#include "relay/edge/credit.h"

enum {
    FIRST_BYTES = 256 * 1024,
    MAX_BYTES = 2 * 1024 * 1024, /* what libssh2 grants each channel */
    KEEPS_UP_MS = 1000,
};

void credit_init(struct credit *c)
{
    *c = (struct credit){ .bytes = FIRST_BYTES };
}

size_t credit_room(const struct credit *c)
{
    uint64_t held = c->sent - c->consumed;

    return held < c->bytes ? (size_t)(c->bytes - held) : 0;
}

static void judge_from(struct credit *c, int64_t now_ms)
{
    c->from = c->consumed;
    c->from_ms = now_ms;
    c->waited = false;
}

void credit_use(struct credit *c, size_t n, int64_t now_ms)
{
    if (c->sent == c->consumed)
        judge_from(c, now_ms); /* what was before says nothing */
    c->sent += n;
}

/* A service that takes all of its credit within a second, while more is waited for, keeps up: what is on the line is not what
 * the service has not taken. */
bool credit_give(struct credit *c, uint64_t total, int64_t now_ms)
{
    if (total <= c->consumed || total > c->sent)
        return false;
    c->waited = c->waited || credit_room(c) == 0;
    c->consumed = total;
    if (c->consumed - c->from < c->bytes)
        return true;
    if (c->waited && now_ms - c->from_ms <= KEEPS_UP_MS && c->bytes < MAX_BYTES)
        c->bytes *= 2;
    judge_from(c, now_ms);
    return true;
}
