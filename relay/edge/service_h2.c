/* The life of a connection to a service by HTTP/2:
 *
 *   stream taken -> OPEN: requests come and go, up to as many as the service allows ── nobody for 5 s ──▶ GOAWAY, closed
 *                     │                                                                         ▲
 *                     ├── GOAWAY, a response that is none, another claim: RETIRING ── the last ──┘
 *                     └── the stream has ended, or the protocol is broken: all requests are told
 *
 * A request waits to be admitted until the service has said how many it takes at once; the first one does not. Whatever
 * happens to one makes its call dirty; `work` then looks at all that are, and sends what there is to send. What visitors
 * say only makes it due, for they must not be called back meanwhile: behind the round of the loop it works, and what came
 * of several visitors goes out together. */
#include "relay/edge/service_h2_parts.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MS = 5000,          /* as streams by HTTP/1.1 */
    AHEAD_BYTES = 65536,     /* of frames, made ahead of the stream */
    OVERDRAFT_BYTES = 65536, /* of frames that are no bodies, to a service that takes nothing */
    /* Servers of gRPC end a connection whose client pings more often than every 5 minutes while nothing is sent. */
    PING_MS = 330 * 1000,
    PONG_MS = 60 * 1000,
};

static void on_ready(void *user);
static void on_received(void *user, const char *bytes, size_t n);
static void on_room(void *user);
static uint64_t on_held_asked(void *user, uint64_t *moved);
static bool on_gone_asked(void *user);
static uint64_t on_stuck_asked(void *user);
static void on_shed(void *user);
static void on_ended(void *user, enum upstream_end how);
static void on_later(void *user);
static void work(struct service_h2 *c);

static const struct upstream_events upstream_events = {
    .ready = on_ready,
    .received = on_received,
    .room = on_room,
    .held = on_held_asked,
    .gone = on_gone_asked,
    .stuck = on_stuck_asked,
    .shed = on_shed,
    .ended = on_ended,
};

/* ---- which one ---- */

static uint32_t limit(const struct service_h2 *c)
{
    uint32_t n = h2_client_settled(c->client) ? h2_client_limit(c->client) : c->expected;

    return c->refused_at > 0 && c->refused_at < n ? c->refused_at : n;
}

/* One that takes none now may take one later. */
static bool has_place(const struct service_h2 *c)
{
    uint32_t most = limit(c);

    if (most == 0)
        most = h2_client_settled(c->client) ? 1 : H2_CLIENT_CALLS;
    return !c->retiring && !h2_client_retiring(c->client) && c->members_n < most;
}

static bool serves(const struct service_h2 *c, const struct snap_target *target,
                   const struct purpose_alone *alone)
{
    return c->lane->snap && c->claim == c->lane->snap->claim && upstream_serves(c->upstream, target, alone);
}

static struct service_h2 *find(const struct lane *l, const struct snap_target *target,
                               const struct purpose_alone *alone)
{
    struct service_h2 *c = l->shared;

    while (c && !(serves(c, target, alone) && has_place(c)))
        c = c->next;
    return c;
}

bool service_h2_has_room(const struct lane *l, const struct snap_target *target)
{
    return find(l, target, NULL) != NULL;
}

static uint32_t limit_of_others(const struct lane *l, const struct snap_target *target)
{
    for (const struct service_h2 *c = l->shared; c; c = c->next)
        if (serves(c, target, NULL) && limit(c) > 0)
            return limit(c);
    return 0;
}

/* ---- start ---- */

static struct service_h2 *open_connection(struct lane *l, const struct snap_way *way,
                                          const struct snap_target *target, const struct purpose_alone *alone)
{
    struct service_h2 *c = mem_new(sizeof *c);
    struct pool *p = l->pool;

    c->upstream = pool_take_from(l, target, alone, POOL_HTTP2, &upstream_events, c);
    if (!c->upstream) {
        free(c);
        return NULL;
    }
    c->loop = p->loop;
    c->scheme = way->http2 == POLICY_HTTP2_ASKED ? "https" : "http";
    c->claim = l->snap->claim;
    upstream_link(c->upstream)->asked = way->http2 == POLICY_HTTP2_ASKED;
    c->counts = counts_hold(l->snap->counts);
    c->expected = limit_of_others(l, target);
    c->client = h2_client_new((uint64_t)loop_now_ms(p->loop));
    c->later = (struct round_item){ .act = on_later, .user = c };
    c->how = UPSTREAM_BROKEN;
    c->ready = upstream_ready(c->upstream);
    c->idle_since_ms = c->heard_ms = loop_now_ms(p->loop);
    c->lane = l;
    c->next = l->shared;
    l->shared = c;
    return c;
}

