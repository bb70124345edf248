/* The life of one connection of the small server:
 *
 *   HEAD -> BODY -> answer, or WAIT for it ─┐      each state has a deadline
 *    ▲─────────────────────────────────────-┘
 *    └── refused, asked to close ──▶ LINGER -> CLOSE -> freed
 *                                       ▲
 *   BODY -> STREAM, for as long as both like ┘   without a deadline */
#include "shared/http/conn.h"

#include "shared/mem.h"
#include "shared/stream.h"

#include <stdlib.h>
#include <sys/ioctl.h>

enum state { C_HEAD, C_BODY, C_WAIT, C_STREAM, C_LINGER, C_CLOSE };

enum { WAITING_BYTES = HTTP_SERVER_HEAD_BYTES + HTTP_SERVER_BODY_BYTES }; /* of further requests */

struct http_conn {
    const struct http_routes *routes;
    const struct http_conn_events *events;
    void *user;

    enum state state;
    struct stream *stream;
    struct sockaddr_storage peer;
    uv_timer_t deadline;
    int pending; /* what libuv still holds: the stream and the timer */

    struct buf in, head_text, content;
    struct h1_head head; /* of in while it is incomplete, then of head_text */
    struct h1_body body;
    bool request_began, draining, answering;
    struct http_later *later; /* C_WAIT, C_STREAM: who makes the answer */
};

static void conn_run(struct http_conn *c);
static enum state step_head(struct http_conn *c);
static enum state step_body(struct http_conn *c);
static enum state answer(struct http_conn *c);
static enum state step_wait(struct http_conn *c);
static enum state step_stream(struct http_conn *c);
static enum state step_linger(struct http_conn *c);
static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_drained(void *user);
static void on_ended(void *user, const struct err *why);
static void on_late(uv_timer_t *timer);
static void on_timer_closed(uv_handle_t *handle);

static const struct h1_limits limits = { .max_uri = 4096, .max_header = HTTP_SERVER_HEAD_BYTES };
static const struct stream_events stream_events = { on_received, on_eof, on_drained, on_ended, NULL };

/* ---- start ---- */

static void set_deadline(struct http_conn *c, uint64_t ms)
{
    uv_timer_start(&c->deadline, on_late, ms, 0);
}

static void await_request(struct http_conn *c)
{
    h1_request_init(&c->head);
    c->request_began = false;
    set_deadline(c, HTTP_SERVER_IDLE_MS);
}

struct http_conn *http_conn_accept(struct loop *loop, int fd, const struct http_routes *routes,
                                   const struct http_conn_events *events, void *user, struct err *e)
{
    struct http_conn *c = mem_new(sizeof *c);
    socklen_t peer_n = sizeof c->peer;

    getpeername(fd, (struct sockaddr *)&c->peer,
                &peer_n); /* who is gone already has none, and asks nothing */
    c->routes = routes;
    c->events = events;
    c->user = user;
    c->stream = stream_open(loop, fd, &stream_events, c, e);
    if (!c->stream) {
        free(c);
        return NULL;
    }
    stream_set_source(c->stream, c->stream);
    uv_timer_init(&loop->uv, &c->deadline);
    c->deadline.data = c;
    c->pending = 2;
    await_request(c);
    return c;
}

/* ---- states ---- */

static void conn_enter(struct http_conn *c, enum state next)
{
    c->state = next;
    if (next == C_LINGER) {
        stream_shutdown(c->stream);
        set_deadline(c, HTTP_SERVER_LINGER_MS);
    }
    if (next == C_CLOSE) {
        stream_stop(c->stream);
        uv_close((uv_handle_t *)&c->deadline, on_timer_closed);
    }
}

static void conn_run(struct http_conn *c)
{
    /* A client that sends requests and reads no answers gets no further ones. */
    while (c->state != C_CLOSE && !c->answering && !stream_full(c->stream)) {
        enum state next = C_CLOSE;

        switch (c->state) {
        case C_HEAD: next = step_head(c); break;
        case C_BODY: next = step_body(c); break;
        case C_WAIT: next = step_wait(c); break;
        case C_STREAM: next = step_stream(c); break;
        case C_LINGER: next = step_linger(c); break;
        case C_CLOSE: break;
        }
        if (next == c->state || c->state == C_CLOSE)
            return; /* wait for the next bytes */
        conn_enter(c, next);
    }
}

