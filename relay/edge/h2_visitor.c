/* The life of a connection by HTTP/2, which is that of its requests:
 *
 *   frames -> h2_session -> head whole -> gate or exchange -> body up, response down -> closed -> freed
 *
 *   nothing asked for long, or drained ──▶ GOAWAY -> the last response -> over
 *
 * Whatever happens to a request makes its stream dirty; h2_visitor_run then looks at all that are. */
#include "relay/edge/h2_visitor.h"

#include "relay/edge/h2_session.h"
#include "relay/edge/websocket.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <openssl/rand.h>
#include <stdlib.h>

enum {
    IDLE_MS = 75000,      /* without a request */
    HEAD_MS = 30000,      /* from a head's first byte to its last */
    LAST_CALL_MS = 3000,  /* the same, when we are about to end */
    PROGRESS_MS = 300000, /* of a request without any progress */
    UNREAD_MS = 60000,    /* of a response that is whole and waits to be read */
    EARLY_MS =
        1000, /* for the visitor to see that he has his answer, before the rest of his request is refused */
    LOOK_MS = 5000,      /* between two looks at that */
    AHEAD_BYTES = 65536, /* made ahead of the socket, and no more: what comes later may be more urgent */
};

struct h2_visitor {
    struct client *client;
    struct h2_session *session;
    struct reception reception;
    struct remains remains; /* of responses that are whole */
    struct round_item
        later; /* runs the client, once for all of its requests to which something has happened */
    uint64_t now_ms, idle_since_ms, drained_ms, look_ms; /* look_ms: when it is looked after next */
    uint64_t sent_bytes, sent_ms; /* at the last look; when it was seen to have grown */
    bool at_work;                 /* whoever has news meanwhile is heard before it ends */
    bool has_asked, draining;
    bool over;  /* nothing more is read or sent, */
    bool left;  /* nor does he hear our last words */
    bool calm;  /* he is to be told to be */
    bool early; /* one of his requests is answered, but not whole */
};

struct request {
    struct h2_visitor *visitor;
    struct h2_stream *stream;
    struct exchange *exchange; /* NULL: the answer is whole */
    uint64_t moved_ms, sent_bytes;
    char websocket_key[WEBSOCKET_KEY_BYTES]; /* "": he did not ask for a WebSocket */
    bool upgraded;                           /* to that: without any deadline */
};

/* ---- the visitor's side of a request ---- */

static struct buf *head_room(void *user)
{
    const struct request *r = user;

    return &r->stream->head;
}

static void head(void *user, int status)
{
    const struct request *r = user;

    h2_stream_head(r->stream, status);
}

static void body(void *user, enum h1_framing framing, const void *bytes, size_t n)
{
    const struct request *r = user;

    (void)framing;
    h2_stream_body(r->stream, bytes, n);
}

static void end(void *user, enum h1_framing framing, struct str trailers)
{
    const struct request *r = user;

    (void)framing;
    h2_stream_end(r->stream, trailers);
}

static void answer(void *user, struct str whole)
{
    const struct request *r = user;

    h2_stream_answer(r->stream, whole);
}

/* RFC 8441 4: by HTTP/2 any 2xx says that there is a WebSocket, whatever the service thinks that it has been asked. A browser
 * would hand the body to the script of another site as its messages. */
static const char *declines(const void *user, const struct h1_head *answer)
{
    const struct request *r = user;

    if (answer->status == 101)
        return websocket_is_accepted(answer, r->websocket_key) ? NULL : "wrong Sec-WebSocket-Accept";
    return r->stream->connects && answer->status >= 200 && answer->status < 300
               ? "2xx instead of 101 to whoever asked for a WebSocket"
               : NULL;
}

static void send_bytes(void *user, const void *bytes, size_t n)
{
    const struct request *r = user;

    h2_stream_body(r->stream, bytes, n);
}

static void shutdown_side(void *user)
{
    const struct request *r = user;

    h2_stream_end(r->stream, STR(""));
}

static struct stream *connection(void *user)
{
    return client_stream(((const struct request *)user)->visitor->client);
}

static struct stream *no_stream(void *user)
{
    (void)user;
    return NULL;
}

static bool full(void *user)
{
    const struct request *r = user;

    return h2_stream_full(r->stream);
}

static uint64_t held(const void *user, uint64_t *moved)
{
    const struct h2_stream *st = ((const struct request *)user)->stream;

    *moved = st->sent_bytes;
    return st->raw.len + st->in.len + st->out.len;
}

/* An ordinary request says where its body ends, and the rest is nobody's. */
static bool has_ended(const void *user)
{
    const struct h2_stream *st = ((const struct request *)user)->stream;

    return st->closed || (st->switched && st->remote_ended);
}

