/* shared/page/history.h - the traffic of the last ten minutes, as the plots of the status page show it.
 *
 * Plain data, zeroed at first; of fixed size. What is counted since the start goes in now and then, and is kept as what
 * it was a second. */
#ifndef SHARED_PAGE_HISTORY_H
#define SHARED_PAGE_HISTORY_H
#include "shared/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_EVERY_MS = 5000, HISTORY_SAMPLES = 120 };

/* Of all that a daemon carries. */
struct history_totals {
    uint64_t requests, errors;    /* so far; a relay's */
    uint64_t streams;             /* in use now; an agent's */
    uint64_t bytes_in, bytes_out; /* so far: from visitors, to them */
};

struct history_sample {
    float first, second; /* requests and errors a second; or streams */
    float in, out;       /* bytes a second */
};

struct history {
    struct history_totals before;
    int64_t before_ms; /* 0: nothing has been counted yet */
    struct history_sample samples[HISTORY_SAMPLES];
    size_t next, n;
};

/* now_ms: of a clock that never goes back. */
void history_note(struct history *t, const struct history_totals *totals, int64_t now_ms);
/* The i-th sample, from the oldest of the ten minutes on; NULL: from before the start. */
const struct history_sample *history_at(const struct history *t, size_t i);
/* Two plots as figures: requests of a relay, or streams of an agent, and bytes. */
void history_add_plots(struct buf *out, const struct history *t, bool is_relay);
#endif
