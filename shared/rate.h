/* shared/rate.h - how often something may happen, such as "10/s", "300/m" or "10/s burst 20". Pure.
 *
 * It is a bucket of `burst` tokens, which is full at first; each time takes one, and one comes back every every_ns.
 * Without a burst it holds as many as come back in the period that was named: ten at once, and then ten a second. */
#ifndef SHARED_RATE_H
#define SHARED_RATE_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdint.h>

enum { RATE_MAX = 1000000, RATE_TEXT_BYTES = 64 };

struct rate {
    uint32_t times, period_s, burst; /* times 0: off, any number */
};

/* The error says what would be right, without the text itself. */
must_check int rate_read(struct str text, struct rate *out, struct err *e);
void rate_print(struct buf *out, const struct rate *rate); /* canonical; rate_read takes it back */
uint64_t rate_every_ns(const struct rate *rate);           /* of one that is not off */
#endif
