/* The life of a stream to a lane:
 *
 *   OPENING ── answered rightly ──▶ WARM ── taken ──▶ USED ── given back ──▶ IDLE ── taken ──▶ USED …
 *      │                             │                 │ aborted              │ 5 s
 *      └── wrong, silent, broken ────┴─────────────────┴──────────▶ LEAVING ──┴──▶ closed, freed
 *
 * LEAVING waits for the agent to close the channel, so that EOF without an abort always means half-close. */
#include "relay/edge/upstream.h"

#include "shared/log.h"
#include "shared/mem.h"
#include "shared/secret.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    WARM_STREAMS = 2,
    ANSWER_MS = 10000,
    IDLE_MS = 5000,
    LEAVE_MS = 5000,
    EXPLAIN_MS = 250, /* how long an EOF may wait for the agent's `ended` */
};

enum state { U_OPENING, U_WARM, U_USED, U_IDLE, U_LEAVING, U_CLOSED };

struct upstream {
    struct upstreams *all;
    struct upstream *prev, *next;
    struct counts *counts; /* of its lane */
    enum state state;
    uint64_t id, lane;
    unsigned char secret[PROXY2_SECRET_BYTES], random[PROXY2_RANDOM_BYTES];
    unsigned char answer[PROXY2_ANSWER_BYTES];
    size_t answer_n;

    struct stream *stream;
    uv_timer_t timer;
    int pending;

    char item[264];    /* "" until used */
    struct buf prefix; /* the second header, which travels with the first bytes */
    uint64_t uses;
    const struct upstream_events *events; /* of whoever has taken it; NULL: nobody */
    void *user;
    bool got_eof, explained;
    enum lane_how how; /* once explained */
};

struct upstreams {
    struct loop *loop;
    const struct upstreams_events *events;
    void *user;
    struct upstream *first;
    const struct snapshot *snapshot; /* borrowed from the worker */
    bool stopping;
};

static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_ended(void *user, const struct err *why);
static void on_timer(uv_timer_t *timer);
static void on_timer_closed(uv_handle_t *handle);

static const struct stream_events stream_events = { .received = on_received,
                                                    .eof = on_eof,
                                                    .ended = on_ended };

/* ---- opening ---- */

static void set_timer(struct upstream *u, uint64_t ms)
{
    uv_timer_start(&u->timer, on_timer, ms, 0);
}

static void link_in(struct upstream *u)
{
    u->next = u->all->first;
    if (u->next)
        u->next->prev = u;
    u->all->first = u;
}

static struct upstream *open_stream(struct upstreams *all, const struct snap_lane *lane)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(lane->port) };
    unsigned char opening[PROXY2_OPEN_BYTES];
    struct upstream *u = mem_new(sizeof *u);
    struct err why = { 0 };

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    u->all = all;
    u->lane = lane->id;
    u->counts = counts_hold(lane->counts);
    u->id = all->events->next_id(all->user);
    memcpy(u->secret, lane->secret, sizeof u->secret);
    if (getrandom(u->random, sizeof u->random, 0) != (ssize_t)sizeof u->random)
        abort(); /* a proof without randomness proves nothing */
    u->stream = stream_connect(all->loop, (struct sockaddr *)&addr, NULL, &stream_events, u, &why);
    if (!u->stream) {
        log_warn_limited(lane->agent, "cannot open a stream", kv_str("agent", lane->agent),
                         kv_str("error", why.text));
        counts_release(u->counts);
        free(u);
        return NULL;
    }
    uv_timer_init(&all->loop->uv, &u->timer);
    u->timer.data = u;
    u->pending = 2;
    link_in(u);
    proxy2_open_write(opening, u->secret, u->id, u->random);
    stream_write(u->stream, opening, sizeof opening);
    set_timer(u, ANSWER_MS);
    return u;
}

/* ---- leaving ---- */

static void leave_user(struct upstream *u)
{
    if (u->events)
        counts_add(&u->counts->streams, -1);
    u->events = NULL;
}

/* Whoever has taken the stream learns that it is gone; after this nobody has. */
static void tell_ended(struct upstream *u, enum upstream_end how)
{
    const struct upstream_events *events = u->events;

    leave_user(u);
    if (events)
        events->ended(u->user, how);
}

static void close_now(struct upstream *u)
{
    if (u->state == U_CLOSED)
        return;
    u->state = U_CLOSED;
    stream_stop(u->stream);
    uv_close((uv_handle_t *)&u->timer, on_timer_closed);
}

static void leave(struct upstream *u)
{
    leave_user(u);
    u->state = U_LEAVING;
    stream_set_source(u->stream, NULL);
    stream_resume(u->stream); /* what still comes is dropped, so that the end can be seen */
    if (u->got_eof)
        close_now(u);
    else
        set_timer(u, LEAVE_MS);
}

void upstream_close(struct upstream *u)
{
    stream_shutdown(u->stream);
    leave(u);
}

