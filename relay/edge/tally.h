/* relay/edge/tally.h - what one worker has counted: how long things took, handshakes, who was refused and why.
 *
 * A value, embedded in its worker, which alone adds; the control plane reads, at any time and without a lock. */
#ifndef RELAY_EDGE_TALLY_H
#define RELAY_EDGE_TALLY_H
#include "shared/histogram.h"

#include <uv.h>

enum tally_handshake { TALLY_FULL, TALLY_RESUMED, TALLY_FAILED, TALLY_HANDSHAKES };

/* Why somebody was not served. */
enum tally_refusal {
    TALLY_CROWD,       /* too many connections, or too many from one source */
    TALLY_BANNED,      /* whoever is refused by tunnelctl ban, here or at the house */
    TALLY_FORBIDDEN,   /* allow or deny of a site */
    TALLY_RATE,        /* more often than a site's rate, or too many wrong passwords */
    TALLY_PASSWORD,    /* of a site, which was not given */
    TALLY_MALFORMED,   /* a head that is not HTTP as it should be */
    TALLY_UNKNOWN,     /* no such site */
    TALLY_MISDIRECTED, /* a connection that was made for another site */
    TALLY_TOO_LARGE,
    TALLY_AWAY,        /* the house is away, and nobody waits for it any longer */
    TALLY_BUSY,        /* its lanes have no room */
    TALLY_UNREACHABLE, /* the service refuses, or cannot be reached */
    TALLY_SILENT,      /* the service does not answer in time */
    TALLY_BROKEN,      /* the service or the lane broke off, or spoke no HTTP */
    TALLY_REFUSALS,
};

struct tally {
    struct histogram edge;    /* from a request's head to the head of its answer */
    struct histogram service; /* the part of it that its service and the lane took */
    struct histogram lane;    /* until a new stream was answered by the agent */
    _Atomic uint64_t handshakes[TALLY_HANDSHAKES];
    _Atomic uint64_t refusals[TALLY_REFUSALS];
    _Atomic uint64_t parked;

    uint64_t now_us; /* of this round of the loop; 0: nobody has asked yet */
    uv_prepare_t before;
    uv_check_t behind;
};

/* Of several workers together. */
struct tally_sum {
    struct histogram_sum edge, service, lane;
    uint64_t handshakes[TALLY_HANDSHAKES], refusals[TALLY_REFUSALS], parked;
};

void tally_init(struct tally *t, uv_loop_t *loop); /* zeroed before */
void tally_close(struct tally *t);

/* The clock is asked once a round at most: what happens within one round took no time. */
static inline uint64_t tally_now_us(struct tally *t)
{
    if (t->now_us == 0)
        t->now_us = uv_hrtime() / 1000;
    return t->now_us;
}

static inline void tally_refuse(struct tally *t, enum tally_refusal why)
{
    histogram_count(&t->refusals[why], 1);
}

void tally_merge(struct tally_sum *sum, const struct tally *t);
const char *tally_refusal_text(enum tally_refusal why);
#endif