/* A stream that was reset is closed at once, and its exchange with it: nobody is asked about a visitor who has left. */
static bool has_left(const void *user)
{
    return ((const struct request *)user)->stream->closed;
}

static bool is_gone(const void *user)
{
    const struct request *r = user;

    return r->stream->closed ? !r->stream->ended_well : client_is_gone(r->visitor->client);
}

static const char *tls_version_of(const void *user)
{
    return ((const struct request *)user)->visitor->reception.tls;
}

static void run(void *user)
{
    const struct request *r = user;

    h2_stream_touch(r->stream);
    if (r->visitor->at_work)
        return;
    if (h2_stream_full(r->stream)) /* its service is to wait at once */
        client_run(r->visitor->client);
    else
        round_add(r->visitor->reception.host->round, &r->visitor->later);
}

static const struct visitor_ops ops = {
    .multiplexed = true,
    .head_room = head_room,
    .head = head,
    .body = body,
    .end = end,
    .answer = answer,
    .declines = declines,
    .send = send_bytes,
    .shutdown = shutdown_side,
    .connection = connection,
    .stream = no_stream,
    .full = full,
    .held = held,
    .has_ended = has_ended,
    .has_left = has_left,
    .is_gone = is_gone,
    .tls_version = tls_version_of,
    .run = run,
};

/* ---- what the pool asks ---- */

/* With an exchange it counts as what that holds. */
static bool remains_unread(const struct h2_stream *st)
{
    const struct request *r = st->user;

    return !st->closed && st->out.len > 0 && !(r && r->exchange);
}

static uint64_t on_held_asked(void *user, uint64_t *moved)
{
    const struct h2_visitor *v = user;
    uint64_t held = 0;

    for (const struct h2_stream *st = h2_session_first(v->session); st; st = st->next)
        if (remains_unread(st))
            held += st->out.len;
    *moved = h2_session_sent(v->session);
    return held;
}

static uint64_t on_shed(void *user)
{
    struct h2_visitor *v = user;
    struct h2_stream *fattest = NULL;
    uint64_t held;

    for (struct h2_stream *st = h2_session_first(v->session); st; st = st->next)
        if (remains_unread(st) && (!fattest || st->out.len > fattest->out.len))
            fattest = st;
    if (!fattest)
        return 0;
    held = fattest->out.len;
    h2_stream_drop(fattest);
    round_add(v->reception.host->round, &v->later);
    return held;
}

static const struct remains_events remains_events = { on_held_asked, on_shed };

/* ---- start ---- */

static void on_round(void *user)
{
    client_run(user);
}

struct h2_visitor *h2_visitor_new(struct client *c, const struct reception *reception, uint64_t now_ms)
{
    const struct client_host *host = reception->host;
    struct h2_visitor *v = mem_new(sizeof *v);

    v->client = c;
    v->later = (struct round_item){ .act = on_round, .user = c };
    v->reception = *reception;
    v->now_ms = v->idle_since_ms = now_ms;
    v->session = h2_session_new(snapshot_rules(host->snapshot(host->user))->limits.max_header, now_ms);
    remains_join(&v->remains, pool_remains(host->pool), &remains_events, v);
    return v;
}

/* ---- a head is whole ---- */

static void choose_key(struct request *r)
{
    unsigned char random[WEBSOCKET_RANDOM_BYTES];

    if (!r->stream->connects)
        return;
    if (RAND_bytes(random, sizeof random) != 1)
        abort(); /* OpenSSL has no entropy: TLS would be broken as well */
    websocket_make_key(random, r->websocket_key);
}

/* Into parsed. False: it has been refused, and reset or answered. */
static bool read_head(struct request *r, struct buf *text, struct h1_head *parsed, struct buf *page)
{
    const struct reception *reception = &r->visitor->reception;
    const struct client_host *host = reception->host;
    const struct h1_limits *limits = &snapshot_rules(host->snapshot(host->user))->limits;
    enum h2_head head;

    choose_key(r);
    head = h2_stream_read_head(r->stream, r->websocket_key, limits, text, parsed);
    if (head == H2_HEAD_REFUSED)
        reception_refuse(reception, parsed, page);
    return head == H2_HEAD_READ;
}

static void begin_request(struct h2_visitor *v, struct h2_stream *st)
{
    struct request *r = mem_new(sizeof *r);
    const struct visitor_side side = { &ops, r };
    struct h1_head parsed;
    struct buf text = { 0 }, page = { 0 };

    *r = (struct request){ .visitor = v, .stream = st, .moved_ms = v->now_ms };
    st->user = r;
    v->has_asked = true;
    if (v->draining)
        h2_session_drain(v->session);
    if (read_head(r, &text, &parsed, &page))
        r->exchange = reception_admit(&v->reception, &side, &parsed, &page);
    if (page.len > 0)
        h2_stream_answer(st, (struct str){ buf_bytes(&page), page.len });
    if (!r->exchange)
        h2_stream_discard(st);
    buf_free(&page);
    buf_free(&text);
}

