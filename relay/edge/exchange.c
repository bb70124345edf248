/* The life of a request:
 *
 *   head routed -> STREAM (a lane's stream is got) -> RUN: body up, head and body down -> DONE
 *     │               ▲
 *     └── a password is asked for: exchange_password.c
 *
 *                     ▲── again, when the stream had ended and nothing was lost ──┤ exchange_ended.c
 *                     └── late, when a lane is back ── PARKED ◀── no lane ────────┘
 *
 * The response's way down is told in exchange_response.c. After a 101 it lives on as another protocol's bytes, in
 * tunnelled.c. Events from the stream are noted, then whoever serves the visitor (client.c, h2_visitor.c) calls
 * exchange_run, which says how far it has come. */
#include "relay/edge/exchange_parts.h"
#include "relay/edge/grpc.h"
#include "relay/edge/route.h"
#include "relay/edge/upgrade.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESEND_BYTES = 65536 }; /* of a body, held to be sent again */

static void on_ready(void *user);
static void on_received(void *user, const char *bytes, size_t n);
static void on_body(void *user, const char *bytes, size_t n);
static void on_end(void *user, struct str trailers);
static void on_told(void *user);
static void on_reset(void *user, uint32_t code);
static void on_room(void *user);
static uint64_t on_held_asked(void *user, uint64_t *moved);
static bool on_gone_asked(void *user);
static void on_ended(void *user, enum upstream_end how);
static void send_request(struct exchange *x);

static const struct upstream_events upstream_events = {
    .ready = on_ready,
    .received = on_received,
    .body = on_body,
    .end = on_end,
    .told = on_told,
    .reset = on_reset,
    .room = on_room,
    .held = on_held_asked,
    .gone = on_gone_asked,
    .ended = on_ended,
};

/* ---- start ---- */

/* Of those beyond RFC 9110 the ones that change nothing: a COPY or MOVE that is done twice may fail by its own first time. */
static bool is_idempotent(struct str method)
{
    static const char *const methods[] = { "GET",   "HEAD",     "OPTIONS", "PUT",    "DELETE",
                                           "TRACE", "PROPFIND", "REPORT",  "SEARCH", "QUERY" };

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (str_eq(method, methods[i]))
            return true;
    return false;
}

void exchange_take_stream(struct exchange *x, enum pool_reuse reuse, uint64_t not_lane)
{
    const struct pool_wants wants = { x->alone, reuse, x->grpc, not_lane };

    x->ended = !pool_serve(x->host->pool, x->target, &wants, &upstream_events, x, &x->service);
    x->sent_head = false;
    buf_free(&x->in); /* the beginning of a response that breaks off */
    if (x->ended) {
        if (x->sends == 0) /* otherwise the end of the stream before says more */
            x->end = UPSTREAM_UNAVAILABLE;
        return;
    }
    x->stream_was_kept = x->service.ops->used_before(x->service.user);
    x->lane = x->service.ops->lane(x->service.user);
    h1_response_init(x->response, str_of(x->method));
    if (x->service.ops->ready(x->service.user))
        send_request(x);
}

/* Only such a request goes on a stream that the service may have closed by now. */
static bool can_be_sent_again(const struct exchange *x, const struct h1_head *head)
{
    return x->idempotent &&
           (x->request_done || (head->framing == H1_LENGTH && head->content_length <= (int64_t)RESEND_BYTES));
}

static struct purpose_alone *alone_of(const struct snap_site *site, const struct headers_visitor *visitor)
{
    struct purpose_alone *alone;

    if (!site->policy.proxy_protocol)
        return NULL;
    alone = mem_new(sizeof *alone);
    alone->source = visitor->addr;
    alone->dest = visitor->dest;
    return alone;
}

