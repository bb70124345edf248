/* The life of a raw connection:
 *
 *   WAIT ── a stream is got, and told whose it is ──▶ RUN: bytes both ways
 *    │ ▲ └── no lane: parked until one is there        ├── the visitor has ended ──▶ the service's half ──┐
 *    │ └──── its lane died before a byte had passed ◀──┤                                                  │
 *    │                                                 ├── the service has ended ──▶ the visitor's half ──┴─▶ LAST
 *    └── its time is over, there is no room            └── one of them broke off, or the lane did
 *        └───────────────────────── a reset ──────────────────▶ freed with the visitor's stream
 *
 * LAST: the stream is given back, and what the visitor has yet to read is on its way to him. */
#include "relay/edge/raw.h"

#include "relay/edge/headers.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    MAX_TRIES = 4,
    WAIT_BYTES = 64 * 1024, /* beyond it who waits is not read any further */
    UNREAD_MS = 60000,      /* without any progress of what he has yet to read, once the service is done */
};

/* As the stream module of nginx has them, so that whoever reads its logs can read ours. */
enum status {
    ST_SERVED = 200,
    ST_FORBIDDEN = 403,
    ST_LEFT = ACCESS_NO_ANSWER,
    ST_NOT_REACHED = 502,
    ST_AWAY = 503
};

enum state { R_WAIT, R_RUN, R_LAST };

struct raw {
    const struct raw_host *host;
    struct raw_visit visit; /* its texts are ours */
    enum state state;
    struct stream *visitor;
    struct upstream *upstream; /* NULL: there is none */
    struct parked parked;
    uint64_t lane;  /* of the last stream; 0: there was none */
    char agent[33]; /* at its other end */
    unsigned tries;

    struct buf held;  /* of the visitor's, not given to the stream yet */
    struct buf again; /* all that was said to the stream, if it may be said to another one */
    bool visitor_eof, told_eof;
    bool in_order;                 /* both have ended, and nothing was cut off */
    uint64_t bytes_up, bytes_down; /* to and from the stream */

    int64_t began_ms, began_unix_ms;
    enum status status;
};

static void get_stream(struct raw *r, uint64_t not_lane);
static void on_woken(void *user, enum parking_news news);
static void begin(struct raw *r);
static void run(struct raw *r);
static void end_in_order(struct raw *r);
static void fail(struct raw *r, enum status status);
static void on_visitor_received(void *user, const char *bytes, size_t n);
static void on_visitor_eof(void *user);
static void on_visitor_sent(void *user);
static void on_visitor_ended(void *user, const struct err *why);
static void on_ready(void *user);
static void on_received(void *user, const char *bytes, size_t n);
static void on_room(void *user);
static uint64_t on_held_asked(void *user, uint64_t *moved);
static bool on_gone_asked(void *user);
static void on_service_eof(void *user);
static bool on_said_all_asked(void *user);
static void on_ended(void *user, enum upstream_end how);

static const struct stream_events visitor_events = {
    .received = on_visitor_received, .eof = on_visitor_eof, .ended = on_visitor_ended, .sent = on_visitor_sent
};
static const struct upstream_events upstream_events = {
    .ready = on_ready,
    .received = on_received,
    .room = on_room,
    .held = on_held_asked,
    .gone = on_gone_asked,
    .eof = on_service_eof,
    .said_all = on_said_all_asked,
    .ended = on_ended,
};

/* ---- the access log ---- */

static void add_line(const struct raw_host *host, const struct raw_visit *visit,
                     const struct access_entry *own)
{
    struct access_entry entry = *own;
    char peer[64];

    if (!visit->logged || !access_log_on(host->access_log))
        return;
    headers_address_text(&visit->alone.source, peer, sizeof peer);
    entry.service_ms = -1;
    entry.request_id = entry.protocol = entry.tls = "";
    entry.client = peer;
    entry.agent = entry.agent ? entry.agent : visit->agent;
    entry.domain = visit->item;
    entry.method = str_of(visit->method);
    entry.target = str_of(visit->key);
    access_log_add(host->access_log, &entry);
}

