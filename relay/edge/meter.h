/* relay/edge/meter.h - what is counted of one request while it lives: for its site, and for its worker's tally.
 *
 * A value, embedded. Between meter_begin and meter_end it holds the site's counts, also while the request waits and has
 * no site. */
#ifndef RELAY_EDGE_METER_H
#define RELAY_EDGE_METER_H
#include "relay/edge/counts.h"
#include "relay/edge/tally.h"

struct meter {
    struct tally *tally;
    struct counts *counts;
    uint64_t began_us, sent_us;
    int status; /* 0: not answered yet */
};

void meter_begin(struct meter *m, struct tally *tally, struct counts *counts);
void meter_sent(struct meter *m);                 /* its head, to the service */
void meter_answered(struct meter *m, int status); /* by the service, with a final head */
void meter_page(struct meter *m, int status);     /* by ourselves */
void meter_end(struct meter *m);

static inline void meter_in(struct meter *m, size_t n)
{
    counts_add(&m->counts->bytes_in, n);
}

static inline void meter_out(struct meter *m, size_t n)
{
    counts_add(&m->counts->bytes_out, n);
}
#endif