static enum state refuse(struct http_conn *c, int status, const char *why)
{
    struct buf out = { 0 };

    http_answer_refusal(&c->head, status, why, &out);
    stream_write(c->stream, buf_bytes(&out), out.len);
    buf_free(&out);
    return C_LINGER; /* closing at once would take the answer away from a client that is still sending */
}

static enum state step_head(struct http_conn *c)
{
    ssize_t n;

    if (c->in.len == 0)
        return !c->draining ? C_HEAD : stream_queued(c->stream) > 0 ? C_LINGER : C_CLOSE;
    if (!c->request_began) {
        c->request_began = true;
        set_deadline(c, HTTP_SERVER_REQUEST_MS);
    }
    n = h1_head_parse(&c->head, buf_bytes(&c->in), c->in.len, &limits);
    if (n < 0)
        return refuse(c, c->head.status, c->head.why);
    if (n == 0)
        return C_HEAD;
    buf_add(&c->head_text, buf_bytes(&c->in), (size_t)n);
    c->head.bytes = buf_bytes(&c->head_text);
    buf_take(&c->in, (size_t)n);
    h1_body_init(&c->body, c->head.framing, c->head.content_length);
    if (c->head.framing == H1_LENGTH && c->head.content_length > HTTP_SERVER_BODY_BYTES)
        return refuse(c, 413, "the request's content is larger than 64 KiB");
    if (c->head.expects_continue && c->head.content_length <= HTTP_SERVER_BODY_BYTES)
        stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return C_BODY;
}

static enum state step_body(struct http_conn *c)
{
    struct err why = { 0 };
    struct str data;
    size_t used;

    for (;;) {
        enum h1_body_event event = h1_body_feed(&c->body, buf_bytes(&c->in), c->in.len, &used, &data);

        if (event == H1_BODY_DATA &&
            buf_add_max(&c->content, data.p, data.n, HTTP_SERVER_BODY_BYTES, &why) != 0)
            return refuse(c, 413, "the request's content is larger than 64 KiB");
        if (event == H1_BODY_BAD)
            return refuse(c, 400, c->body.why);
        buf_take(&c->in, used); /* pieces of a trailer section too: nothing here asks for them */
        if (event == H1_BODY_MORE)
            return C_BODY;
        if (event == H1_BODY_END)
            return answer(c);
    }
}

static void forget_request(struct http_conn *c)
{
    buf_free(&c->head_text);
    buf_free(&c->content);
    if (c->in.len == 0)
        buf_free(&c->in);
}

static enum state put_answer(struct http_conn *c, struct buf *out)
{
    bool keep = c->head.keep_alive && !c->draining;

    stream_write(c->stream, buf_bytes(out), out->len);
    forget_request(c);
    await_request(c);
    c->events->active(c->user, c);
    return keep ? C_HEAD : C_LINGER;
}

static void on_finished(void *conn, const struct http_reply *reply)
{
    struct http_conn *c = conn;
    struct buf out = { 0 };

    c->later = NULL;
    if (c->state != C_WAIT)
        return;
    http_answer_put(&c->head, reply, c->head.keep_alive && !c->draining, &out);
    conn_enter(c, put_answer(c, &out));
    buf_free(&out);
    conn_run(c);
}

/* ---- an answer that goes on ---- */

static bool on_more(void *conn, const char *bytes, size_t n)
{
    struct http_conn *c = conn;
    struct buf out = { 0 };

    if (c->state != C_STREAM || n == 0)
        return true;
    if (stream_full(c->stream))
        return false;
    if (c->head.minor > 0)
        buf_printf(&out, "%zx\r\n", n);
    buf_add(&out, bytes, n);
    if (c->head.minor > 0)
        buf_add_text(&out, "\r\n");
    stream_write(c->stream, buf_bytes(&out), out.len);
    buf_free(&out);
    return true;
}

static void end_stream(struct http_conn *c)
{
    c->later = NULL;
    if (c->state != C_STREAM)
        return;
    if (c->head.minor > 0 && !str_eq(h1_text(&c->head, c->head.method), "HEAD"))
        stream_write(c->stream, "0\r\n\r\n", 5);
    conn_enter(c, C_LINGER);
}

static void on_stream_end(void *conn)
{
    end_stream(conn);
}

/* Whoever makes it hears that nobody is there any more. */
static void leave_stream(struct http_conn *c)
{
    struct http_later *later = c->later;

    c->later = NULL;
    later->gone(later->user);
    free(later);
}