static int64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void raw_refuse(const struct raw_host *host, const struct raw_visit *visit)
{
    const struct access_entry own = { .began_ms = unix_ms(),
                                      .status = visit->refused ? visit->refused : ST_FORBIDDEN };

    add_line(host, visit, &own);
}

static void add_own_line(const struct raw *r, bool complete)
{
    const struct access_entry own = { .began_ms = r->began_unix_ms,
                                      .status = (int)r->status,
                                      .duration_ms = (uint64_t)(loop_now_ms(r->host->loop) - r->began_ms),
                                      .bytes_in = r->bytes_up,
                                      .bytes_out = r->bytes_down,
                                      .lane = r->lane,
                                      .agent = r->agent[0] ? r->agent : NULL,
                                      .complete = complete };

    add_line(r->host, &r->visit, &own);
}

/* ---- start ---- */

static void copy_visit(struct raw_visit *to, const struct raw_visit *from)
{
    *to = *from;
    to->alone.sni = from->alone.sni ? mem_copy(from->alone.sni) : NULL;
    to->key = mem_copy(from->key);
    to->method = mem_copy(from->method);
    to->item = mem_copy(from->item);
    to->agent = mem_copy(from->agent);
    to->counts = counts_hold(from->counts);
}

struct raw *raw_start(const struct raw_host *host, struct stream *visitor, const struct raw_visit *visit,
                      const char *bytes, size_t n)
{
    struct raw *r = mem_new(sizeof *r);

    r->host = host;
    copy_visit(&r->visit, visit);
    r->visitor = visitor;
    r->status = ST_LEFT;
    r->began_ms = loop_now_ms(host->loop);
    r->began_unix_ms = unix_ms();
    counts_add(&r->visit.counts->requests, 1);
    counts_add(&r->visit.counts->streams, 1);
    stream_hand_over(visitor, &visitor_events, r);
    stream_find_vanished(visitor);
    /* Where nobody looks at the bytes, an end is all that tells a visitor that he has everything: the kernel is not to
     * say it for us when this process is killed, but of what it has all of already. */
    stream_reset_when_killed(visitor, true);
    stream_keep(visitor, true); /* when it ends last, its last bytes are still on their way */
    buf_add(&r->held, bytes, n);
    if (visit->repeatable)
        buf_add(&r->again, bytes, n);
    get_stream(r, 0);
    return r;
}

/* ---- WAIT ---- */

static const struct snap_target *target_of(const struct raw *r)
{
    return r->visit.find(r->host->snapshot(r->host->user), r->visit.key);
}

/* Also while the lanes that there are have no room: their agent opens further ones when many come at once. */
static bool park(struct raw *r)
{
    const struct parking_place place = { .host = str_of(r->visit.key),
                                         .find = r->visit.find,
                                         .counts = r->visit.counts,
                                         .not_lane = r->lane,
                                         .bytes = r->held.len,
                                         .ms = r->visit.park_ms };

    r->parked.wake = on_woken;
    r->parked.user = r;
    return parking_enter(r->host->parking, &r->parked, &place);
}

static void note_lane(struct raw *r, const struct snap_target *target)
{
    r->lane = upstream_lane(r->upstream);
    for (size_t i = 0; i < target->lanes_n; i++)
        if (target->lanes[i].lane->id == r->lane)
            snprintf(r->agent, sizeof r->agent, "%s", target->lanes[i].lane->agent);
}

static void get_stream(struct raw *r, uint64_t not_lane)
{
    const struct snap_target *target = target_of(r);

    r->state = R_WAIT;
    if (target && r->tries < MAX_TRIES)
        r->upstream =
            pool_take(r->host->pool, target, &r->visit.alone, POOL_FRESH, not_lane, &upstream_events, r);
    if (!r->upstream && target && park(r))
        return;
    if (!target || !r->upstream) {
        fail(r, ST_AWAY);
        return;
    }
    r->tries++;
    note_lane(r, target);
    if (upstream_ready(r->upstream))
        begin(r);
}