static bool may_admit(const struct service_h2 *c)
{
    uint32_t most = limit(c);

    if (!h2_client_settled(c->client) && most == 0)
        most = 1;
    return c->ready && c->admitted_n < most;
}

static void admit(struct member *m)
{
    m->admitted = true;
    m->conn->admitted_n++;
}

bool service_h2_join(struct lane *l, const struct snap_way *way, const struct snap_target *target,
                     const struct purpose_alone *alone, const struct upstream_events *events, void *user,
                     struct service_side *side)
{
    struct service_h2 *c = find(l, target, alone);
    struct member *m;

    if (!c)
        c = open_connection(l, way, target, alone);
    if (!c)
        return false;
    m = member_new(c, events, user);
    if (may_admit(c))
        admit(m);
    *side = member_side(m);
    return true;
}

void service_h2_note_bad(struct service_h2 *c, const char *why)
{
    c->retiring = true;
    log_warn_limited(upstream_item(c->upstream), "a service answered with what is not HTTP/2",
                     kv_str("item", upstream_item(c->upstream)), kv_str("error", why));
}

/* ---- its work ---- */

static void on_later(void *user)
{
    work(user);
}

void service_h2_make_due(struct service_h2 *c)
{
    if (c->lane && !c->at_work && !c->lane->pool->stopping)
        round_add(c->lane->pool->round, &c->later);
}

static struct member *find_waiting(const struct service_h2 *c)
{
    struct member *first = NULL;

    for (struct member *m = c->members; m; m = m->next)
        if (!m->admitted)
            first = m;
    return first;
}

/* Once it is known how many the service takes, the others go elsewhere; but where it takes none at all for now, they
 * would find nothing better. */
static bool has_too_many(const struct service_h2 *c)
{
    uint32_t most = limit(c) > 0 ? limit(c) : 1;

    return h2_client_retiring(c->client) || (h2_client_settled(c->client) && c->members_n > most);
}

static void admit_waiting(struct service_h2 *c)
{
    struct member *m;

    while (may_admit(c) && !h2_client_retiring(c->client) && (m = find_waiting(c))) {
        admit(m);
        m->events->ready(m->user);
    }
    while (has_too_many(c) && (m = find_waiting(c)))
        member_end(m, UPSTREAM_UNPROCESSED, 0);
}

/* Frames that are no bodies may be needed by a service that takes nothing now, but not without end. */
static void send_frames(struct service_h2 *c)
{
    struct buf out = { 0 };

    while (c->ready && c->overdraft < OVERDRAFT_BYTES) {
        size_t credit = upstream_room(c->upstream);

        h2_client_send(c->client, &out, AHEAD_BYTES, credit < AHEAD_BYTES ? credit : AHEAD_BYTES);
        if (out.len == 0)
            break;
        c->overdraft = credit > 0 ? 0 : c->overdraft + out.len;
        upstream_write(c->upstream, buf_bytes(&out), out.len);
        buf_take(&out, out.len);
    }
    upstream_push(c->upstream);
    buf_free(&out);
}

static void take_off_list(struct service_h2 *c)
{
    struct service_h2 **at = &c->lane->shared;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    round_remove(c->lane->pool->round, &c->later);
    c->lane = NULL;
}

static void free_connection(struct service_h2 *c)
{
    h2_client_free(c->client);
    counts_release(c->counts);
    free(c);
}

/* Nobody finds it any more; whoever is still on it is told, and then it is gone. */
static void end_all(struct service_h2 *c, enum upstream_end how)
{
    c->at_work = true; /* whoever leaves now has nothing sent for him */
    take_off_list(c);
    while (c->members) {
        bool begun = c->members->call->id > 0;

        member_end(c->members, how != UPSTREAM_EOF ? how : begun ? UPSTREAM_BROKEN : UPSTREAM_UNPROCESSED, 0);
    }
    free_connection(c);
}

