/* The life of a stream to a lane:
 *
 *   OPENING ── answered rightly ──▶ WARM ── taken ──▶ USED ── given back ──▶ IDLE ── taken ──▶ USED …
 *      │                             │                 │ closed, aborted      │ 5 s
 *      └── wrong, silent, broken ────┴─────────────────┴──────────▶ LEAVING ──┴──▶ CLOSED, freed
 *
 * LEAVING waits for the agent to close the channel, so that EOF without an abort always means half-close.
 * To a plain lane OPENING is the dial, and an abort is a reset. */
#include "relay/edge/upstream_parts.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MS = 10000,
    DIAL_MS = 10000,
    IDLE_MS = 5000,
    WAITED_FOR_MS = 150,   /* the same, while others wait for an answer of the service */
    GATHERED_BYTES = 4096, /* most heads, and bodies of forms; what is longer is worth a call of its own */
    LEAVE_MS = 5000,
    EXPLAIN_MS = 250, /* how long an end may wait for the agent's `ended` */
};

static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_broke(void *user);
static void on_sent(void *user);
static void on_drained(void *user);
static void on_ended(void *user, const struct err *why);
static void on_dialled(void *user, struct stream *s, const struct err *why);
static void on_late(void *user);
static void on_deadline_closed(void *user);

static const struct stream_events stream_events = {
    .received = on_received, .eof = on_eof, .drained = on_drained, .ended = on_ended, .sent = on_sent
};

/* ---- opening ---- */

static void enter(struct upstream *u, enum upstream_state next)
{
    enum upstream_state before = u->state;

    u->state = next;
    if (next == UPSTREAM_CLOSED)
        round_remove(u->round, &u->later);
    u->owner->moved(u->owner_user, u, before);
}

static int connect_to_lane(struct upstream *u, const struct snap_lane *lane, struct err *e)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(lane->port) };
    unsigned char opening[PROXY2_OPEN_BYTES];

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(u->agent, sizeof u->agent, "%s", lane->agent);
    u->stream = stream_connect(u->loop, (struct sockaddr *)&addr, NULL, &stream_events, u, e);
    if (!u->stream)
        return -1;
    u->pending++;
    stream_keep_broken(u->stream, on_broke);
    proof_begin(&u->proof, u->id, lane->secret, opening);
    stream_write(u->stream, opening, sizeof opening);
    return 0;
}

/* What is gathered leaves now. */
static void send_gathered(void *user)
{
    struct upstream *u = user;

    round_remove(u->round, &u->later);
    stream_write(u->stream, buf_bytes(&u->gathered), u->gathered.len);
    buf_free(&u->gathered);
}

struct upstream *upstream_open(const struct upstream_host *host, const struct snap_lane *lane, uint64_t id,
                               const struct upstream_owner *owner, void *user, struct err *e)
{
    struct upstream *u = mem_new(sizeof *u);

    u->owner = owner;
    u->owner_user = user;
    u->loop = host->loop;
    u->round = host->round;
    u->later = (struct round_item){ .act = send_gathered, .user = u };
    u->lane = lane->id;
    u->opened_us = uv_hrtime() / 1000;
    u->id = id;
    credit_init(&u->credit);
    u->plain = snap_lane_is_plain(lane);
    if (!u->plain && connect_to_lane(u, lane, e) != 0) {
        free(u);
        return NULL;
    }
    u->counts = counts_hold(lane->counts);
    deadline_init(&u->deadline, &u->loop->uv, on_late, u);
    u->pending++;
    if (u->plain)
        u->dial =
            dial_start(u->loop, lane->plain.host, lane->plain.port, DIAL_MS, host->names, on_dialled, u);
    else
        deadline_set(&u->deadline, ANSWER_MS);
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
    if (events) {
        u->owner->ended(u->owner_user, u, how);
        events->ended(u->user, how);
    }
}

static void close_now(struct upstream *u)
{
    if (u->state == UPSTREAM_CLOSED)
        return;
    enter(u, UPSTREAM_CLOSED);
    if (u->dial)
        dial_stop(u->dial);
    if (u->stream)
        stream_stop(u->stream);
    deadline_close(&u->deadline, on_deadline_closed);
}