static void on_woken(void *user, enum parking_news news)
{
    struct raw *r = user;

    if (news == PARKING_OVER)
        fail(r, ST_AWAY);
    else
        get_stream(r, news == PARKING_SAME ? 0 : r->lane);
}

static void on_ready(void *user)
{
    begin(user);
}

/* ---- RUN ---- */

static void begin(struct raw *r)
{
    struct stream *up = upstream_stream(r->upstream);

    r->state = R_RUN;
    r->status = ST_SERVED;
    upstream_upgrade(r->upstream, &upstream_events, r);
    stream_set_source(up, r->visitor);
    stream_set_source(r->visitor, up);
    if (r->held.len == 0)
        upstream_write(r->upstream, "", 0); /* the service may be the one that speaks first */
    run(r);
}

static void send_up(struct raw *r, const char *bytes, size_t n)
{
    upstream_write(r->upstream, bytes, n);
    r->bytes_up += n;
    counts_add(&r->visit.counts->bytes_in, n);
    if (r->bytes_up > r->again.len)
        buf_free(&r->again);
}

/* What has come and can go on. */
static void run(struct raw *r)
{
    size_t room = upstream_room(r->upstream), n = r->held.len < room ? r->held.len : room;

    if (n > 0) {
        send_up(r, buf_bytes(&r->held), n);
        buf_take(&r->held, n);
    }
    if (r->held.len > 0)
        return;
    buf_free(&r->held);
    stream_resume(r->visitor);
    if (r->visitor_eof && !r->told_eof) {
        r->told_eof = true;
        upstream_shutdown(r->upstream);
    }
    if (r->told_eof && upstream_is_done(r->upstream))
        end_in_order(r);
}

static void hold(struct raw *r, const char *bytes, size_t n)
{
    buf_add(&r->held, bytes, n);
    if (r->held.len >= WAIT_BYTES || (r->parked.parking && !parking_grow(&r->parked, r->held.len)))
        stream_pause(r->visitor);
}

/* The credit is used up to its last byte: then its next part is told of. */
static void on_visitor_received(void *user, const char *bytes, size_t n)
{
    struct raw *r = user;
    size_t room;

    if (r->state == R_LAST)
        return; /* nobody is left who takes it */
    if (r->state == R_WAIT) {
        hold(r, bytes, n);
        return;
    }
    room = r->held.len == 0 ? upstream_room(r->upstream) : 0;
    room = room < n ? room : n;
    if (room > 0)
        send_up(r, bytes, room);
    if (room < n) {
        buf_add(&r->held, bytes + room, n - room);
        stream_pause(r->visitor);
    }
}

/* He may have said all that he has to say, and now waits for the answer. */
static void on_visitor_eof(void *user)
{
    struct raw *r = user;

    r->visitor_eof = true;
    if (r->state == R_RUN)
        run(r);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct raw *r = user;

    buf_free(&r->again);
    r->bytes_down += n;
    counts_add(&r->visit.counts->bytes_out, n);
    stream_write(r->visitor, bytes, n);
}

static void on_service_eof(void *user)
{
    struct raw *r = user;

    stream_shutdown(r->visitor);
    run(r);
}

static void on_room(void *user)
{
    run(user);
}

/* ---- what the pool asks ---- */

static uint64_t on_held_asked(void *user, uint64_t *moved)
{
    const struct raw *r = user;
    size_t queued = stream_queued(r->visitor);

    *moved = r->bytes_down - queued;
    return queued + r->held.len;
}

/* Of a visitor who is not read, because the service takes nothing, the kernel alone knows that he has gone. */
static bool on_gone_asked(void *user)
{
    const struct raw *r = user;

    return stream_is_broken(r->visitor);
}

static bool on_said_all_asked(void *user)
{
    const struct raw *r = user;

    return r->visitor_eof || stream_peer_has_ended(r->visitor);
}

/* ---- end ---- */

/* What is still with us would be lost with us, and the kernel's end would hide that. */
static void leave_to_kernel(struct raw *r)
{
    if (stream_queued(r->visitor) == 0)
        stream_reset_when_killed(r->visitor, false);
}

