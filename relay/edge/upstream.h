/* relay/edge/upstream.h - one stream to a lane: opened and proved, used, given back, given up. Or a connection to a
 * plain one, which has no agent: nothing is proved or explained there, and an EOF is the end.
 *
 * Alive on a worker's loop. Its pool (relay/edge/pool.h) opens it and keeps it on a list; an exchange that has taken it
 * owns it until it is given back, closed or aborted, or has told `ended`. */
#ifndef RELAY_EDGE_UPSTREAM_H
#define RELAY_EDGE_UPSTREAM_H
#include "relay/edge/purpose.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/upstream_events.h"
#include "shared/dial.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"
#include "shared/stream.h"

struct upstream;

enum upstream_state {
    UPSTREAM_OPENING, /* not answered yet; may be taken already */
    UPSTREAM_WARM,    /* proved, and not used yet */
    UPSTREAM_USED,
    UPSTREAM_IDLE,    /* given back: may serve the same service again */
    UPSTREAM_LEAVING, /* waits for the agent to close the channel */
    UPSTREAM_CLOSED,
};

/* To the pool. */
struct upstream_owner {
    void (*moved)(void *user, struct upstream *u, enum upstream_state before);
    void (*failed)(void *user, struct upstream *u); /* before it was answered, or because of the answer */
    void (*silent)(void *user, struct upstream *u); /* was not answered in time */
    void (*heard)(void *user, struct upstream *u);  /* the first of its answer to whoever has taken it */
    void (*aborted)(void *user, struct upstream *u);
    void (*ended)(void *user, struct upstream *u, enum upstream_end how); /* under whoever has taken it */
    void (*gone)(void *user, struct upstream *u);                         /* last */
};

struct upstream_host {
    struct loop *loop;
    struct round *round;
    struct dial_names *names; /* of hosts of plain lanes */
};

/* What host names is borrowed until `gone`. */
struct upstream *upstream_open(const struct upstream_host *host, const struct snap_lane *lane, uint64_t id,
                               const struct upstream_owner *owner, void *user, struct err *e);
/* For one exchange. The first one decides what the stream is for (relay/edge/purpose.h). Where a service may speak first,
 * upstream_write of no bytes sends the second header, which otherwise waits for the first bytes. */
void upstream_take(struct upstream *u, const struct snap_target *target, const struct purpose_alone *alone,
                   const struct upstream_events *events, void *user);
bool upstream_ready(const struct upstream *u);
uint64_t upstream_age_us(const struct upstream *u); /* since it was opened */
bool upstream_used_before(const struct upstream *u);
/* Little of it leaves only behind the round of the loop, unless it is pushed, or the end follows. */
void upstream_write(struct upstream *u, const void *bytes, size_t n);
void upstream_push(struct upstream *u);
/* How many bytes of a body the service's end still has room for. What stands in no body may be written regardless. */
size_t upstream_room(const struct upstream *u);
struct stream *upstream_stream(struct upstream *u); /* for backpressure; NULL before upstream_ready */

/* It carries another protocol from now on: an end of either side is a half-close. Its events are for somebody else. */
void upstream_upgrade(struct upstream *u, const struct upstream_events *events, void *user);
void upstream_shutdown(struct upstream *u);      /* half-close, behind what is queued */
bool upstream_is_done(const struct upstream *u); /* the service has ended, and all that we said is sent */

void upstream_give_back(
    struct upstream *u);                 /* the exchange is complete and the service keeps the connection */
void upstream_hurry(struct upstream *u); /* given back; not to be kept for long */
void upstream_close(struct upstream *u); /* complete, but not to be used again */
void upstream_abort(struct upstream *u); /* the visitor is gone in the middle */

/* ---- for the pool ---- */

struct upstream_link {
    struct upstream *prev, *next;
    void *list;    /* where it stands */
    int64_t claim; /* the lane's, when it was first used */
    bool http2;    /* is spoken on it; set before its first use */
    bool asked; /* of a service that speaks it to some requests only: a refusal says nothing of the others */
};

struct upstream_link *upstream_link(struct upstream *u);
enum upstream_state upstream_state(const struct upstream *u);
bool upstream_taken(const struct upstream *u);
uint64_t upstream_id(const struct upstream *u);
uint64_t upstream_lane(const struct upstream *u);
const char *upstream_item(const struct upstream *u); /* "" before its first use */
const char *upstream_route(const struct upstream *u);
/* What it carries has no end that could be waited for: another protocol's bytes, or a response of which this was said. */
bool upstream_is_endless(const struct upstream *u);
void upstream_note_endless(struct upstream *u);
bool upstream_answered(
    const struct upstream *u); /* whoever has it, or has just had it, got something of the service */
bool upstream_serves(const struct upstream *u, const struct snap_target *target,
                     const struct purpose_alone *alone); /* it was used for just this */
int64_t upstream_idle_ms(const struct upstream *u);      /* since it was given back */
int64_t upstream_begun_ms(const struct upstream *u);     /* when it was first used */
bool upstream_orphaned(
    const struct upstream *u); /* nothing moves, and the visitor is gone; or both sides are */
void upstream_note_ended(struct upstream *u, enum lane_how how); /* the agent's `ended` */
void upstream_note_consumed(struct upstream *u, uint64_t total); /* the agent's `consumed` */
uint64_t upstream_look(struct upstream *u); /* once a second: bytes that wait in it, for either side */
uint64_t upstream_brought(const struct upstream *u); /* bytes, in its last use */
bool upstream_waits(const struct upstream *u);       /* somebody has it, and has had nothing of an answer */
bool upstream_lasts(const struct upstream *u);       /* somebody has had it for a second or more */
uint64_t upstream_stuck(
    const struct upstream *u);           /* the same, if nothing had moved at the last looks; else 0 */
void upstream_break(struct upstream *u); /* ends it under its exchange; the agent is told */
void upstream_stop(struct upstream *u);
#endif
