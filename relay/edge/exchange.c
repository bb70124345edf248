/* The life of a request:
 *
 *   head routed -> STREAM (a lane's stream is got) -> RUN: body up, head and body down -> DONE
 *                     ▲── once more, when the stream had ended and nothing was lost ─────┘
 *
 * After a 101 it lives on as another protocol's bytes, in tunnelled.c.
 * Events from the stream are noted, then client_run calls exchange_run, which says how far it has come. */
#include "relay/edge/exchange.h"

#include "relay/edge/access_request.h"
#include "relay/edge/page.h"
#include "relay/edge/route.h"
#include "relay/edge/tunnelled.h"
#include "relay/edge/upgrade.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After the first one: a lane that dies takes some streams with it before all have heard of it. */
enum { MAX_TRIES = 3 };

struct exchange {
    struct client *client;
    const struct client_host *host;
    struct snapshot *snapshot;
    const struct snap_site *site;
    const struct snap_target *target;
    struct upstream *upstream;     /* NULL: none, or it has ended */
    struct access_request *access; /* NULL: it is not logged */

    struct tunnelled *tunnelled; /* after an upgrade: nothing else is left of it then */

    struct buf offer;        /* the protocols that the visitor would rather speak; empty: none */
    struct buf request_head; /* kept until the response begins, to be sent again */
    struct h1_body request;
    int64_t max_body, body_bytes;
    struct buf request_trailers;
    enum h1_framing request_framing;
    char method[H1_MAX_METHOD + 1];
    bool idempotent, visitor_keeps, visitor_1_0, secure;
    bool sent_head, request_done, took_body, stream_was_kept;
    int tries;     /* after the first */
    uint64_t lane; /* of the last stream */

    struct buf in; /* of the response, until its head is whole */
    struct h1_head *response;
    struct h1_body body;
    struct buf response_trailers;
    enum h1_framing framing; /* towards the visitor */
    bool began;              /* something of the response has been sent */
    bool response_head_done, response_done, service_keeps;
    enum upstream_end end;
    bool ended, broken;
};

static void on_ready(void *user);
static void on_received(void *user, const char *bytes, size_t n);
static void on_room(void *user);
static uint64_t on_held_asked(void *user, uint64_t *moved);
static bool on_gone_asked(void *user);
static void on_ended(void *user, enum upstream_end how);
static void send_request(struct exchange *x);
static void answer_too_large(struct exchange *x);
static void read_response(struct exchange *x, const char *bytes, size_t n);

static const struct upstream_events upstream_events = {
    .ready = on_ready,
    .received = on_received,
    .room = on_room,
    .held = on_held_asked,
    .gone = on_gone_asked,
    .ended = on_ended,
};

/* ---- start ---- */

static bool is_idempotent(struct str method)
{
    static const char *const methods[] = { "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE" };

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (str_eq(method, methods[i]))
            return true;
    return false;
}

static void take_stream(struct exchange *x, enum pool_reuse reuse, uint64_t not_lane)
{
    x->upstream = pool_take(x->host->pool, x->target, reuse, not_lane, &upstream_events, x);
    x->sent_head = false;
    if (!x->upstream) {
        x->ended = true;
        x->end = UPSTREAM_UNAVAILABLE;
        return;
    }
    x->stream_was_kept = upstream_used_before(x->upstream);
    x->lane = upstream_lane(x->upstream);
    h1_response_init(x->response, str_of(x->method));
    if (upstream_ready(x->upstream))
        send_request(x);
}