struct exchange *exchange_new(const struct visitor_side *side, const struct client_host *host,
                              struct snapshot *holds, const struct snap_site *site,
                              const struct h1_head *head, const struct headers_visitor *visitor)
{
    struct str method = h1_text(head, head->method);
    struct exchange *x = mem_new(sizeof *x);

    x->side = *side;
    x->host = host;
    x->snapshot = snapshot_hold(holds);
    x->site = site;
    x->max_body = site->policy.max_body > 0 ? site->policy.max_body : INT64_MAX;
    x->target = route_find(site, h1_text(head, head->path));
    x->alone = alone_of(site, visitor);
    x->response = mem_grow(NULL, sizeof *x->response); /* not zeroed: it is 2 KiB */
    snprintf(x->method, sizeof x->method, "%.*s", STR_ARG(method));
    upgrade_add_offer(&x->offer, head);
    x->idempotent = is_idempotent(method) && x->offer.len == 0;
    x->visitor_keeps = head->keep_alive;
    x->secure = visitor->secure;
    x->trusted_cert = snapshot_browsers_trust(holds, site, h1_text(head, head->host));
    x->visitor_1_0 = head->minor == 0;
    x->grpc = visitor->http2 && grpc_is_call(head);
    x->request_framing = head->framing;
    x->request_done = head->framing == H1_NO_BODY;
    h1_body_init(&x->request, head->framing, head->content_length);
    headers_add_request(&x->request_head, head, visitor);
    counts_add(&site->counts->requests, 1);
    meter_begin(&x->meter, host->tally, site->counts);
    x->access = access_request_new(host->access_log, site, head, visitor, side->ops->tls_version(side->user));
    x->too_large = head->framing == H1_LENGTH && head->content_length > x->max_body;
    x->reuse = can_be_sent_again(x, head) ? POOL_ANY : POOL_RECENT;
    if (site->guard && site->policy.passwords)
        exchange_ask_password(x, head, visitor);
    else
        exchange_enter(x);
    return x;
}

void exchange_enter(struct exchange *x)
{
    if (x->too_large)
        exchange_answer(x, EXCHANGE_TOO_LARGE);
    else
        exchange_take_stream(x, x->reuse, 0);
}

/* Where both connections are this request's alone, the sockets wait for one another. */
static bool join_backpressure(struct exchange *x)
{
    struct stream *visitor = visitor_stream(&x->side), *service = x->service.ops->stream(x->service.user);

    if (!visitor || !service)
        return false;
    stream_set_source(visitor, service);
    stream_set_source(service, visitor);
    return true;
}

/* Where one of them is not, the service alone waits; the visitor is kept waiting by what is not taken of his body. */
static void hold_service(const struct exchange *x)
{
    if (x->service.ops && x->sent_head && !x->joined)
        x->service.ops->hold(x->service.user, x->side.ops->full(x->side.user));
}

static void end_request(const struct exchange *x)
{
    const struct buf *trailers = &x->request_trailers;

    x->service.ops->end(x->service.user, x->request_framing,
                        (struct str){ buf_bytes(trailers), trailers->len });
}

static void send_request(struct exchange *x)
{
    const struct service_ops *ops = x->service.ops;

    x->joined = join_backpressure(x);
    ops->head(x->service.user, (struct str){ buf_bytes(&x->request_head), x->request_head.len });
    if (x->request_body.len > 0)
        ops->body(x->service.user, x->request_framing,
                  (struct str){ buf_bytes(&x->request_body), x->request_body.len });
    if (x->request_done)
        end_request(x);
    x->sent_head = true;
    x->sends++;
    access_request_sent(x->access);
    meter_sent(&x->meter);
}

/* ---- the request's body ---- */

/* It may have to be sent again; whatever the method, when the service was not even reached and there is another machine,
 * or when it says by HTTP/2 that it has not looked at it. */
static void hold(struct exchange *x, struct str data)
{
    if (!x->idempotent && x->request_body.len == 0 && !x->body_lost)
        x->body_lost = !x->service.ops->multiplexed && !snap_target_is_shared(x->target);
    if (x->body_lost || x->response_head_done)
        return;
    x->body_lost = data.n > RESEND_BYTES - x->request_body.len;
    if (x->body_lost)
        buf_free(&x->request_body);
    else
        buf_add(&x->request_body, data.p, data.n);
}

static void send_up(struct exchange *x, struct str data)
{
    x->service.ops->body(x->service.user, x->request_framing, data);
    hold(x, data);
}

bool exchange_may_trail(const struct buf *trailers)
{
    struct h1_head parsed;

    return trailers->len == 0 || h1_trailers_parse(&parsed, buf_bytes(trailers), trailers->len) == 0;
}

