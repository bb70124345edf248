/* A request's place on a connection by HTTP/2: what its exchange says to the service, and what that one has said. */
#include "relay/edge/service_h2_parts.h"
#include "shared/mem.h"

#include <stdlib.h>

/* ---- a request's side ---- */

static void head(void *user, struct str text)
{
    const struct member *m = user;

    h2_call_head(m->call, text, m->conn->scheme);
}

static void body(void *user, enum h1_framing framing, struct str data)
{
    struct member *m = user;

    (void)framing;
    h2_call_body(m->call, data.p, data.n);
    m->was_full = m->was_full || h2_call_room(m->call) == 0;
}

static void end(void *user, enum h1_framing framing, struct str trailers)
{
    const struct member *m = user;

    (void)framing;
    h2_call_end(m->call, trailers);
}

static void flush(void *user)
{
    const struct member *m = user;

    h2_call_flush(m->call);
    service_h2_make_due(m->conn);
}

static bool ready(const void *user)
{
    return ((const struct member *)user)->admitted;
}

static bool used_before(const void *user)
{
    return h2_client_settled(((const struct member *)user)->conn->client);
}

static uint64_t lane_of(const void *user)
{
    return upstream_lane(((const struct member *)user)->conn->upstream);
}

static size_t room(void *user)
{
    return h2_call_room(((const struct member *)user)->call);
}

static struct stream *no_stream(void *user)
{
    (void)user;
    return NULL;
}

static void hold(void *user, bool held)
{
    h2_call_hold(((const struct member *)user)->call, held);
}

static void unlink_member(struct member *m)
{
    struct service_h2 *c = m->conn;

    if (m->next)
        m->next->prev = m->prev;
    if (m->prev)
        m->prev->next = m->next;
    else
        c->members = m->next;
    c->members_n--;
    c->admitted_n -= m->admitted;
    counts_add(&c->counts->streams, -1);
    c->idle_since_ms = loop_now_ms(c->loop);
    h2_call_leave(m->call);
    free(m);
}

static void leave(void *user, enum service_leave how)
{
    struct member *m = user;
    struct service_h2 *c = m->conn;

    (void)how; /* what the call lacks says the same */
    unlink_member(m);
    service_h2_make_due(c);
}

static const struct service_ops ops = {
    .multiplexed = true,
    .head = head,
    .body = body,
    .end = end,
    .flush = flush,
    .ready = ready,
    .used_before = used_before,
    .lane = lane_of,
    .room = room,
    .stream = no_stream,
    .hold = hold,
    .leave = leave,
};

struct member *member_new(struct service_h2 *c, const struct upstream_events *events, void *user)
{
    struct member *m = mem_new(sizeof *m);

    *m = (struct member){ .conn = c, .next = c->members, .events = events, .user = user };
    m->call = h2_call_new(c->client, m);
    if (m->next)
        m->next->prev = m;
    c->members = m;
    c->members_n++;
    counts_add(&c->counts->streams, 1);
    return m;
}

struct service_side member_side(struct member *m)
{
    return (struct service_side){ &ops, m };
}

/* ---- what has come for a request ---- */

void member_end(struct member *m, enum upstream_end how, uint32_t code)
{
    const struct upstream_events *events = m->events;
    void *user = m->user;

    unlink_member(m);
    if (how == UPSTREAM_RESET)
        events->reset(user, code);
    events->ended(user, how);
}

static void tell_closed(struct member *m)
{
    struct service_h2 *c = m->conn;
    const struct h2_call *call = m->call;

    switch (h2_call_how(call)) {
    case H2_CALL_UNPROCESSED:
        c->refused_at = c->admitted_n > 1 ? c->admitted_n - 1 : 1;
        member_end(m, UPSTREAM_UNPROCESSED, 0);
        break;
    case H2_CALL_RESET: member_end(m, UPSTREAM_RESET, call->code); break;
    case H2_CALL_REFUSED:
        service_h2_note_bad(c, call->why ? call->why : "a response that breaks the protocol");
        member_end(m, UPSTREAM_NOT_HTTP, 0);
        break;
    }
}

static void tell_heads(struct member *m)
{
    struct h2_call *call = m->call;
    struct buf heads = call->heads;

    buf_init(&call->heads);
    pool_note_used(m->conn->lane, m->conn->upstream);
    m->events->received(m->user, buf_bytes(&heads), heads.len);
    buf_free(&heads);
}

static void tell_body(struct member *m)
{
    struct h2_call *call = m->call;

    m->events->body(m->user, buf_bytes(&call->in), call->in.len);
    h2_call_taken(call);
}

/* What has come of its response; nobody leaves meanwhile. */
static void tell_response(struct member *m)
{
    const struct h2_call *call = m->call;

    if (call->heads.len > 0)
        tell_heads(m);
    if (call->in.len > 0)
        tell_body(m);
    if (!call->remote_ended || m->told)
        return;
    m->told = true;
    m->events->end(m->user, (struct str){ buf_bytes(&call->trailers), call->trailers.len });
}

void member_tell(struct h2_call *call)
{
    struct member *m = call->user;

    if (m && m->was_full && h2_call_room(call) > H2_CALL_ROOM_BYTES / 2) {
        m->was_full = false;
        m->events->room(m->user);
    }
    m = call->user; /* he may have left */
    if (m && (call->heads.len > 0 || call->in.len > 0 || (call->remote_ended && !m->told))) {
        tell_response(m);
        m->events->told(m->user);
    }
    m = call->user;
    if (m && !call->remote_ended && (call->closed || call->why))
        tell_closed(m);
    if (!call->user && call->closed)
        h2_call_free(call);
}

/* ---- once a second ---- */

uint64_t member_look(struct member *m, uint64_t *moved)
{
    uint64_t own_moved = 0, held = m->events->held(m->user, &own_moved) + m->call->out.len + m->call->in.len;

    own_moved += m->call->sent_bytes;
    stillness_look(&m->stillness, own_moved, held);
    *moved += own_moved;
    return held;
}

struct member *member_find_orphan(const struct service_h2 *c)
{
    struct member *m = c->members;

    while (m && !(m->stillness.stuck > 0 && m->events->gone(m->user)))
        m = m->next;
    return m;
}

struct member *member_find_fattest(const struct service_h2 *c)
{
    struct member *fattest = NULL;

    for (struct member *m = c->members; m; m = m->next)
        if (m->stillness.stuck > (fattest ? fattest->stillness.stuck : 0))
            fattest = m;
    return fattest;
}