/* ---- the exchange ---- */

static void end_exchange(struct request *r)
{
    h2_stream_served(r->stream);
    exchange_free(r->exchange);
    r->exchange = NULL;
    h2_stream_discard(r->stream);
}

static void run_exchange(struct request *r)
{
    struct h2_stream *st = r->stream;
    enum exchange_state state;

    do {
        (void)h2_stream_fill(st);
        state = exchange_run(r->exchange, &st->in);
        h2_stream_used(st);
    } while (state == EXCHANGE_RUNS && h2_stream_fill(st));
    r->moved_ms = r->visitor->now_ms;
    r->upgraded = r->upgraded || state == EXCHANGE_UPGRADED;
    if (state == EXCHANGE_RUNS || state == EXCHANGE_WAITS || state == EXCHANGE_UPGRADED)
        return;
    if (state == EXCHANGE_BROKEN) /* RFC 8441 5: CANCEL stands for a reset of TCP */
        h2_stream_reset(st, r->upgraded ? NGHTTP2_CANCEL : exchange_error(r->exchange));
    else if (r->upgraded)
        h2_stream_finish(st);
    end_exchange(r);
}

static void free_request(struct request *r)
{
    if (!r)
        return;
    exchange_free(r->exchange);
    free(r);
}

/* Both sides of a WebSocket have said all, and some of it is still on its way to the service. */
static bool is_finishing(const struct request *r)
{
    return r && r->exchange && r->upgraded && r->stream->ended_well;
}

static void step(struct h2_visitor *v, struct h2_stream *st)
{
    struct request *r = st->user;

    v->idle_since_ms = v->now_ms;
    if (!r && st->head_whole && !st->closed && !v->over) {
        begin_request(v, st);
        r = st->user;
    }
    if (r && r->exchange && (!st->closed || is_finishing(r)))
        run_exchange(r);
    if (st->closed && !is_finishing(r)) {
        free_request(r);
        h2_stream_free(st);
        return;
    }
    v->early = v->early || (st->answered && !st->remote_ended && !(r && r->exchange));
    h2_stream_flush(st);
}

static void feed(struct h2_visitor *v, struct buf *plain)
{
    const char *why;

    if (plain->len > 0 && !v->over &&
        h2_session_feed(v->session, buf_bytes(plain), plain->len, v->now_ms, &why) != 0) {
        v->over = true;
        log_debug("HTTP/2 ended", kv_str("error", why));
    }
    buf_free(plain);
}

/* ---- what goes to the socket ---- */

static void send_frames(struct h2_visitor *v, struct wire *wire)
{
    while (stream_queued(wire->sock) < AHEAD_BYTES) {
        h2_session_send(v->session, &wire->gathered, AHEAD_BYTES);
        if (wire->gathered.len == 0)
            return;
        wire_flush(wire, false);
    }
}

/* Nothing more is said by either side of the connection. What had been said before may still go on its way. */
static bool outlasts(struct h2_visitor *v)
{
    bool any = false;

    v->over = v->at_work = true;
    for (struct h2_stream *st = h2_session_first(v->session); st; st = st->next) {
        if (is_finishing(st->user)) {
            any = true;
            continue;
        }
        free_request(st->user);
        st->user = NULL;
    }
    v->at_work = false;
    return any;
}

/* What is sent makes room, by which a service may go on; that may be more to send. */
bool h2_visitor_run(struct h2_visitor *v, struct wire *wire, struct buf *plain, uint64_t now_ms)
{
    struct h2_stream *st;

    if (v->at_work)
        return true;
    v->at_work = true;
    v->now_ms = now_ms;
    v->left = v->left || !plain;
    v->over = v->over || v->left;
    if (plain)
        feed(v, plain);
    do {
        while ((st = h2_session_next(v->session)))
            step(v, st);
        if (!v->over)
            send_frames(v, wire);
    } while (h2_session_has_news(v->session));
    v->at_work = false;
    if (!v->over && (v->calm || h2_session_is_flooded(v->session))) {
        h2_session_calm(v->session);
        v->over = true;
    }
    if (!v->over && !h2_session_is_over(v->session))
        return true;
    if (!v->left)
        h2_session_send(v->session, &wire->gathered, AHEAD_BYTES);
    return outlasts(v);
}

/* ---- what does not happen ---- */

/* RFC 9113 8.1: who has his answer need not send the rest of his request. Some take the reset for a failure as long as
 * they have not seen the answer, which came just before. */