/* A visitor who has not ended learns by a reset, if he goes on, that nobody is there, as from the service itself; who
 * reads nothing is not waited for for ever. */
static void end_visitor(struct raw *r)
{
    const unsigned unread_ms = UNREAD_MS;

    buf_free(&r->held);
    stream_set_source(r->visitor, NULL);
    stream_resume(r->visitor);
    leave_to_kernel(r);
    (void)setsockopt(stream_fd(r->visitor), IPPROTO_TCP, TCP_USER_TIMEOUT, &unread_ms, sizeof unread_ms);
    stream_shutdown(r->visitor);
    if (r->visitor_eof)
        stream_keep(r->visitor, false); /* it ends by itself, behind its last byte */
    else
        on_visitor_sent(r);
}

/* The stream has done its part. */
static void end_in_order(struct raw *r)
{
    r->state = R_LAST;
    r->in_order = r->visitor_eof;
    if (r->upstream)
        upstream_close(r->upstream);
    r->upstream = NULL;
    end_visitor(r);
}

static void on_visitor_sent(void *user)
{
    struct raw *r = user;

    if (r->state != R_LAST)
        return;
    leave_to_kernel(r);
    if (!r->visitor_eof && stream_queued(r->visitor) == 0)
        stream_stop(r->visitor);
}

/* Nothing comes back from the stream, nor from the parking, after this. */
static void break_off(struct raw *r)
{
    r->state = R_LAST;
    buf_free(&r->again);
    parking_leave(&r->parked);
    if (r->upstream)
        upstream_abort(r->upstream);
    r->upstream = NULL;
}

static void fail(struct raw *r, enum status status)
{
    const struct str *words = &r->visit.last_words;

    break_off(r);
    r->status = status;
    if (status < ST_NOT_REACHED || words->n == 0 || r->bytes_down > 0) {
        stream_reset(r->visitor);
        return;
    }
    stream_write(r->visitor, words->p, words->n);
    end_visitor(r);
}

/* Nothing of the visitor's and nothing of the service's was lost with it, but for what may be said again. */
static bool may_try_again(const struct raw *r, enum upstream_end how)
{
    return (how == UPSTREAM_LOST || how == UPSTREAM_UNAVAILABLE) && r->bytes_down == 0 &&
           (r->bytes_up == 0 || r->bytes_up == r->again.len);
}

static void take_back(struct raw *r)
{
    struct buf whole = { 0 };

    r->told_eof = false;
    if (r->bytes_up == 0)
        return;
    buf_add(&whole, buf_bytes(&r->again), r->again.len);
    buf_add(&whole, buf_bytes(&r->held), r->held.len);
    buf_free(&r->held);
    r->held = whole;
    r->bytes_up = 0;
}

static void on_ended(void *user, enum upstream_end how)
{
    struct raw *r = user;

    r->upstream = NULL;
    if (may_try_again(r, how)) {
        take_back(r);
        get_stream(r, r->lane);
    } else if (how == UPSTREAM_EOF) {
        end_in_order(r);
    } else if (how == UPSTREAM_BROKEN || how == UPSTREAM_LOST) {
        fail(r, ST_SERVED);
    } else {
        fail(r, ST_NOT_REACHED);
    }
}

void raw_stop(struct raw *r)
{
    break_off(r);
    stream_reset(r->visitor);
}

static void on_visitor_ended(void *user, const struct err *why)
{
    struct raw *r = user;
    bool complete = r->state == R_LAST && r->in_order && why->code == ERR_NONE;

    break_off(r);
    add_own_line(r, complete);
    if (r->status >= ST_NOT_REACHED)
        counts_add(&r->visit.counts->errors, 1);
    counts_add(&r->visit.counts->streams, -1);
    counts_release(r->visit.counts);
    buf_free(&r->held);
    free((char *)(uintptr_t)r->visit.alone.sni);
    free((char *)(uintptr_t)r->visit.key);
    free((char *)(uintptr_t)r->visit.method);
    free((char *)(uintptr_t)r->visit.item);
    free((char *)(uintptr_t)r->visit.agent);
    r->host->ended(r->host->user, r);
    free(r);
}