static void note_request_end(struct exchange *x)
{
    x->request_done = true;
    x->broken = !exchange_may_trail(&x->request_trailers);
    if (!x->broken)
        end_request(x);
}

/* Chunks do not say in front how many they will be. */
static void note_too_large(struct exchange *x)
{
    x->visitor_keeps = false;
    if (x->began)
        x->broken = true;
    else
        exchange_answer(x, EXCHANGE_TOO_LARGE);
}

static void send_request_body(struct exchange *x, struct buf *plain)
{
    struct str data;
    size_t used;

    while (!x->request_done && !x->broken && !x->response_done) {
        size_t room = x->service.ops->room(x->service.user), n = plain->len < room ? plain->len : room;
        enum h1_body_event event = h1_body_feed(&x->request, buf_bytes(plain), n, &used, &data);

        switch (event) {
        case H1_BODY_DATA:
            access_request_in(x->access, data.n);
            meter_in(&x->meter, data.n);
            x->body_bytes += (int64_t)data.n;
            if (x->body_bytes > x->max_body) {
                note_too_large(x);
                break;
            }
            send_up(x, data);
            break;
        case H1_BODY_TRAILER: buf_add(&x->request_trailers, data.p, data.n); break;
        case H1_BODY_END: note_request_end(x); break;
        case H1_BODY_BAD: x->broken = true; break;
        case H1_BODY_MORE: break;
        }
        buf_take(plain, used);
        /* What frames a chunk costs no credit until its bytes are sent: who stopped there would not be told of more. */
        if (event == H1_BODY_MORE && (n == 0 || plain->len == 0))
            return;
    }
}

/* ---- what the stream tells ---- */

static void on_ready(void *user)
{
    struct exchange *x = user;

    send_request(x);
    visitor_run(&x->side);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct exchange *x = user;

    if (!x->response_done && !x->broken)
        exchange_read_response(x, bytes, n);
    else
        x->service_keeps = false;
    if (!x->service.ops || !x->service.ops->multiplexed)
        visitor_run(&x->side);
}

static void on_body(void *user, const char *bytes, size_t n)
{
    struct exchange *x = user;

    if (!x->response_done && !x->broken)
        exchange_read_body(x, bytes, n);
}

static void on_end(void *user, struct str trailers)
{
    struct exchange *x = user;

    if (!x->response_done && !x->broken)
        exchange_read_end(x, trailers);
}

static void on_told(void *user)
{
    struct exchange *x = user;

    visitor_run(&x->side);
}

static void on_reset(void *user, uint32_t code)
{
    struct exchange *x = user;

    x->reset_code = code;
}

static void on_room(void *user)
{
    struct exchange *x = user;

    visitor_run(&x->side);
}

static uint64_t on_held_asked(void *user, uint64_t *moved)
{
    const struct exchange *x = user;

    return visitor_held(&x->side, moved) + x->request_body.room;
}

static bool on_gone_asked(void *user)
{
    const struct exchange *x = user;

    return visitor_is_gone(&x->side);
}

static void on_ended(void *user, enum upstream_end how)
{
    struct exchange *x = user;

    x->service.ops = NULL;
    x->ended = true;
    x->end = how;
    visitor_run(&x->side);
}

/* ---- how far it has come ---- */

static void let_stream_go(struct exchange *x)
{
    const struct service_side service = x->service;
    bool whole = x->response_done && x->request_done && !x->broken;

    x->service.ops = NULL;
    if (visitor_stream(&x->side))
        stream_set_source(visitor_stream(&x->side), NULL);
    if (service.ops)
        service.ops->leave(service.user, !whole             ? SERVICE_ABORT
                                         : x->service_keeps ? SERVICE_KEEP
                                                            : SERVICE_CLOSE);
}

