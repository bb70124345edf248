/* The life of a visitor's connection:
 *
 *   FIRST -> HANDSHAKE -> HEAD -> EXCHANGE ─┐     each state has a deadline
 *     │           │         ▲────────────────┘    (but not after an upgrade); without TLS it begins with HEAD
 *     │           │         └── refused, told to close ──▶ LINGER -> CLOSE -> freed
 *     │           ├── HTTP/2 is agreed on: H2, all its requests (h2_visitor.c) ──▶ LINGER
 *     │           └── refused, broken, late ─────────────────────────▶
 *     ├── "SSH-": the socket goes to splice.c; TLS for a site that ends it itself: to raw.c
 *     └── first.c knows what the first bytes are, and who the visitor of a load balancer is */
#include "relay/edge/client_parts.h"
#include "relay/edge/exchange.h"
#include "relay/edge/h2_visitor.h"
#include "relay/edge/reception.h"
#include "relay/edge/snapshot_bans.h"
#include "relay/edge/visitor_h1.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HANDSHAKE_MS = 10000,
    IDLE_MS = 75000,         /* between requests */
    HEAD_MS = 30000,         /* from a head's first byte to its last */
    PROGRESS_MS = 300000,    /* of an exchange without any progress */
    GONE_MS = 2000,          /* in which a visitor who is gone has told so, when asked */
    LAST_CALL_MS = 3000,     /* for the first request of a visitor who has come, when we are about to end */
    LINGER_MS = 2000,        /* for the visitor to close in his turn, once he has our last words */
    HEARD_OUT_MS = 30000,    /* for one who speaks on, since he was answered */
    UNREAD_MS = 60000,       /* without any progress of what he has yet to read */
    LOOK_MS = 1000,          /* while a request is parked: has the visitor gone? */
    PLAIN_BYTES = 65536,     /* decrypted and not yet used, where it is no head */
    H2_LAST_BYTES = 2000000, /* of HTTP/2 that ends: a flood is not read */
};

static enum client_state step_handshake(struct client *c);
static enum client_state step_head(struct client *c);
static enum client_state begin_exchange(struct client *c, size_t head_bytes);
static enum client_state step_exchange(struct client *c);
static enum client_state step_h2(struct client *c);
static enum client_state step_linger(struct client *c);
static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_drained(void *user);
static void on_sent(void *user);
static void on_ended(void *user, const struct err *why);
static void on_late(void *user);
static void on_deadline_closed(void *user);
static SSL_CTX *pick_certificate(void *user, struct str server_name, bool validates);

static const struct stream_events stream_events = {
    .received = on_received, .eof = on_eof, .drained = on_drained, .ended = on_ended, .sent = on_sent
};

/* ---- start ---- */

static void set_deadline(struct client *c, uint64_t ms)
{
    deadline_set(&c->deadline, ms);
}

static enum client_state state_for(enum first_kind kind)
{
    return kind == FIRST_MORE ? C_FIRST : kind == FIRST_TLS ? C_HANDSHAKE : C_HEAD;
}

struct client *client_accept(struct loop *loop, int fd, const struct client_host *host,
                             struct entrance entrance, struct err *e)
{
    struct client *c = mem_new(sizeof *c);

    c->host = host;
    c->sock = stream_open(loop, fd, &stream_events, c, e);
    if (!c->sock) {
        free(c);
        return NULL;
    }
    deadline_init(&c->deadline, &loop->uv, on_late, c);
    c->pending = 2;
    wire_init(&c->wire, c->sock,
              entrance.secure
                  ? tls_new(host->tls_begin, host->sealed, snapshot_rules(host->snapshot(host->user))->http2,
                            pick_certificate, c)
                  : NULL,
              host->sealed);
    c->first.entrance = entrance;
    c->first.ssh = host->ssh;
    c->first.asks_name = entrance.secure; /* until it speaks there may be a site that needs to know */
    c->state = state_for(first_begin(&c->first));
    origin_of_socket(&c->from, stream_fd(c->sock));
    set_deadline(c, c->state == C_HEAD ? HEAD_MS : HANDSHAKE_MS);
    return c;
}