static void break_off(struct service_h2 *c)
{
    struct upstream *u = c->upstream;

    service_h2_note_bad(c, c->why);
    send_frames(c); /* the last words: GOAWAY */
    end_all(c, c->how);
    upstream_close(u);
}

static bool is_done(const struct service_h2 *c)
{
    return c->members_n == 0 && !h2_client_first(c->client) && (c->retiring || h2_client_retiring(c->client));
}

static void close_connection(struct service_h2 *c)
{
    h2_client_end(c->client);
    send_frames(c);
    upstream_close(c->upstream);
    take_off_list(c);
    free_connection(c);
}

static void note_if_broken(struct service_h2 *c)
{
    if (c->why || !h2_client_broken(c->client))
        return;
    c->why = "frames that break the protocol";
    c->how = UPSTREAM_NOT_HTTP;
}

/* It may be gone afterwards. */
static void work(struct service_h2 *c)
{
    struct h2_call *call;

    if (c->at_work)
        return;
    c->at_work = true;
    do {
        while ((call = h2_client_next(c->client)))
            member_tell(call);
        admit_waiting(c);
        if (!c->why)
            send_frames(c);
        note_if_broken(c);
    } while (h2_client_has_news(c->client));
    c->at_work = false;
    if (c->why)
        break_off(c);
    else if (is_done(c))
        close_connection(c);
}

/* ---- what the stream tells ---- */

static void on_ready(void *user)
{
    struct service_h2 *c = user;

    c->ready = true;
    work(c);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct service_h2 *c = user;
    const char *why;

    c->heard_ms = loop_now_ms(c->loop);
    c->pinged_ms = 0;
    if (!c->why && h2_client_feed(c->client, bytes, n, (uint64_t)c->heard_ms, &why) != 0) {
        c->why = why;
        c->how = UPSTREAM_NOT_HTTP;
    }
    work(c);
}

static void on_room(void *user)
{
    struct service_h2 *c = user;

    c->overdraft = 0;
    work(c);
}

static void on_ended(void *user, enum upstream_end how)
{
    end_all(user, how);
}

/* ---- once a second ---- */

static uint64_t on_held_asked(void *user, uint64_t *moved)
{
    const struct service_h2 *c = user;
    uint64_t held = 0;

    *moved = 0;
    for (struct member *m = c->members; m; m = m->next)
        held += member_look(m, moved);
    return held;
}

static bool on_gone_asked(void *user)
{
    return member_find_orphan(user) != NULL;
}

static uint64_t on_stuck_asked(void *user)
{
    const struct member *m = member_find_fattest(user);

    return m ? m->stillness.stuck : 0;
}

static void on_shed(void *user)
{
    struct service_h2 *c = user;
    struct member *m = member_find_orphan(c);

    if (!m)
        m = member_find_fattest(c);
    if (m)
        member_end(m, UPSTREAM_BROKEN, 0);
    work(c);
}

/* True while its service may be taken to live. */
static bool is_alive(struct service_h2 *c, int64_t now_ms)
{
    if (c->members_n == 0 || !c->ready)
        return true;
    if (c->pinged_ms > 0)
        return now_ms - c->pinged_ms < PONG_MS;
    if (now_ms - c->heard_ms >= PING_MS) {
        c->pinged_ms = now_ms;
        h2_client_ping(c->client);
    }
    return true;
}

static void look(struct service_h2 *c, int64_t now_ms)
{
    bool stale = !c->lane->snap || c->claim != c->lane->snap->claim;

    c->retiring =
        c->retiring || stale || (c->members_n == 0 && c->ready && now_ms - c->idle_since_ms >= IDLE_MS);
    if (!is_alive(c, now_ms))
        c->why = "nothing comes any more, not even to a PING";
    work(c);
}

void service_h2_look(struct lane *l)
{
    int64_t now_ms = loop_now_ms(l->pool->loop);

    for (struct service_h2 *c = l->shared, *next; c; c = next) {
        next = c->next;
        look(c, now_ms);
    }
}

void service_h2_stop(struct lane *l)
{
    for (struct service_h2 *c = l->shared, *next; c; c = next) {
        struct upstream *u = c->upstream;

        next = c->next;
        end_all(c, UPSTREAM_BROKEN);
        upstream_abort(u);
    }
}