void upstream_abort(struct upstream *u)
{
    u->all->events->aborted(u->all->user, u->lane, u->id);
    leave(u);
}

/* ---- what the lane says ---- */

static void become_warm(struct upstream *u)
{
    u->state = u->events ? U_USED : U_WARM;
    uv_timer_stop(&u->timer);
    u->all->events->proved(u->all->user, u->lane);
}

static void begin_use(struct upstream *u);

/* Nothing is sent before these bytes are right: any process could listen on a port that a lane has left. */
static void take_answer(struct upstream *u, const char *bytes, size_t n)
{
    unsigned char expected[PROXY2_ANSWER_BYTES];

    if (n > sizeof u->answer - u->answer_n) {
        log_warn_limited("stream", "a stream was answered by a stranger", kv_int("lane", (int64_t)u->lane));
        close_now(u);
        tell_ended(u, UPSTREAM_UNAVAILABLE);
        return;
    }
    memcpy(u->answer + u->answer_n, bytes, n);
    u->answer_n += n;
    if (u->answer_n < sizeof u->answer)
        return;
    proxy2_answer(expected, u->secret, u->id, u->random);
    if (!secret_eq(expected, u->answer, sizeof expected)) {
        log_warn_limited("stream", "a stream was answered by a stranger", kv_int("lane", (int64_t)u->lane));
        close_now(u);
        tell_ended(u, UPSTREAM_UNAVAILABLE);
        return;
    }
    become_warm(u);
    if (u->events) {
        begin_use(u);
        u->events->ready(u->user);
    }
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct upstream *u = user;

    switch (u->state) {
    case U_OPENING: take_answer(u, bytes, n); break;
    case U_USED:
        counts_add(&u->counts->bytes_in, n);
        u->events->received(u->user, bytes, n);
        break;
    case U_WARM:
    case U_IDLE: /* an answer to no question */
        log_debug("unexpected bytes on an idle stream", kv_int("lane", (int64_t)u->lane));
        close_now(u);
        break;
    case U_LEAVING:
    case U_CLOSED: break;
    }
}

static enum upstream_end end_of(const struct upstream *u)
{
    if (!u->explained)
        return UPSTREAM_BROKEN;
    switch (u->how) {
    case LANE_EOF: return UPSTREAM_EOF;
    case LANE_REFUSED:
    case LANE_UNREACHABLE: return UPSTREAM_REFUSED;
    case LANE_SILENT: return UPSTREAM_SILENT;
    case LANE_RESET: break;
    }
    return UPSTREAM_BROKEN;
}

static void end_of_used(struct upstream *u)
{
    enum upstream_end how = end_of(u);

    close_now(u);
    tell_ended(u, how);
}

static void on_eof(void *user)
{
    struct upstream *u = user;

    u->got_eof = true;
    if (u->state == U_USED && !u->explained)
        set_timer(u, EXPLAIN_MS);
    else if (u->state == U_USED)
        end_of_used(u);
    else if (u->state == U_OPENING) {
        close_now(u);
        tell_ended(u, UPSTREAM_UNAVAILABLE);
    } else
        close_now(u);
}