static void look_at_answered(struct request *r, uint64_t still_ms)
{
    struct h2_stream *st = r->stream;

    if (!st->answered && still_ms >= UNREAD_MS)
        h2_stream_unread(st);
    else if (st->answered && still_ms >= EARLY_MS)
        h2_stream_reset(st, NGHTTP2_NO_ERROR);
    else if (st->answered)
        r->visitor->early = true;
}

static void look_at_exchange(struct request *r)
{
    struct h2_stream *st = r->stream;
    enum exchange_state state = exchange_late(r->exchange, &st->in);

    if (state == EXCHANGE_RUNS)
        return;
    end_exchange(r);
    if (st->out.len > 0)
        h2_stream_unread(st);
    else
        h2_stream_reset(st, state == EXCHANGE_CLOSE ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
}

/* What the visitor still reads is not late, and what waits for others that he reads is not, either. */
static void look_at_request(struct request *r, uint64_t now_ms)
{
    struct h2_stream *st = r->stream;

    if (st->sent_bytes != r->sent_bytes) {
        r->sent_bytes = st->sent_bytes;
        r->moved_ms = now_ms;
    } else if (st->out.len > 0 && r->visitor->sent_ms > r->moved_ms && !h2_stream_is_held(st)) {
        r->moved_ms = r->visitor->sent_ms;
    }
    if (!r->exchange) {
        look_at_answered(r, now_ms - r->moved_ms);
    } else if (!r->upgraded && now_ms - r->moved_ms >= PROGRESS_MS) {
        r->moved_ms = now_ms;
        look_at_exchange(r);
        h2_stream_touch(st);
    }
}

static void look_at(struct h2_visitor *v, struct h2_stream *st)
{
    if (st->closed)
        return;
    if (st->user)
        look_at_request(st->user, v->now_ms);
    else if (v->now_ms - st->began_ms >= HEAD_MS) /* nobody else is heard meanwhile */
        v->calm = true;
}

static void look_at_all(struct h2_visitor *v)
{
    if (h2_session_sent(v->session) != v->sent_bytes) {
        v->sent_bytes = h2_session_sent(v->session);
        v->sent_ms = v->now_ms;
    }
    v->early = false;
    v->at_work = true; /* one that ends may wake another: no list is walked while it changes */
    for (struct h2_stream *st = h2_session_first(v->session); st; st = st->next)
        look_at(v, st);
    v->at_work = false;
}

uint64_t h2_visitor_look(struct h2_visitor *v, uint64_t now_ms)
{
    uint64_t most = v->draining ? LAST_CALL_MS : IDLE_MS, idle = now_ms - v->idle_since_ms, next = 0;

    v->now_ms = now_ms;
    look_at_all(v);
    if (h2_session_first(v->session)) /* who asks for nothing is late with that */
        h2_session_late(v->session, now_ms);
    if (v->draining && now_ms - v->drained_ms >= LAST_CALL_MS)
        h2_session_end(v->session); /* he does not say whether he has heard of it */
    if (h2_session_first(v->session))
        next = v->early ? EARLY_MS : LOOK_MS;
    else if (idle < most)
        next = most - idle;
    else
        h2_session_end(v->session);
    v->look_ms = now_ms + next;
    return next;
}

uint64_t h2_visitor_look_sooner(struct h2_visitor *v)
{
    uint64_t next = v->early ? EARLY_MS : LOOK_MS;

    if (!h2_session_first(v->session) || v->look_ms <= v->now_ms + next)
        return 0;
    v->look_ms = v->now_ms + next;
    return next;
}

/* ---- end ---- */

/* Who has come and not yet asked may still do so once, until the last call is over. */
void h2_visitor_drain(struct h2_visitor *v, uint64_t now_ms)
{
    if (v->draining)
        return;
    v->draining = true;
    v->drained_ms = v->idle_since_ms = now_ms;
    v->look_ms = now_ms + LAST_CALL_MS;
    if (v->has_asked)
        h2_session_drain(v->session);
}

bool h2_visitor_is_endless(const struct h2_visitor *v)
{
    const struct h2_stream *first = h2_session_first(v->session), *st = first;

    for (const struct request *r; st; st = st->next)
        if (!st->closed && (!(r = st->user) || !r->exchange || !exchange_is_endless(r->exchange)))
            return false;
    return first;
}

void h2_visitor_free(struct h2_visitor *v)
{
    if (!v)
        return;
    v->at_work = true; /* nobody is heard any more */
    round_remove(v->reception.host->round, &v->later);
    remains_leave(&v->remains, pool_remains(v->reception.host->pool));
    for (struct h2_stream *st = h2_session_first(v->session); st; st = st->next) {
        free_request(st->user);
        st->user = NULL;
    }
    h2_session_free(v->session);
    free(v);
}