static SSL_CTX *pick_certificate(void *user, struct str server_name, bool validates)
{
    struct client *c = user;
    const struct snapshot *snapshot = c->host->snapshot(c->host->user);
    char address[sizeof c->address];

    if (server_name.n == 0 && !validates) {
        headers_address_text(&c->from.dest, address, sizeof address);
        snprintf(c->address, sizeof c->address, "%s", snapshot_nameless(snapshot, address));
        server_name = str_of(c->address);
    }
    return snapshot_pick_tls(snapshot, server_name, validates);
}

static const char *server_name_of(const struct client *c)
{
    return c->address[0] || !c->wire.tls ? c->address : tls_server_name(c->wire.tls);
}

static uint64_t now_ms(const struct client *c)
{
    return uv_now(c->deadline.timer.loop);
}

static struct reception reception_of(const struct client *c)
{
    return (struct reception){ .host = c->host,
                               .from = &c->from,
                               .server_name = server_name_of(c),
                               .tls = client_tls_version(c),
                               .http2 = c->state == C_H2 };
}

static void drop_requests(struct client *c)
{
    exchange_free(c->exchange);
    c->exchange = NULL;
    h2_visitor_free(c->h2);
    c->h2 = NULL;
}

/* ---- states ---- */

static void begin_h2(struct client *c)
{
    const struct reception reception = reception_of(c);

    c->spoke_h2 = true;
    c->h2 = h2_visitor_new(c, &reception, now_ms(c));
    if (c->draining || !snapshot_rules(c->host->snapshot(c->host->user))->http2)
        h2_visitor_drain(c->h2, now_ms(c));
    set_deadline(c, h2_visitor_look(c->h2, now_ms(c)));
}

static void client_enter(struct client *c, enum client_state next)
{
    c->state = next;
    switch (next) {
    case C_FIRST:
    case C_HANDSHAKE: break;
    case C_HEAD:
        c->head_began = false;
        set_deadline(c, c->draining ? LAST_CALL_MS : IDLE_MS);
        break;
    case C_EXCHANGE: set_deadline(c, PROGRESS_MS); break;
    case C_H2: begin_h2(c); break;
    case C_LINGER:
        c->lingers_since_ms = now_ms(c);
        set_deadline(c, LINGER_MS);
        break;
    case C_CLOSE:
        if (c->resets)
            stream_reset(c->sock);
        else
            stream_stop(c->sock);
        deadline_close(&c->deadline, on_deadline_closed);
        break;
    }
}

/* Beyond it the socket is not read. */
static size_t most_plain(const struct client *c)
{
    return c->state == C_HEAD && c->limits.max_header > PLAIN_BYTES ? c->limits.max_header : PLAIN_BYTES;
}

void client_run(struct client *c)
{
    while (c->state != C_CLOSE) {
        enum client_state next = C_CLOSE;

        switch (c->state) {
        case C_FIRST: next = C_FIRST; break;
        case C_HANDSHAKE: next = step_handshake(c); break;
        case C_HEAD: next = step_head(c); break;
        case C_EXCHANGE: next = step_exchange(c); break;
        case C_H2: next = step_h2(c); break;
        case C_LINGER: next = step_linger(c); break;
        case C_CLOSE: break;
        }
        if (next == c->state)
            break;
        client_enter(c, next);
    }
    if (c->state == C_CLOSE)
        return;
    wire_flush(&c->wire, c->state == C_LINGER || c->half_ends);
    if (c->plain.len >= (c->waits ? 1 : most_plain(c)) || (c->spoke_h2 && c->dropped_bytes > H2_LAST_BYTES))
        stream_pause(c->sock);
    else
        stream_resume(c->sock);
}