static void leave(struct upstream *u)
{
    leave_user(u);
    if (u->state == UPSTREAM_CLOSED)
        return;
    enter(u, UPSTREAM_LEAVING);
    stream_set_source(u->stream, NULL);
    stream_resume(u->stream); /* what still comes is dropped, so that the end can be seen */
    stream_keep(u->stream, false);
    if (u->broke || (u->got_eof && !u->upgraded))
        close_now(u);
    else
        deadline_set(&u->deadline, LEAVE_MS);
}

void upstream_close(struct upstream *u)
{
    if (!u->stream) {
        upstream_abort(u);
        return;
    }
    upstream_shutdown(u);
    leave(u);
}

void upstream_abort(struct upstream *u)
{
    if (u->plain) {
        leave_user(u);
        if (u->stream)
            stream_reset(u->stream);
        close_now(u);
        return;
    }
    u->owner->aborted(u->owner_user, u);
    leave(u);
}

void upstream_break(struct upstream *u)
{
    const struct upstream_events *events = u->events;

    if (events && events->shed) {
        events->shed(u->user);
        return;
    }
    upstream_abort(u);
    if (events)
        events->ended(u->user, UPSTREAM_BROKEN);
}

void upstream_stop(struct upstream *u)
{
    close_now(u);
}

/* ---- what the lane says ---- */

static void fail_opening(struct upstream *u)
{
    u->owner->failed(u->owner_user, u);
    close_now(u);
    tell_ended(u, UPSTREAM_UNAVAILABLE);
}

/* The second header; a stream stays with its first item. */
static void begin_use(struct upstream *u)
{
    if (!u->plain)
        purpose_write(&u->purpose, u->link.http2, &u->gathered);
    enter(u, UPSTREAM_USED);
}

static enum upstream_end end_of_dial(const struct err *why)
{
    return why->code == ERR_TIMEOUT ? UPSTREAM_SILENT
           : why->code == ERR_PEER  ? UPSTREAM_REFUSED
                                    : UPSTREAM_UNREACHABLE;
}

/* A plain stream is opened for a request, and that has not gone away, or the dial would have been stopped. */
static void on_dialled(void *user, struct stream *s, const struct err *why)
{
    struct upstream *u = user;

    u->dial = NULL;
    if (!s) {
        log_warn_limited(upstream_item(u), "the upstream cannot be reached", kv_str("item", upstream_item(u)),
                         kv_str("error", why->text));
        close_now(u);
        tell_ended(u, end_of_dial(why));
        return;
    }
    u->stream = s;
    u->pending++;
    stream_hand_over(s, &stream_events, u);
    stream_keep_broken(s, on_broke);
    begin_use(u);
    u->events->ready(u->user);
}

/* Nothing is sent before these bytes are right: any process could listen on a port that a lane has left. */
static void take_answer(struct upstream *u, const char *bytes, size_t n)
{
    enum proof_verdict verdict = proof_take(&u->proof, bytes, n);

    if (verdict == PROOF_UNFINISHED)
        return;
    if (verdict == PROOF_WRONG) {
        log_warn_limited(u->agent, "a stream was answered by a stranger", kv_str("agent", u->agent),
                         kv_int("lane", (int64_t)u->lane));
        fail_opening(u);
        return;
    }
    deadline_clear(&u->deadline);
    if (!u->events) {
        enter(u, UPSTREAM_WARM);
        return;
    }
    begin_use(u);
    u->events->ready(u->user);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct upstream *u = user;

    switch (u->state) {
    case UPSTREAM_OPENING: take_answer(u, bytes, n); break;
    case UPSTREAM_USED:
        counts_add(&u->counts->bytes_in, n);
        u->brought += n;
        if (!u->answered)
            u->owner->heard(u->owner_user, u);
        u->answered = true;
        u->events->received(u->user, bytes, n);
        break;
    case UPSTREAM_WARM:
    case UPSTREAM_IDLE: /* an answer to no question */
        log_debug("unexpected bytes on an idle stream", kv_int("lane", (int64_t)u->lane));
        close_now(u);
        break;
    default: break; /* nobody wants them any more */
    }
}