struct exchange *exchange_new(struct client *client, const struct client_host *host, struct snapshot *holds,
                              const struct snap_site *site, const struct h1_head *head,
                              const struct headers_visitor *visitor)
{
    struct str method = h1_text(head, head->method);
    struct exchange *x = mem_new(sizeof *x);

    x->client = client;
    x->host = host;
    x->snapshot = snapshot_hold(holds);
    x->site = site;
    x->max_body = site->policy.max_body > 0 ? site->policy.max_body : INT64_MAX;
    x->target = route_find(site, h1_text(head, head->path));
    x->response = mem_new(sizeof *x->response);
    snprintf(x->method, sizeof x->method, "%.*s", STR_ARG(method));
    upgrade_add_offer(&x->offer, head);
    x->idempotent = is_idempotent(method) && x->offer.len == 0;
    x->visitor_keeps = head->keep_alive;
    x->secure = visitor->secure;
    x->visitor_1_0 = head->minor == 0;
    x->request_framing = head->framing;
    x->request_done = head->framing == H1_NO_BODY;
    h1_body_init(&x->request, head->framing, head->content_length);
    headers_add_request(&x->request_head, head, visitor);
    counts_add(&site->counts->requests, 1);
    x->access = access_request_new(host->access_log, site, head, visitor, client_tls_version(client));
    if (head->framing == H1_LENGTH && head->content_length > x->max_body) {
        answer_too_large(x);
        return x;
    }
    /* Where the service may have closed the stream by now, only what can be sent again is: no other method, no body. */
    take_stream(x, x->idempotent && x->request_done ? POOL_ANY : POOL_RECENT, 0);
    return x;
}

static void send_request(struct exchange *x)
{
    stream_set_source(client_stream(x->client), upstream_stream(x->upstream));
    stream_set_source(upstream_stream(x->upstream), client_stream(x->client));
    upstream_write(x->upstream, buf_bytes(&x->request_head), x->request_head.len);
    x->sent_head = true;
    access_request_sent(x->access);
}

/* ---- the request's body ---- */

