/* relay/edge/pool.h - which streams a worker has: proved ahead of need, kept for the next request, proved again, given
 * up when they hold too much.
 *
 * Alive on the worker's loop. */
#ifndef RELAY_EDGE_POOL_H
#define RELAY_EDGE_POOL_H
#include "relay/edge/remains.h"
#include "relay/edge/round.h"
#include "relay/edge/service_side.h"

struct pool;

/* To the worker. */
struct pool_events {
    uint64_t (*next_id)(void *user); /* for a new stream: unique in the whole relay */
    void (*proved)(void *user, uint64_t lane, uint64_t took_us); /* a stream, since it was opened */
    void (*silent)(void *user, uint64_t lane);
    void (*aborted)(void *user, uint64_t lane, uint64_t stream);
    /* A request has had no answer yet, and the service may be held up by what other workers keep. */
    void (*waits)(void *user, uint64_t lane, uint64_t service, int64_t since_ms);
    void (*ended)(void *user); /* after pool_stop, when the last stream has closed */
};

/* What one worker may have. */
struct pool_limits {
    unsigned workers;      /* how many share what a lane can carry */
    unsigned max_streams;  /* of a lane, for all workers together */
    uint64_t max_buffered; /* for this worker; beyond it the fattest stream that stands still is reset */
};

/* Borrows the round too. */
struct pool *pool_new(struct loop *loop, struct round *round, const struct pool_limits *limits,
                      const struct pool_events *events, void *user);
/* Borrows the snapshot until the next one. Opens warm streams to lanes that are new, closes what belongs to lanes that
 * are gone or have another secret. */
void pool_follow(struct pool *p, const struct snapshot *snapshot);
/* The agent's `ended` and `consumed`; about an unknown stream they are ignored. */
void pool_note_ended(struct pool *p, uint64_t lane, uint64_t stream, enum lane_how how);
void pool_note_consumed(struct pool *p, uint64_t lane, uint64_t stream, uint64_t total);
void pool_note_waits(struct pool *p, uint64_t lane, uint64_t service,
                     int64_t since_ms); /* as another worker's pool tells */
void pool_stop(struct pool *p);         /* frees itself after `ended` */

/* Which streams may be taken that have served a request already. */
enum pool_reuse {
    POOL_FRESH,  /* none */
    POOL_RECENT, /* those that the service cannot be closing at this moment */
    POOL_ANY,
    POOL_HTTP2, /* none: HTTP/2 is to be spoken on it */
};

/* What a request wants of its service. */
struct pool_wants {
    const struct purpose_alone *alone; /* as for pool_take */
    enum pool_reuse reuse;             /* by HTTP/1.1 */
    bool http2;        /* also where the service speaks HTTP/1.1 otherwise, if it can (relay/edge/grpc.h) */
    uint64_t not_lane; /* as for pool_take */
};

/* A service for one request: by HTTP/1.1 a stream of its own, as pool_take finds it; by HTTP/2 a place on a connection
 * that others may share. False: no lane has room. */
bool pool_serve(struct pool *p, const struct snap_target *target, const struct pool_wants *wants,
                const struct upstream_events *events, void *user, struct service_side *side);

/* A stream for one request to this service: one that has served it already, a warm one, or a new one, of the lane that
 * comes first (pool_choice.c). NULL when it has no lane with room. not_lane: one that has just failed this request, whose
 * machine is avoided too; 0: none. alone: the visitor who is to have it for himself; NULL: it may serve others too. */
struct upstream *pool_take(struct pool *p, const struct snap_target *target,
                           const struct purpose_alone *alone, enum pool_reuse reuse, uint64_t not_lane,
                           const struct upstream_events *events, void *user);
struct remains_list *pool_remains(struct pool *p); /* counted, and shed, as streams are */
/* Whether another machine than this lane's can be expected to serve it. */
bool pool_has_other(const struct pool *p, const struct snap_target *target, uint64_t lane);
#endif