/* Of an upgraded one what has not come as an EOF is no end in order, and of a plain one nobody says anything. */
static enum upstream_end end_of(const struct upstream *u)
{
    bool cut = u->broke && !u->got_eof;

    if (u->plain)
        return cut ? UPSTREAM_BROKEN : UPSTREAM_EOF;
    if (!u->explained)
        return UPSTREAM_LOST;
    switch (u->how) {
    case LANE_EOF: return cut && u->upgraded ? UPSTREAM_BROKEN : UPSTREAM_EOF;
    case LANE_REFUSED: return UPSTREAM_REFUSED;
    case LANE_UNREACHABLE: return UPSTREAM_UNREACHABLE;
    case LANE_SILENT: return UPSTREAM_SILENT;
    case LANE_RESET: break;
    }
    return UPSTREAM_BROKEN;
}

static void end_of_used(struct upstream *u)
{
    enum upstream_end how = end_of(u);

    if (u->upgraded && how == UPSTREAM_EOF && !u->broke) {
        deadline_clear(&u->deadline);
        u->events->eof(u->user);
        return;
    }
    close_now(u);
    tell_ended(u, how);
}

static void on_eof(void *user)
{
    struct upstream *u = user;

    u->got_eof = true;
    if (u->state == UPSTREAM_OPENING)
        fail_opening(u);
    else if (u->state == UPSTREAM_USED && !u->explained && !u->plain)
        deadline_set(&u->deadline, EXPLAIN_MS);
    else if (u->state == UPSTREAM_USED)
        end_of_used(u);
    else
        close_now(u);
}

/* sshd resets a connection that it closes before it has read all of it, and that may come before the agent's word of why
 * the channel ended. Whoever has the stream may be in the middle of writing: he learns it from the loop. */
static void on_broke(void *user)
{
    struct upstream *u = user;

    u->broke = true;
    if (u->state == UPSTREAM_OPENING)
        fail_opening(u);
    else if (u->state != UPSTREAM_USED)
        close_now(u);
    else if (u->explained || u->plain)
        deadline_set(&u->deadline, 0);
    else if (!u->got_eof)
        deadline_set(&u->deadline, EXPLAIN_MS);
}

void upstream_note_ended(struct upstream *u, enum lane_how how)
{
    u->explained = true;
    u->how = how;
    if (u->state == UPSTREAM_IDLE)
        close_now(u); /* before somebody takes it */
    else if ((u->got_eof || u->broke) && u->state == UPSTREAM_USED)
        end_of_used(u);
}

/* Nobody explains the end. But on a busy machine the word may be there, and only not have been looked at. */
static void end_unexplained(struct upstream *u)
{
    bool was_last = u->last_look || u->explained || u->plain;

    u->last_look = true;
    if (was_last)
        end_of_used(u);
    else
        deadline_set(&u->deadline, 1);
}

static void on_late(void *user)
{
    struct upstream *u = user;

    switch (u->state) {
    case UPSTREAM_OPENING:
        u->owner->silent(u->owner_user, u);
        fail_opening(u);
        break;
    case UPSTREAM_USED: end_unexplained(u); break;
    case UPSTREAM_IDLE: upstream_close(u); break;
    default: close_now(u); break;
    }
}

/* ---- use ---- */

void upstream_take(struct upstream *u, const struct snap_target *target, const struct purpose_alone *alone,
                   const struct upstream_events *events, void *user)
{
    u->events = events;
    u->user = user;
    u->answered = false;
    u->brought = 0;
    u->taken_ms = loop_now_ms(u->loop);
    counts_add(&u->counts->streams, 1);
    if (u->uses++ == 0) {
        purpose_set(&u->purpose, target, alone);
        u->begun_ms = u->taken_ms;
    }
    if (u->state == UPSTREAM_OPENING)
        return;
    deadline_clear(&u->deadline);
    if (u->state == UPSTREAM_WARM)
        begin_use(u);
    else
        enter(u, UPSTREAM_USED);
}