static enum client_state step_handshake(struct client *c)
{
    if (!tls_established(c->wire.tls))
        return C_HANDSHAKE;
    histogram_count(&c->host->tally->handshakes[tls_resumed(c->wire.tls) ? TALLY_RESUMED : TALLY_FULL], 1);
    if (tls_validates(c->wire.tls)) /* who wanted to see the certificate has seen it */
        return C_LINGER;
    return tls_speaks_http2(c->wire.tls) ? C_H2 : C_HEAD;
}

/* Nobody is hung up on who was let in and has not asked yet: he would take it for a failure. Who has been answered
 * knows that an idle connection may end. */
static enum client_state await_head(struct client *c)
{
    buf_free(&c->plain);
    return (c->draining && c->has_asked) || c->visitor_ended ? C_LINGER : C_HEAD;
}

static enum client_state refuse_head(struct client *c)
{
    const struct reception reception = reception_of(c);

    reception_refuse(&reception, c->head, client_output(c));
    return C_LINGER;
}

static enum client_state step_head(struct client *c)
{
    ssize_t n;

    if (c->plain.len == 0)
        return await_head(c);
    if (!c->head_began) {
        c->head_began = c->has_asked = true;
        set_deadline(c, HEAD_MS);
        c->head = mem_grow(c->head, sizeof *c->head); /* not zeroed: it is 2 KiB */
        c->limits = snapshot_rules(c->host->snapshot(c->host->user))->limits;
        h1_request_init(c->head);
    }
    n = h1_head_parse(c->head, buf_bytes(&c->plain), c->plain.len, &c->limits);
    if (n < 0)
        return refuse_head(c);
    if (n == 0)
        return c->visitor_ended ? C_LINGER : C_HEAD;
    return begin_exchange(c, (size_t)n);
}

static enum client_state begin_exchange(struct client *c, size_t head_bytes)
{
    const struct reception reception = reception_of(c);
    const struct visitor_side side = visitor_h1(c);

    c->exchange = reception_admit(&reception, &side, c->head, client_output(c));
    buf_take(&c->plain, head_bytes);
    free(c->head);
    c->head = NULL;
    return c->exchange ? C_EXCHANGE : C_LINGER;
}

static enum client_state step_exchange(struct client *c)
{
    enum exchange_state state = exchange_run(c->exchange, &c->plain);

    c->waits = state == EXCHANGE_WAITS;
    if (state == EXCHANGE_RUNS || c->waits) {
        set_deadline(c, c->waits ? LOOK_MS : c->asked_if_gone ? GONE_MS : PROGRESS_MS);
        return C_EXCHANGE;
    }
    if (state == EXCHANGE_UPGRADED) {
        deadline_clear(&c->deadline);
        return C_EXCHANGE;
    }
    exchange_free(c->exchange);
    c->exchange = NULL;
    c->resets = state == EXCHANGE_BROKEN;
    if (state == EXCHANGE_BROKEN)
        return C_CLOSE;
    return state == EXCHANGE_KEEP && !c->draining ? C_HEAD : C_LINGER;
}

/* Who has ended his side cannot tell us how much more he takes: he is gone, with all that he has asked for. */
static enum client_state step_h2(struct client *c)
{
    uint64_t sooner;

    if (h2_visitor_run(c->h2, &c->wire, c->visitor_ended ? NULL : &c->plain, now_ms(c))) {
        if ((sooner = h2_visitor_look_sooner(c->h2)) > 0)
            set_deadline(c, sooner);
        return C_H2;
    }
    drop_requests(c);
    return C_LINGER;
}

/* What still comes is dropped; closing at once would reset the connection and take our answer away. Many programs listen
 * only when they have said all, however early they were answered. */