void upstreams_note_ended(struct upstreams *all, uint64_t stream, enum lane_how how)
{
    for (struct upstream *u = all->first; u; u = u->next) {
        if (u->id != stream)
            continue;
        u->explained = true;
        u->how = how;
        if (u->got_eof && u->state == U_USED)
            end_of_used(u);
        return;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct upstream *u = timer->data;

    switch (u->state) {
    case U_OPENING:
        u->all->events->silent(u->all->user, u->lane);
        close_now(u);
        tell_ended(u, UPSTREAM_UNAVAILABLE);
        break;
    case U_USED: end_of_used(u); break; /* nobody explained the EOF */
    case U_IDLE: upstream_close(u); break;
    default: close_now(u); break;
    }
}

/* ---- use ---- */

static const struct snap_lane *find_lane(const struct upstreams *all, uint64_t id)
{
    const struct snap_lane *const *lanes;
    size_t n = all->snapshot ? snapshot_lanes(all->snapshot, &lanes) : 0;

    for (size_t i = 0; i < n; i++)
        if (lanes[i]->id == id)
            return lanes[i];
    return NULL;
}

static size_t count(const struct upstreams *all, uint64_t lane, enum state a, enum state b)
{
    size_t n = 0;

    for (const struct upstream *u = all->first; u; u = u->next)
        if (u->lane == lane && !u->events && (u->state == a || u->state == b))
            n++;
    return n;
}

static void keep_warm(struct upstreams *all, const struct snap_lane *lane)
{
    size_t n = count(all, lane->id, U_WARM, U_OPENING);

    while (!all->stopping && n++ < WARM_STREAMS && open_stream(all, lane))
        continue;
}

static bool serves(const struct snap_site *site, uint64_t lane)
{
    for (size_t i = 0; i < site->lanes_n; i++)
        if (site->lanes[i]->id == lane)
            return true;
    return false;
}

static struct upstream *find_ready(struct upstreams *all, const struct snap_site *site, enum state state)
{
    for (struct upstream *u = all->first; u; u = u->next)
        if (u->state == state && serves(site, u->lane) &&
            (state == U_WARM || strcmp(u->item, site->item) == 0))
            return u;
    return NULL;
}

/* The second header; pooled streams stay with their first item. */
static void begin_use(struct upstream *u)
{
    const struct proxy2_use use = { .local = true, .item = str_of(u->item) };

    proxy2_use_write(&u->prefix, &use);
}

struct upstream *upstream_take(struct upstreams *all, const struct snap_site *site, bool fresh,
                               const struct upstream_events *events, void *user)
{
    struct upstream *u = fresh ? NULL : find_ready(all, site, U_IDLE);
    const struct snap_lane *lane;

    if (site->lanes_n == 0)
        return NULL;
    if (!u)
        u = find_ready(all, site, U_WARM);
    if (!u)
        u = open_stream(all, site->lanes[(size_t)rand() % site->lanes_n]);
    if (!u)
        return NULL;
    u->events = events;
    u->user = user;
    counts_add(&u->counts->streams, 1);
    if (u->uses++ == 0)
        memcpy(u->item, site->item, strlen(site->item) + 1);
    if (u->state == U_WARM)
        begin_use(u);
    if (u->state != U_OPENING) {
        u->state = U_USED;
        uv_timer_stop(&u->timer);
    }
    lane = find_lane(all, u->lane);
    if (lane)
        keep_warm(all, lane);
    return u;
}

bool upstream_ready(const struct upstream *u)
{
    return u->state == U_USED;
}

bool upstream_used_before(const struct upstream *u)
{
    return u->uses > 1;
}

void upstream_write(struct upstream *u, const void *bytes, size_t n)
{
    counts_add(&u->counts->bytes_out, n);
    if (u->prefix.len == 0) {
        stream_write(u->stream, bytes, n);
        return;
    }
    buf_add(&u->prefix, bytes, n);
    stream_write(u->stream, buf_bytes(&u->prefix), u->prefix.len);
    buf_free(&u->prefix);
}

struct stream *upstream_stream(struct upstream *u)
{
    return u->stream;
}

void upstream_give_back(struct upstream *u)
{
    if (u->got_eof || u->all->stopping || !find_lane(u->all, u->lane)) {
        upstream_close(u);
        return;
    }
    leave_user(u);
    u->state = U_IDLE;
    stream_set_source(u->stream, NULL);
    stream_resume(u->stream);
    set_timer(u, IDLE_MS);
}

/* ---- all of them ---- */

struct upstreams *upstreams_new(struct loop *loop, const struct upstreams_events *events, void *user)
{
    struct upstreams *all = mem_new(sizeof *all);

    all->loop = loop;
    all->events = events;
    all->user = user;
    return all;
}

void upstreams_follow(struct upstreams *all, const struct snapshot *snapshot)
{
    const struct snap_lane *const *lanes;
    size_t n = snapshot_lanes(snapshot, &lanes);

    all->snapshot = snapshot;
    for (struct upstream *u = all->first; u; u = u->next) {
        const struct snap_lane *lane = find_lane(all, u->lane);
        bool other_secret = lane && memcmp(lane->secret, u->secret, sizeof u->secret) != 0;

        if (!u->events && (!lane || other_secret) && (u->state == U_WARM || u->state == U_OPENING))
            close_now(u);
        else if (!lane && u->state == U_IDLE)
            upstream_close(u);
    }
    for (size_t i = 0; i < n; i++)
        keep_warm(all, lanes[i]);
}

static void end_if_empty(struct upstreams *all)
{
    if (!all->stopping || all->first)
        return;
    all->events->ended(all->user);
    free(all);
}

void upstreams_stop(struct upstreams *all)
{
    all->stopping = true;
    for (struct upstream *u = all->first; u; u = u->next)
        close_now(u);
    end_if_empty(all);
}

static void release(struct upstream *u)
{
    struct upstreams *all = u->all;

    if (--u->pending > 0)
        return;
    if (u->prev)
        u->prev->next = u->next;
    else
        all->first = u->next;
    if (u->next)
        u->next->prev = u->prev;
    buf_free(&u->prefix);
    counts_release(u->counts);
    explicit_bzero(u->secret, sizeof u->secret);
    free(u);
    end_if_empty(all);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_ended(void *user, const struct err *why)
{
    struct upstream *u = user;
    enum state before = u->state;

    (void)why;
    if (u->state != U_CLOSED) {
        u->state = U_CLOSED;
        uv_close((uv_handle_t *)&u->timer, on_timer_closed);
    }
    tell_ended(u, before == U_OPENING ? UPSTREAM_UNAVAILABLE : UPSTREAM_BROKEN);
    release(u);
}