bool upstream_ready(const struct upstream *u)
{
    return u->state == UPSTREAM_USED;
}

bool upstream_used_before(const struct upstream *u)
{
    return u->uses > 1;
}

/* Little leaves behind the round of the loop: what many visitors ask in one finds sshd asleep, and wakes it up once. */
void upstream_write(struct upstream *u, const void *bytes, size_t n)
{
    assert(u->state == UPSTREAM_USED);
    counts_add(&u->counts->bytes_out, n);
    credit_use(&u->credit, n, loop_now_ms(u->loop));
    if (u->gathered.len + n < GATHERED_BYTES) {
        buf_add(&u->gathered, bytes, n);
        round_add(u->round, &u->later);
        return;
    }
    if (u->gathered.len > 0)
        send_gathered(u);
    stream_write(u->stream, bytes, n);
}

void upstream_push(struct upstream *u)
{
    if (u->later.waits)
        send_gathered(u);
}

size_t upstream_room(const struct upstream *u)
{
    if (u->broke)
        return 0;
    if (u->plain) /* its socket is all that pushes back */
        return stream_full(u->stream) ? 0 : SIZE_MAX;
    return credit_room(&u->credit);
}

void upstream_upgrade(struct upstream *u, const struct upstream_events *events, void *user)
{
    u->events = events;
    u->user = user;
    u->upgraded = true;
    stream_keep(u->stream, true); /* when its EOF comes last, it still has to be explained */
}

void upstream_shutdown(struct upstream *u)
{
    upstream_push(u);
    stream_shutdown(u->stream);
}

bool upstream_is_done(const struct upstream *u)
{
    return u->got_eof && (u->explained || u->plain) && !u->broke && u->gathered.len == 0 &&
           stream_queued(u->stream) == 0;
}

static void on_sent(void *user)
{
    struct upstream *u = user;

    if (u->upgraded && u->events && stream_queued(u->stream) == 0)
        u->events->room(u->user);
}

static void on_drained(void *user)
{
    struct upstream *u = user;

    if (u->plain && u->events)
        u->events->room(u->user);
}

void upstream_note_consumed(struct upstream *u, uint64_t total)
{
    bool waited = upstream_room(u) == 0;

    if (credit_give(&u->credit, total, loop_now_ms(u->loop)) && waited && u->events && upstream_room(u) > 0)
        u->events->room(u->user);
}

struct stream *upstream_stream(struct upstream *u)
{
    return u->stream;
}

void upstream_give_back(struct upstream *u)
{
    if (u->got_eof || u->broke) {
        upstream_close(u);
        return;
    }
    leave_user(u);
    u->idle_since_ms = loop_now_ms(u->loop);
    u->endless = false;
    stream_set_source(u->stream, NULL);
    stream_resume(u->stream);
    deadline_set(&u->deadline, IDLE_MS);
    enter(u, UPSTREAM_IDLE);
}

void upstream_hurry(struct upstream *u)
{
    deadline_set(&u->deadline, WAITED_FOR_MS);
}

/* ---- end ---- */

static void release(struct upstream *u)
{
    if (--u->pending > 0)
        return;
    u->owner->gone(u->owner_user, u);
    buf_free(&u->gathered);
    purpose_free(&u->purpose);
    counts_release(u->counts);
    proof_free(&u->proof);
    free(u);
}

static void on_deadline_closed(void *user)
{
    release(user);
}

static void on_ended(void *user, const struct err *why)
{
    struct upstream *u = user;
    enum upstream_state before = u->state;
    enum upstream_end how = before == UPSTREAM_OPENING ? UPSTREAM_UNAVAILABLE : end_of(u);

    (void)why; /* a connection that broke has been told of, unless it never came about */
    u->stream = NULL;
    if (before == UPSTREAM_OPENING)
        u->owner->failed(u->owner_user, u);
    if (before != UPSTREAM_CLOSED) {
        enter(u, UPSTREAM_CLOSED);
        deadline_close(&u->deadline, on_deadline_closed);
    }
    tell_ended(u, how);
    release(u);
}