static enum client_state step_linger(struct client *c)
{
    if (c->plain.len > 0 && !c->spoke_h2 && !c->draining && stream_queued(c->sock) == 0 &&
        now_ms(c) - c->lingers_since_ms < HEARD_OUT_MS)
        set_deadline(c, LINGER_MS);
    c->dropped_bytes += c->plain.len;
    buf_free(&c->plain);
    return C_LINGER;
}

/* ---- what happens ---- */

/* Not ours any more: the socket and its bytes are somebody else's. */
static void hand_over(struct client *c, enum first_kind kind)
{
    const struct buf *bytes = &c->first.bytes;
    struct stream *sock = c->sock;

    c->state = C_CLOSE;
    c->sock = NULL;
    c->pending--;
    deadline_close(&c->deadline, on_deadline_closed);
    if (kind == FIRST_SSH)
        c->host->spliced(c->host->user, sock, &c->from.peer, buf_bytes(bytes), bytes->len);
    else
        c->host->passed(c->host->user, c, sock, &c->from, &c->first.hello, buf_bytes(bytes), bytes->len);
}

static void refuse_first(struct client *c, const struct err *why)
{
    char peer[64];

    headers_address_text(&c->from.peer, peer, sizeof peer);
    if (why->code != ERR_NONE)
        log_warn_limited(peer, "closed a connection to one of proxy_listeners", kv_str("peer", peer),
                         kv_str("error", why->text));
    client_enter(c, C_CLOSE);
}

static void read_first(struct client *c, const char *bytes, size_t n)
{
    const struct snapshot *now = c->host->snapshot(c->host->user);
    struct err why = { 0 };
    enum first_kind kind;
    struct buf rest;

    c->first.asks_name = snapshot_has_passthrough(now);
    kind = first_feed(&c->first, &c->from, &snapshot_rules(now)->trusted, bytes, n, &why);
    if (kind != FIRST_MORE && c->from.told && snapshot_bans(now, &c->from.peer)) { /* as at accept */
        tally_refuse(c->host->tally, TALLY_BANNED);
        c->resets = true;
        client_enter(c, C_CLOSE);
        return;
    }
    switch (kind) {
    case FIRST_MORE: return;
    case FIRST_REFUSED: refuse_first(c, &why); return;
    case FIRST_TLS:
        if (!snapshot_passes(now, c->first.hello.name))
            break;
        hand_over(c, kind);
        return;
    case FIRST_SSH: hand_over(c, kind); return;
    case FIRST_HTTP: break;
    }
    rest = c->first.bytes;
    buf_init(&c->first.bytes);
    first_free(&c->first);
    client_enter(c, state_for(kind));
    if (rest.len > 0)
        on_received(c, buf_bytes(&rest), rest.len);
    buf_free(&rest);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct client *c = user;
    struct err why = { 0 };
    int rc;

    if (c->state == C_FIRST) {
        read_first(c, bytes, n);
        return;
    }
    c->heard = true;
    rc = wire_feed(&c->wire, bytes, n, &c->plain, &why);
    if (rc < 0) {
        char peer[64];

        headers_address_text(&c->from.peer, peer, sizeof peer);
        log_debug("TLS ended", kv_str("peer", peer), kv_str("error", why.text));
        client_enter(c, C_CLOSE);
        return;
    }
    c->visitor_ended = c->visitor_ended || rc == 1;
    client_run(c);
}

/* A visitor may end its side behind a whole request, and still wait for the answer. Or it has gone altogether, as when a
 * page with an event stream is closed: that looks the same until something is sent, to which its system then says that
 * nobody is there. So it is sent something that means nothing. */
static void on_eof(void *user)
{
    struct client *c = user;

    c->visitor_ended = true;
    c->asked_if_gone = c->state == C_EXCHANGE && deadline_is_set(&c->deadline) && wire_probe(&c->wire);
    c->would_tell = c->asked_if_gone;
    if (c->state == C_FIRST || c->state == C_HANDSHAKE)
        client_enter(c, C_CLOSE);
    client_run(c);
}

static void on_drained(void *user)
{
    client_run(user);
}