enum exchange_state exchange_run(struct exchange *x, struct buf *plain)
{
    if (x->tunnelled)
        return tunnelled_run(x->tunnelled, plain);
    if (x->ended)
        exchange_settle_end(x, plain->len);
    if (exchange_waits(x, plain->len))
        return EXCHANGE_WAITS;
    if (x->service.ops && x->sent_head && !x->response_done)
        send_request_body(x, plain); /* also when the stream of a second try was ready at once */
    if (visitor_has_ended(&x->side) && plain->len == 0 && !x->request_done)
        x->broken = true; /* he left in the middle of his request */
    if (x->broken && !x->began && !x->response_done && !exchange_passes_reset(x))
        exchange_answer(x, EXCHANGE_BAD_BODY);
    if (x->broken && !x->response_done) {
        let_stream_go(x);
        return EXCHANGE_BROKEN;
    }
    hold_service(x);
    if (x->service.ops)
        x->service.ops->flush(x->service.user);
    if (!x->response_done)
        return EXCHANGE_RUNS;
    let_stream_go(x);
    return x->visitor_keeps && x->request_done && !x->broken ? EXCHANGE_KEEP : EXCHANGE_CLOSE;
}

/* True when the next word is the service's, or when it reads nothing of what the visitor says. */
static bool waits_for_service(const struct exchange *x, const struct buf *plain)
{
    const struct service_side *service = &x->service;
    struct stream *stream = service->ops ? service->ops->stream(service->user) : NULL;

    if (x->request_done || plain->len > 0 || !service->ops || !service->ops->ready(service->user))
        return x->request_done || plain->len > 0;
    return stream ? stream_full(stream) : service->ops->room(service->user) == 0;
}

/* HTTP/2 on both sides has PING by which each end knows whether the other lives, and a call of gRPC a time limit of its
 * own, if it wants one: so nobody is late. */
static bool may_be_silent(const struct exchange *x)
{
    return x->service.ops && x->service.ops->multiplexed && x->side.ops->multiplexed &&
           (x->grpc || x->response_head_done);
}

enum exchange_state exchange_late(struct exchange *x, const struct buf *plain)
{
    if (may_be_silent(x)) /* as long as he lives */
        stream_find_vanished(x->side.ops->connection(x->side.user));
    if (x->parked.parking || x->asked.check ||
        may_be_silent(x)) /* a visitor who is not read can only be seen to have gone */
        return visitor_is_gone(&x->side) ? EXCHANGE_BROKEN : EXCHANGE_RUNS;
    if (x->began || x->tunnelled)
        return EXCHANGE_BROKEN;
    if (!waits_for_service(x, plain))
        return EXCHANGE_CLOSE;
    let_stream_go(x); /* which is aborted: there is no response yet */
    x->visitor_keeps = false;
    exchange_answer(x, EXCHANGE_SILENT);
    return EXCHANGE_RUNS;
}

/* What was between us and the service means nothing to the visitor. */
uint32_t exchange_error(const struct exchange *x)
{
    enum {
        INTERNAL_ERROR = 2,
        REFUSED_STREAM = 7,
        CANCEL = 8,
        ENHANCE_YOUR_CALM = 11,
        INADEQUATE_SECURITY = 12
    };

    if (!x->ended || x->end != UPSTREAM_RESET)
        return INTERNAL_ERROR;
    switch (x->reset_code) {
    case REFUSED_STREAM:
    case CANCEL:
    case ENHANCE_YOUR_CALM:
    case INADEQUATE_SECURITY: return x->reset_code;
    default: return INTERNAL_ERROR;
    }
}

void exchange_forget_request(struct exchange *x)
{
    snapshot_release(x->snapshot);
    x->snapshot = NULL;
    x->site = NULL;
    x->target = NULL;
    buf_free(&x->offer);
    buf_free(&x->request_head);
    buf_free(&x->request_body);
    buf_free(&x->request_trailers);
    buf_free(&x->response_trailers);
    buf_free(&x->in);
    free(x->response);
    x->response = NULL;
}

bool exchange_is_endless(const struct exchange *x)
{
    return x->tunnelled || (x->of_events && !x->response_done);
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    parking_leave(&x->parked);
    doorman_leave(&x->asked);
    let_stream_go(x);
    access_request_end(x->access, x->lane,
                       x->tunnelled ? tunnelled_is_over(x->tunnelled) : x->response_done && !x->broken);
    tunnelled_free(x->tunnelled);
    meter_end(&x->meter);
    exchange_forget_request(x);
    free(x->alone);
    free(x);
}