static enum state begin_stream(struct http_conn *c)
{
    struct buf out = { 0 };

    c->later->conn = c;
    c->later->more = on_more;
    c->later->end = on_stream_end;
    http_answer_put_stream(&c->head, c->later->type, &out);
    stream_write(c->stream, buf_bytes(&out), out.len);
    buf_free(&out);
    uv_timer_stop(&c->deadline);
    if (!c->draining && !str_eq(h1_text(&c->head, c->head.method), "HEAD"))
        return C_STREAM;
    leave_stream(c);
    return C_LINGER;
}

/* Nothing more is expected of the client. */
static enum state step_stream(struct http_conn *c)
{
    buf_free(&c->in);
    return C_STREAM;
}

static enum state answer(struct http_conn *c)
{
    struct buf out = { 0 };
    enum state next = C_CLOSE;

    c->answering = true;
    c->later =
        http_answer(c->routes, &c->peer, &c->head, &c->content, c->head.keep_alive && !c->draining, &out);
    c->answering = false;
    if (c->later && c->later->type) {
        next = c->state == C_CLOSE ? C_CLOSE : begin_stream(c);
    } else if (c->later) {
        *c->later = (struct http_later){ .finished = on_finished, .conn = c };
        set_deadline(c, HTTP_SERVER_LATER_MS);
        next = C_WAIT;
    }
    if (c->state != C_CLOSE && out.len > 0)
        next = put_answer(c, &out);
    buf_free(&out);
    return c->state == C_CLOSE ? C_CLOSE : next;
}

static enum state step_wait(struct http_conn *c)
{
    return c->in.len > WAITING_BYTES ? C_CLOSE : C_WAIT;
}

static enum state step_linger(struct http_conn *c)
{
    buf_free(&c->in); /* only read so that the peer is not reset before it has our answer */
    return C_LINGER;
}

/* ---- what happens ---- */

static void on_received(void *user, const char *bytes, size_t n)
{
    struct http_conn *c = user;

    buf_add(&c->in, bytes, n); /* bounded: conn_run uses it up, or refuses and drops it */
    conn_run(c);
}

/* What came whole has been answered; half a request will not become one. */
static void on_eof(void *user)
{
    struct http_conn *c = user;

    c->draining = true;
    if (c->state == C_WAIT)
        return; /* it may still read */
    if (c->state == C_STREAM) {
        conn_enter(c, C_CLOSE); /* as who has been stopped by ctrl-C looks to us */
        return;
    }
    stream_shutdown(c->stream);
    set_deadline(c, HTTP_SERVER_LINGER_MS);
}

static void on_drained(void *user)
{
    conn_run(user);
}

static void on_late(uv_timer_t *timer)
{
    struct http_conn *c = timer->data;
    enum state next = C_CLOSE;

    if (c->state == C_HEAD)
        c->head.bytes = buf_bytes(&c->in); /* which may have moved */
    if (c->state == C_BODY || (c->state == C_HEAD && c->request_began))
        next = refuse(c, 408, "the request did not arrive whole in time");
    conn_enter(c, next);
}

/* ---- end ---- */

void http_conn_drain(struct http_conn *c)
{
    int unread = 0;

    c->draining = true;
    if (c->state == C_STREAM) {
        struct http_later *later = c->later;

        end_stream(c);
        later->gone(later->user);
        free(later);
        return;
    }
    if (c->in.len == 0 && ioctl(stream_fd(c->stream), FIONREAD, &unread) == 0 && unread > 0)
        return; /* a request that has come already, although it has not been read */
    conn_run(c);
}

void http_conn_stop(struct http_conn *c)
{
    if (c->state != C_CLOSE)
        conn_enter(c, C_CLOSE);
}

static void release(struct http_conn *c)
{
    if (--c->pending > 0)
        return;
    if (c->later && c->later->type)
        leave_stream(c);
    else if (c->later)
        c->later->conn = NULL;
    buf_free(&c->in);
    forget_request(c);
    c->events->ended(c->user, c);
    free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_ended(void *user, const struct err *why)
{
    struct http_conn *c = user;

    (void)why; /* a client that went away concerns nobody */
    if (c->state != C_CLOSE) {
        c->state = C_CLOSE;
        uv_close((uv_handle_t *)&c->deadline, on_timer_closed);
    }
    release(c);
}