/* True while the visitor still reads what he was sent: then it is not late. */
static bool still_reads(struct client *c)
{
    uint64_t gone = c->wire.sent_bytes - stream_queued(c->sock);
    bool moved = gone != c->gone_bytes;

    c->gone_bytes = gone;
    c->resets = stream_queued(c->sock) > 0; /* what was cut off must not look whole */
    return c->resets && moved;
}

static void on_sent(void *user)
{
    struct client *c = user;

    if (c->state == C_LINGER && stream_queued(c->sock) == 0)
        set_deadline(c, LINGER_MS);
    if (c->state == C_H2)
        client_run(c);
}

/* Its end is told; where not even that is taken, it is cut off. */
static void look_at_h2(struct client *c)
{
    uint64_t ms = h2_visitor_look(c->h2, now_ms(c));

    if (ms == 0 && stream_queued(c->sock) > 0) {
        c->resets = true;
        client_stop(c);
        return;
    }
    set_deadline(c, ms > 0 ? ms : LINGER_MS);
    client_run(c);
}

static void on_late(void *user)
{
    struct client *c = user;
    enum exchange_state state;

    if (c->state == C_EXCHANGE && c->asked_if_gone) {
        c->asked_if_gone = false;
        if (client_is_gone(c))
            client_stop(c);
        else
            set_deadline(c, c->waits ? LOOK_MS : PROGRESS_MS);
        return;
    }
    if (c->state == C_H2) {
        look_at_h2(c);
        return;
    }
    if ((c->state == C_LINGER || c->state == C_HEAD || c->state == C_EXCHANGE) && still_reads(c)) {
        set_deadline(c, c->state == C_EXCHANGE ? PROGRESS_MS : UNREAD_MS);
        return;
    }
    if (c->state == C_EXCHANGE) {
        state = exchange_late(c->exchange, &c->plain);
        if (state == EXCHANGE_RUNS) {
            client_run(c);
            return;
        }
        c->resets = state == EXCHANGE_BROKEN;
    }
    client_enter(c, C_CLOSE);
    drop_requests(c);
}

/* ---- end ---- */

void client_drain(struct client *c)
{
    c->draining = true;
    if (c->state == C_FIRST || c->state == C_HANDSHAKE || (c->state == C_HEAD && !c->has_asked))
        set_deadline(c, LAST_CALL_MS);
    if (c->state == C_H2)
        client_drain_http2(c);
    else
        client_run(c);
}

void client_drain_http2(struct client *c)
{
    if (c->state != C_H2)
        return;
    h2_visitor_drain(c->h2, now_ms(c));
    set_deadline(c, LAST_CALL_MS);
    client_run(c);
}

bool client_is_endless(const struct client *c)
{
    if (c->state == C_H2)
        return h2_visitor_is_endless(c->h2);
    return c->state == C_EXCHANGE && exchange_is_endless(c->exchange);
}

void client_stop(struct client *c)
{
    if (c->state != C_CLOSE)
        client_enter(c, C_CLOSE);
    drop_requests(c);
}

static void release(struct client *c)
{
    if (--c->pending > 0)
        return;
    drop_requests(c);
    if (c->heard && c->wire.tls && !tls_established(c->wire.tls))
        histogram_count(&c->host->tally->handshakes[TALLY_FAILED], 1);
    wire_free(&c->wire);
    first_free(&c->first);
    buf_free(&c->plain);
    free(c->head);
    c->host->ended(c->host->user, c);
    free(c);
}

static void on_deadline_closed(void *user)
{
    release(user);
}

static void on_ended(void *user, const struct err *why)
{
    struct client *c = user;

    (void)why; /* a visitor that goes away concerns nobody but the exchange */
    if (c->state != C_CLOSE) {
        c->state = C_CLOSE;
        deadline_close(&c->deadline, on_deadline_closed);
    }
    drop_requests(c);
    release(c);
}
