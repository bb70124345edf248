/* The life of an upgraded connection (WebSocket and the like), from the 101 on:
 *
 *   OPEN ── the visitor has ended ──▶ the service's half ──┐
 *    ├───── the service has ended ──▶ the visitor's half ──┴─▶ the service has all of it -> DONE
 *    └── one of them broke off, or the lane did: a reset for the other
 *
 * Backpressure is what it was for bodies: the source of each stream waits for its sink, and the agent's credit counts. */
#include "relay/edge/tunnelled.h"

#include "shared/mem.h"

#include <stdlib.h>

struct tunnelled {
    struct visitor_side side;
    struct upstream *upstream; /* NULL: it has ended */
    struct access_request *access;
    struct meter *meter;
    bool visitor_ended; /* and the service has been told */
    bool broken;
};

static void on_received(void *user, const char *bytes, size_t n);
static void on_room(void *user);
static uint64_t on_held_asked(void *user, uint64_t *moved);
static bool on_gone_asked(void *user);
static void on_eof(void *user);
static bool on_said_all_asked(void *user);
static void on_ended(void *user, enum upstream_end how);

static const struct upstream_events upstream_events = {
    .received = on_received,
    .room = on_room,
    .held = on_held_asked,
    .gone = on_gone_asked,
    .eof = on_eof,
    .said_all = on_said_all_asked,
    .ended = on_ended,
};

/* ---- start ---- */

/* A connection that others share does not end with this one anyway. */
static void keep_visitor(const struct tunnelled *t, bool kept)
{
    if (visitor_stream(&t->side))
        stream_keep(visitor_stream(&t->side), kept);
}

struct tunnelled *tunnelled_new(const struct visitor_side *side, struct upstream *upstream,
                                struct access_request *access, struct meter *meter)
{
    struct tunnelled *t = mem_new(sizeof *t);

    t->side = *side;
    t->upstream = upstream;
    t->access = access;
    t->meter = meter;
    upstream_upgrade(upstream, &upstream_events, t);
    stream_find_vanished(side->ops->connection(side->user));
    stream_find_vanished(upstream_stream(upstream));
    keep_visitor(t, true); /* when it ends last, its last bytes are still on their way */
    return t;
}

/* ---- up ---- */

static void send_up(struct tunnelled *t, struct buf *plain)
{
    size_t room;

    while (plain->len > 0 && (room = upstream_room(t->upstream)) > 0) {
        size_t n = plain->len < room ? plain->len : room;

        upstream_write(t->upstream, buf_bytes(plain), n);
        access_request_in(t->access, n);
        meter_in(t->meter, n);
        buf_take(plain, n);
    }
    if (plain->len > 0)
        return;
    buf_free(plain); /* there may be thousands of idle ones */
    if (visitor_has_ended(&t->side) && !t->visitor_ended) {
        t->visitor_ended = true;
        upstream_shutdown(t->upstream);
    }
}

static void on_room(void *user)
{
    struct tunnelled *t = user;

    visitor_run(&t->side);
}

/* ---- down ---- */

static void on_received(void *user, const char *bytes, size_t n)
{
    struct tunnelled *t = user;

    access_request_out(t->access, n);
    meter_out(t->meter, n);
    t->side.ops->send(t->side.user, bytes, n);
    visitor_run(&t->side);
}

static void on_eof(void *user)
{
    struct tunnelled *t = user;

    t->side.ops->shutdown(t->side.user);
    visitor_run(&t->side);
}

/* ---- what the pool asks ---- */

static uint64_t on_held_asked(void *user, uint64_t *moved)
{
    const struct tunnelled *t = user;

    return visitor_held(&t->side, moved);
}

static bool on_gone_asked(void *user)
{
    const struct tunnelled *t = user;

    return visitor_is_gone(&t->side);
}

static bool on_said_all_asked(void *user)
{
    const struct tunnelled *t = user;

    return visitor_has_ended(&t->side) || t->side.ops->has_left(t->side.user);
}

/* ---- end ---- */

/* After an orderly end of the service nobody takes what the visitor might still say. */
static void on_ended(void *user, enum upstream_end how)
{
    struct tunnelled *t = user;

    t->upstream = NULL;
    t->broken = how != UPSTREAM_EOF;
    visitor_run(&t->side);
}

enum exchange_state tunnelled_run(struct tunnelled *t, struct buf *plain)
{
    if (t->broken)
        return EXCHANGE_BROKEN;
    if (!t->upstream)
        return EXCHANGE_CLOSE;
    send_up(t, plain);
    visitor_hold(&t->side, upstream_stream(t->upstream));
    if (!t->visitor_ended || !upstream_is_done(t->upstream))
        return EXCHANGE_UPGRADED;
    upstream_close(t->upstream);
    t->upstream = NULL;
    return EXCHANGE_CLOSE;
}

bool tunnelled_is_over(const struct tunnelled *t)
{
    return !t->upstream && !t->broken;
}

void tunnelled_free(struct tunnelled *t)
{
    if (!t)
        return;
    keep_visitor(t, false);
    if (t->upstream)
        upstream_abort(t->upstream);
    free(t);
}
