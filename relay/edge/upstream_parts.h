/* relay/edge/upstream_parts.h - for the parts of a stream to a lane: upstream.c, its life, and upstream_look.c, what can be
 * seen of it from outside. Nobody else includes it. */
#ifndef RELAY_EDGE_UPSTREAM_PARTS_H
#define RELAY_EDGE_UPSTREAM_PARTS_H
#include "relay/edge/credit.h"
#include "relay/edge/proof.h"
#include "relay/edge/round.h"
#include "relay/edge/stillness.h"
#include "relay/edge/upstream.h"
#include "shared/deadline.h"

struct upstream {
    const struct upstream_owner *owner;
    void *owner_user;
    struct upstream_link link;
    struct loop *loop;
    struct counts *counts; /* of its lane */
    enum upstream_state state;
    uint64_t id, lane, opened_us;
    char agent[33]; /* "" of a plain one */
    struct proof proof;

    bool plain;
    struct dial *dial;     /* of a plain one, while OPENING */
    struct stream *stream; /* NULL: a plain one that is not connected yet */
    struct deadline deadline;
    int pending;
    int64_t idle_since_ms, begun_ms; /* begun: its first use, which connects it to the service */

    struct purpose purpose; /* decided by its first use */
    struct buf gathered;    /* the second header, and what has been written in this round of the loop */
    struct round *round;
    struct round_item later; /* sends it */
    uint64_t uses;
    uint64_t brought;                     /* bytes, in its last use, */
    int64_t taken_ms;                     /* which began then */
    const struct upstream_events *events; /* of whoever has taken it; NULL: nobody */
    void *user;
    bool got_eof, explained, upgraded, answered;
    bool endless;      /* its response has no end of its own */
    bool last_look;    /* for the explanation of its end, whose time is over */
    bool broke;        /* the connection to the lane: nothing more comes or goes, but perhaps why */
    enum lane_how how; /* once explained */

    struct credit credit; /* for bytes after the second header */
    struct stillness stillness;
    int64_t moved_at_ms; /* when something was last seen to have moved */
};
#endif
