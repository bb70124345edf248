/* tests/linesim/conn.h - a connection across the line: two sockets, and a flow of bytes each way.
 *
 * Lives from conn_start until both its flows have ended, or it is reset. The sim owns it. */
#ifndef TESTS_LINESIM_CONN_H
#define TESTS_LINESIM_CONN_H
#include "shared/buf.h"
#include "tests/linesim/listener.h"

struct end { /* one of the two sockets */
    struct watch watch;
    struct conn *conn;
    bool readable, writable; /* as far as we know: edge-triggered events set them, EAGAIN clears them */
    bool connecting;
    bool eof;    /* nothing more will be read from it */
    bool broken; /* reset, or it could not be reached: what is written to it goes nowhere */
};

struct flow { /* the bytes of one direction */
    struct conn *conn;
    int direction;
    struct end *from, *to;
    struct buf bytes; /* what was read and not yet written; the first `due` bytes have crossed the line */
    size_t due;
    bool waiting; /* is in sim.waiting */
    bool lost;    /* something was swallowed, so nothing may follow it: silent for good */
    bool fin_due, fin_sent;
    uint64_t in, out, lost_bytes;
    TAILQ_ENTRY(flow) turn;
};

struct conn {
    struct sim *sim;
    const struct listener *listener;
    uint32_t id;
    bool dialled, ended;
    struct end end[2];   /* end[UP] is where the flow up starts: the client; end[DOWN] is the target */
    struct flow flow[2]; /* UP, DOWN */
    TAILQ_ENTRY(conn) link;
};

void conn_start(struct sim *s, const struct listener *l, int fd); /* takes fd */
void conn_tune_socket(int fd);                                    /* before listen or connect */

/* What the sim calls. A flow may take a turn when it waits and the line has room for it. */
bool flow_may_take_turn(const struct flow *f);
void flow_take_turn(struct flow *f); /* reads a little and sends it on its way */
void flow_arrived(struct flow *f, const struct line_parcel *parcel);
void flow_swallowed(struct flow *f); /* what it had on the line is gone, and so is all that would follow */

void conn_reset(struct conn *c); /* RST to both ends at once, not along the line */
/* FIN to both ends at once. What they still send is read and thrown away, until they close, too. */
void conn_cut(struct conn *c);
void conn_free(struct conn *c); /* of one that has ended */
#endif
