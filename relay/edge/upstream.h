/* relay/edge/upstream.h - streams to the lanes: opened and proved ahead of need, used, kept alive, given up.
 *
 * One struct upstreams per worker owns all of its streams. A stream that is taken belongs to its exchange until it is
 * given back, aborted or has told `ended`. */
#ifndef RELAY_EDGE_UPSTREAM_H
#define RELAY_EDGE_UPSTREAM_H
#include "relay/edge/snapshot.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"
#include "shared/stream.h"

struct upstreams;
struct upstream;

/* To the worker that owns them. */
struct upstreams_events {
    uint64_t (*next_id)(void *user); /* for a new stream: unique in the whole relay */
    void (*proved)(void *user, uint64_t lane);
    void (*silent)(void *user, uint64_t lane);
    void (*aborted)(void *user, uint64_t lane, uint64_t stream);
    void (*ended)(void *user); /* after upstreams_stop, when the last stream has closed */
};

enum upstream_end {
    UPSTREAM_EOF,         /* the service ended its side, and the agent confirms that it meant to */
    UPSTREAM_BROKEN,      /* the lane or the service broke off */
    UPSTREAM_REFUSED,     /* the service's machine refused the connection, or could not be reached */
    UPSTREAM_SILENT,      /* the service did not answer the connection in time */
    UPSTREAM_UNAVAILABLE, /* no stream could be had from the lane */
};

/* To the exchange that has taken one. */
struct upstream_events {
    void (*ready)(void *user); /* only when upstream_ready was false at upstream_take */
    void (*received)(void *user, const char *bytes, size_t n);
    void (*ended)(void *user, enum upstream_end how); /* last; after EOF nothing can be written either */
};

struct upstreams *upstreams_new(struct loop *loop, const struct upstreams_events *events, void *user);
/* Opens warm streams to lanes that are new, closes what belongs to lanes that are gone or have another secret. */
void upstreams_follow(struct upstreams *all, const struct snapshot *snapshot);
void upstreams_note_ended(struct upstreams *all, uint64_t stream,
                          enum lane_how how); /* the agent's `ended` */
void upstreams_stop(struct upstreams *all);   /* frees itself after `ended` */

/* A stream for one visitor's request to the site: an idle one that serves it already (unless fresh), a warm one, or a
 * new one. NULL when the site has no lane. */
struct upstream *upstream_take(struct upstreams *all, const struct snap_site *site, bool fresh,
                               const struct upstream_events *events, void *user);
bool upstream_ready(const struct upstream *u);
bool upstream_used_before(const struct upstream *u);
void upstream_write(struct upstream *u, const void *bytes, size_t n);
struct stream *upstream_stream(struct upstream *u); /* for backpressure */

void upstream_give_back(
    struct upstream *u);                 /* the exchange is complete and the service keeps the connection */
void upstream_close(struct upstream *u); /* complete, but not to be used again */
void upstream_abort(struct upstream *u); /* the visitor is gone in the middle */
#endif