static void send_chunk(struct exchange *x, struct str data)
{
    char size[24];

    upstream_write(x->upstream, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", data.n));
    upstream_write(x->upstream, data.p, data.n);
    upstream_write(x->upstream, "\r\n", 2);
}

/* Trailers go on only when they are well formed; their last empty line is in them. */
static bool end_chunks(struct buf *trailers, void (*send)(struct exchange *x, const void *bytes, size_t n),
                       struct exchange *x)
{
    struct h1_head parsed;

    send(x, "0\r\n", 3);
    if (trailers->len == 0) {
        send(x, "\r\n", 2);
        return true;
    }
    if (h1_trailers_parse(&parsed, buf_bytes(trailers), trailers->len) != 0)
        return false;
    send(x, buf_bytes(trailers), trailers->len);
    return true;
}

static void send_up(struct exchange *x, const void *bytes, size_t n)
{
    upstream_write(x->upstream, bytes, n);
}

/* Chunks do not say in front how many they will be. */
static void note_too_large(struct exchange *x)
{
    x->visitor_keeps = false;
    if (x->began)
        x->broken = true;
    else
        answer_too_large(x);
}

static void send_request_body(struct exchange *x, struct buf *plain)
{
    struct str data;
    size_t used;

    while (!x->request_done && !x->broken && !x->response_done) {
        size_t room = upstream_room(x->upstream), n = plain->len < room ? plain->len : room;
        enum h1_body_event event = h1_body_feed(&x->request, buf_bytes(plain), n, &used, &data);

        switch (event) {
        case H1_BODY_DATA:
            x->took_body = true;
            access_request_in(x->access, data.n);
            x->body_bytes += (int64_t)data.n;
            if (x->body_bytes > x->max_body) {
                note_too_large(x);
                break;
            }
            if (x->request_framing == H1_CHUNKED)
                send_chunk(x, data);
            else
                send_up(x, data.p, data.n);
            break;
        case H1_BODY_TRAILER: buf_add(&x->request_trailers, data.p, data.n); break;
        case H1_BODY_END:
            x->request_done = true;
            if (x->request_framing == H1_CHUNKED && !end_chunks(&x->request_trailers, send_up, x))
                x->broken = true;
            break;
        case H1_BODY_BAD: x->broken = true; break;
        case H1_BODY_MORE: break;
        }
        buf_take(plain, used);
        if (event == H1_BODY_MORE)
            return;
    }
}

/* ---- the response ---- */

static void send_down(struct exchange *x, const void *bytes, size_t n)
{
    client_send(x->client, bytes, n);
    x->began = true;
}

static void answer_ourselves(struct exchange *x, int status, const char *text)
{
    struct buf out = { 0 };

    counts_add(&x->site->counts->errors, 1);
    x->visitor_keeps = x->visitor_keeps && x->request_done;
    page_add(&out, status, text, strcmp(x->method, "HEAD") != 0, !x->visitor_keeps);
    access_request_page(x->access, status, (struct str){ buf_bytes(&out), out.len });
    send_down(x, buf_bytes(&out), out.len);
    buf_free(&out);
    x->response_done = true;
}

static void answer_too_large(struct exchange *x)
{
    answer_ourselves(x, 413, "The request is larger than this site takes.");
}

static enum h1_framing framing_down(const struct exchange *x)
{
    enum h1_framing framing = x->response->framing;

    if (framing != H1_CHUNKED && framing != H1_UNTIL_CLOSE)
        return framing;
    return x->visitor_1_0 ? H1_UNTIL_CLOSE : H1_CHUNKED; /* HTTP/1.0 knows no chunks */
}

/* A 1xx is about the request alone. */
static struct headers_changes changes_for(const struct exchange *x, bool interim)
{
    const struct snap_site *site = x->site;

    if (interim)
        return (struct headers_changes){ 0 };
    return (struct headers_changes){ &site->policy,
                                     x->secure && site->trusted_cert ? site->policy.hsts_s : 0 };
}

static void send_response_head(struct exchange *x)
{
    struct h1_head *head = x->response;
    bool interim = head->status < 200;
    struct headers_changes changes = changes_for(x, interim);
    struct buf out = { 0 };

    x->framing = framing_down(x);
    if (!interim && (x->framing == H1_UNTIL_CLOSE || !x->request_done))
        x->visitor_keeps = false;
    if (interim || head->status == 204)
        head->content_length = -1;
    if (!interim || !x->visitor_1_0) {
        headers_add_response(&out, head, x->framing,
                             interim             ? ""
                             : !x->visitor_keeps ? "close"
                             : x->visitor_1_0    ? "keep-alive"
                                                 : "",
                             &changes);
        send_down(x, buf_bytes(&out), out.len);
        buf_free(&out);
    }
    x->began = x->began && !interim; /* after 100 (Continue) another answer may still be given */
    x->service_keeps = head->keep_alive;
    x->response_head_done = !interim;
    if (!interim)
        access_request_answered(x->access, head->status);
    h1_body_init(&x->body, head->framing, head->content_length);
}

static void forget_request(struct exchange *x)
{
    snapshot_release(x->snapshot);
    x->snapshot = NULL;
    x->site = NULL;
    x->target = NULL;
    buf_free(&x->offer);
    buf_free(&x->request_head);
    buf_free(&x->request_trailers);
    buf_free(&x->response_trailers);
    buf_free(&x->in);
    free(x->response);
    x->response = NULL;
}

static void upgrade(struct exchange *x)
{
    access_request_answered(x->access, x->response->status);
    access_request_detach(x->access, x->lane);
    x->tunnelled = tunnelled_new(x->client, x->upstream, x->access);
    x->upstream = NULL;
    forget_request(x);
}

static const char *why_not_http(const struct exchange *x, ssize_t parsed)
{
    struct str offer = { buf_bytes(&x->offer), x->offer.len };

    if (parsed < 0)
        return x->response->why;
    if (x->response->status != 101 || upgrade_is_granted(x->response, offer))
        return NULL;
    return offer.n > 0 ? "101 to a protocol that was not offered"
                       : "101 without having been asked to upgrade";
}

/* Bytes used of those given; all of them while the head is not whole. */
static size_t read_response_head(struct exchange *x, const char *bytes, size_t n)
{
    static const struct h1_limits limits = { .max_uri = 16384, .max_header = 65536 };
    size_t before = x->in.len;
    const char *wrong;
    ssize_t got;

    buf_add(&x->in, bytes, n);
    got = h1_head_parse(x->response, buf_bytes(&x->in), x->in.len, &limits);
    if (got == 0)
        return n;
    wrong = why_not_http(x, got);
    if (wrong) {
        log_warn_limited(x->site->name, "a service answered with what is not HTTP",
                         kv_str("domain", x->site->name), kv_str("error", wrong));
        x->service_keeps = false;
        answer_ourselves(x, 502, "The site answered in a way that could not be understood.");
        return n;
    }
    send_response_head(x);
    buf_free(&x->in);
    if (x->response->status == 101)
        upgrade(x);
    else if (!x->response_head_done)
        h1_response_init(x->response, str_of(x->method));
    return (size_t)got - before;
}

static void pass_body_on(struct exchange *x, struct str data)
{
    char size[24];

    access_request_out(x->access, data.n);
    if (x->framing == H1_CHUNKED)
        send_down(x, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", data.n));
    send_down(x, data.p, data.n);
    if (x->framing == H1_CHUNKED)
        send_down(x, "\r\n", 2);
}

static void end_response(struct exchange *x)
{
    if (x->framing == H1_CHUNKED && !end_chunks(&x->response_trailers, send_down, x))
        x->broken = true;
    else
        x->response_done = true;
}

static size_t read_response_body(struct exchange *x, const char *bytes, size_t n)
{
    struct str data;
    size_t used;

    switch (h1_body_feed(&x->body, bytes, n, &used, &data)) {
    case H1_BODY_DATA: pass_body_on(x, data); break;
    case H1_BODY_TRAILER: buf_add(&x->response_trailers, data.p, data.n); break;
    case H1_BODY_END: end_response(x); break;
    case H1_BODY_BAD: x->broken = true; break;
    case H1_BODY_MORE: break;
    }
    return used;
}

static void read_response(struct exchange *x, const char *bytes, size_t n)
{
    do {
        size_t used =
            x->response_head_done ? read_response_body(x, bytes, n) : read_response_head(x, bytes, n);

        bytes += used;
        n -= used;
        if (x->response_head_done && !x->response_done && n == 0)
            read_response_body(x, bytes, 0); /* a body of no bytes ends without any */
    } while (n > 0 && !x->response_done && !x->broken && !x->tunnelled);
    if (x->tunnelled) {
        access_request_out(x->access, n);
        client_send(x->client, bytes, n);
    } else if (n > 0) {
        x->service_keeps = false; /* more than it was asked for */
    }
}

/* ---- what the stream tells ---- */

static void on_ready(void *user)
{
    struct exchange *x = user;

    send_request(x);
    client_run(x->client);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct exchange *x = user;

    if (!x->response_done && !x->broken)
        read_response(x, bytes, n);
    else
        x->service_keeps = false;
    client_run(x->client);
}

static void on_room(void *user)
{
    struct exchange *x = user;

    client_run(x->client);
}

static uint64_t on_held_asked(void *user, uint64_t *moved)
{
    const struct exchange *x = user;

    return client_held(x->client, moved);
}

static bool on_gone_asked(void *user)
{
    const struct exchange *x = user;

    return client_is_gone(x->client);
}

static void on_ended(void *user, enum upstream_end how)
{
    struct exchange *x = user;

    x->upstream = NULL;
    x->ended = true;
    x->end = how;
    client_run(x->client);
}

/* A kept stream that the service closed before it saw the request, or one that died with its lane, while there is another:
 * nobody has noticed anything. What was not sent may be sent in any case. */
static bool try_again(struct exchange *x)
{
    bool died = x->end == UPSTREAM_LOST || x->end == UPSTREAM_UNAVAILABLE;
    enum upstream_end end = x->end;

    if (x->began || x->in.len > 0 || x->took_body || (x->sent_head && !x->idempotent))
        return false;
    if (!(x->stream_was_kept || died) || x->tries++ == MAX_TRIES)
        return false;
    x->ended = false;
    take_stream(x, POOL_FRESH, died ? x->lane : 0);
    if (x->ended && died && x->stream_was_kept) {
        x->ended = false;
        take_stream(x, POOL_FRESH, 0);
    }
    if (x->ended)
        x->end = end; /* there was no other lane */
    return !x->ended;
}

static void answer_for_the_end(struct exchange *x)
{
    switch (x->end) {
    case UPSTREAM_REFUSED: answer_ourselves(x, 502, "The site's server is not running."); break;
    case UPSTREAM_SILENT: answer_ourselves(x, 504, "The site's server does not answer."); break;
    case UPSTREAM_UNAVAILABLE: answer_ourselves(x, 503, "The site cannot be reached at the moment."); break;
    case UPSTREAM_EOF:
    case UPSTREAM_LOST:
    case UPSTREAM_BROKEN: answer_ourselves(x, 502, "The site broke off its answer."); break;
    }
}

static void note_end(struct exchange *x)
{
    if (x->response_done || x->broken)
        return;
    if (!x->response_head_done)
        answer_for_the_end(x);
    else if (x->end == UPSTREAM_EOF && h1_body_eof(&x->body) == H1_BODY_END)
        end_response(x);
    else
        x->broken = true;
}

/* ---- how far it has come ---- */

static void let_stream_go(struct exchange *x)
{
    struct upstream *u = x->upstream;

    x->upstream = NULL;
    stream_set_source(client_stream(x->client), NULL);
    if (!u)
        return;
    if (x->response_done && x->request_done && x->service_keeps && !x->broken)
        upstream_give_back(u);
    else if (x->response_done && x->request_done && !x->broken)
        upstream_close(u);
    else
        upstream_abort(u);
}

enum exchange_state exchange_run(struct exchange *x, struct buf *plain)
{
    if (x->tunnelled)
        return tunnelled_run(x->tunnelled, plain);
    if (x->ended && !try_again(x))
        note_end(x);
    if (x->upstream && x->sent_head && !x->response_done)
        send_request_body(x, plain); /* also when the stream of a second try was ready at once */
    if (client_has_ended(x->client) && plain->len == 0 && !x->request_done)
        x->broken = true; /* he left in the middle of his request */
    if (x->broken && !x->began && !x->response_done)
        answer_ourselves(x, 400, "The request could not be understood.");
    if (x->broken && x->began && !x->response_done) {
        let_stream_go(x);
        return EXCHANGE_BROKEN;
    }
    if (!x->response_done)
        return EXCHANGE_RUNS;
    let_stream_go(x);
    return x->visitor_keeps && x->request_done && !x->broken ? EXCHANGE_KEEP : EXCHANGE_CLOSE;
}

/* True when the next word is the service's, or when it reads nothing of what the visitor says. */
static bool waits_for_service(const struct exchange *x, const struct buf *plain)
{
    return x->request_done || plain->len > 0 ||
           (x->upstream && upstream_ready(x->upstream) && stream_full(upstream_stream(x->upstream)));
}

enum exchange_state exchange_late(struct exchange *x, const struct buf *plain)
{
    if (x->began || x->tunnelled)
        return EXCHANGE_BROKEN;
    if (!waits_for_service(x, plain))
        return EXCHANGE_CLOSE;
    let_stream_go(x); /* which is aborted: there is no response yet */
    x->visitor_keeps = false;
    answer_ourselves(x, 504, "The site's server does not answer.");
    return EXCHANGE_RUNS;
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    let_stream_go(x);
    access_request_end(x->access, x->lane,
                       x->tunnelled ? tunnelled_is_over(x->tunnelled) : x->response_done && !x->broken);
    tunnelled_free(x->tunnelled);
    forget_request(x);
    free(x);
}
