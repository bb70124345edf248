/* relay/edge/h2_patience.h - what a visitor by HTTP/2 may cost us beyond what he asks for. Pure.
 *
 * A frame that brings nothing, or a request that is begun for nothing, costs us about as much as one that means something,
 * and costs him next to nothing. So it is paid for out of a patience, which comes back with time and with what he really
 * gets: whoever asks for much may also change his mind often. No timer is needed to end a flood: it ends with the frame
 * that cannot be paid for.
 *
 * A value. The time is an argument. */
#ifndef RELAY_EDGE_H2_PATIENCE_H
#define RELAY_EDGE_H2_PATIENCE_H
#include <stdbool.h>
#include <stdint.h>

enum {
    H2_COST_OF_FRAME = 1,   /* one that means nothing, or is about the connection alone */
    H2_COST_OF_REQUEST = 5, /* one that was begun for nothing, or was wrong */
    H2_COST_OF_STALL = 100, /* a response that he has asked for and never reads */
    H2_IGNORED_FRAMES =
        16, /* cost as much as one: such as those that were under way when we gave up a request */
    H2_SMALL_BYTES = 256, /* a frame cut to less than that by his window: he makes us work for single bytes */
};

struct h2_patience {
    unsigned left, ignored, acks; /* acks: frames that answer what we have sent, as WINDOW_UPDATE does */
    uint64_t refilled_ms;
    bool lost; /* for good */
};

void h2_patience_init(struct h2_patience *p, uint64_t now_ms);
/* False once it is lost. */
bool h2_patience_pay(struct h2_patience *p, unsigned cost, uint64_t now_ms);
/* A frame that answers others: paid for by those, as long as there are not more of it. */
bool h2_patience_pay_ack(struct h2_patience *p, uint64_t now_ms);
/* Frames that mean nothing any more, or to us. */
bool h2_patience_pay_ignored(struct h2_patience *p, unsigned frames, uint64_t now_ms);
void h2_patience_asked(struct h2_patience *p);  /* he has begun a request */
void h2_patience_sent(struct h2_patience *p);   /* he was sent a piece of a body */
void h2_patience_served(struct h2_patience *p); /* he has a whole response */
#endif
