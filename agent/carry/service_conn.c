/* The life of a connection to a service:
 *
 *   DIAL ── connected ──▶ HANDSHAKE (only https://) ──▶ READY ── both ends done ──▶ CLOSING -> ended -> freed
 *      \_______ refused, silent ____\__ not trusted ________\___ broken, reset ───▶ */
#include "agent/carry/service_conn.h"

#include "agent/carry/service_tls.h"
#include "shared/mem.h"
#include "shared/stream.h"

#include <stdlib.h>
#include <string.h>

enum { DIAL_MS = 10000, HANDSHAKE_MS = 10000 };

struct service_conn {
    const struct service_conn_events *events;
    void *user;
    struct loop *loop;
    struct service service;
    struct trust *trust;
    struct dial *dial;   /* while there is no socket yet */
    struct stream *sock; /* NULL before and after */
    struct service_tls *tls;
    struct buf first; /* until it is connected */
    struct traffic *traffic;
    uv_timer_t deadline; /* of the handshake */
    int pending;

    bool ready, closing, declined;
    bool got_bytes;   /* of what a service says; TLS's own do not count */
    bool spoke;       /* it may have read something of ours */
    bool got_notify;  /* the service's close_notify: the end of what it says */
    bool ended_ours;  /* we say nothing more */
    bool ends_soon;   /* behind what TLS holds */
    uint64_t written; /* plain bytes since nothing was queued */
    enum lane_how how;
    struct err why;
};

static void on_dialled(void *user, struct stream *s, const struct err *why);
static void begin_tls(struct service_conn *s);
static void on_late(uv_timer_t *timer);
static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_drained(void *user);
static void on_sent(void *user);
static void on_ended(void *user, const struct err *why);
static void on_timer_closed(uv_handle_t *handle);

static bool is_tls(const struct service_conn *s)
{
    return s->service.kind == SERVICE_HTTPS;
}

/* ---- DIAL ---- */

struct service_conn *service_conn_start(struct loop *loop, const struct service *service,
                                        struct dial_names *names, struct trust *trust,
                                        const struct service_conn_events *events, void *user)
{
    struct service_conn *s = mem_new(sizeof *s);

    s->events = events;
    s->user = user;
    s->loop = loop;
    s->service = *service;
    s->trust = trust;
    uv_timer_init(&loop->uv, &s->deadline);
    s->deadline.data = s;
    s->pending = 1;
    s->dial = dial_start(loop, s->service.at.host, s->service.at.port, DIAL_MS, names, on_dialled, s);
    return s;
}

void service_conn_speak_http2(struct service_conn *s, bool http2)
{
    s->service.http2 = http2;
}

/* Closes what there is; the first reason stays. */
static void end(struct service_conn *s, enum lane_how how, const struct err *why)
{
    if (s->closing)
        return;
    s->closing = true;
    s->how = how;
    if (why)
        s->why = *why;
    if (s->dial)
        dial_stop(s->dial);
    s->dial = NULL;
    if (s->sock)
        stream_stop(s->sock);
    uv_close((uv_handle_t *)&s->deadline, on_timer_closed);
}

static void fail(struct service_conn *s, enum lane_how how, const char *what)
{
    struct err why = { 0 };

    err_set(&why, ERR_PEER, "%s port %u %s", s->service.at.host, s->service.at.port, what);
    end(s, how, &why);
}

static enum lane_how how_dialled(enum err_code code)
{
    switch (code) {
    case ERR_PEER: return LANE_REFUSED;
    case ERR_TIMEOUT: return LANE_SILENT;
    default: return LANE_UNREACHABLE;
    }
}

/* Some servers then end the handshake with an alert, others choose nothing and would speak HTTP/1.1. */
static void note_declined(struct service_conn *s)
{
    s->declined = true;
    fail(s, LANE_REFUSED,
         "does not choose HTTP/2 in its TLS handshake (ALPN h2), which gRPC needs; turn HTTP/2 on there");
}

static bool has_declined(const struct service_conn *s)
{
    const unsigned char *chosen;
    unsigned n;

    if (!s->service.http2)
        return false;
    SSL_get0_alpn_selected(s->tls->pipe.ssl, &chosen, &n);
    return n != 2 || memcmp(chosen, "h2", 2) != 0;
}

static void become_ready(struct service_conn *s)
{
    uv_timer_stop(&s->deadline);
    s->ready = true;
    /* Without TLS an end may be all that tells the service that it has everything: the kernel is not to say it for us when
     * this process is killed, but of what it has all of already. */
    if (!s->tls)
        stream_reset_when_killed(s->sock, true);
    s->events->ready(s->user);
}

void service_conn_introduce(struct service_conn *s, const struct proxy2_use *use, struct traffic *traffic)
{
    const struct proxy_header header = { .local = use->local, .source = use->source, .dest = use->dest };

    s->traffic = traffic_begin(traffic);
    proxy_header_write(&s->first, s->service.proxy, &header, use->sni);
}

static const char *remedy(bool is_path, enum err_code code)
{
    switch (code) {
    case ERR_PEER:
        return is_path ? "start the service, or put the socket where it listens (ss -xlp) into service"
                       : "start the service, or put where it listens (ss -tlnp) into service";
    case ERR_TIMEOUT:
        return is_path ? "it takes no further connections: look into its log, and start it again"
                       : "look into its log and at the firewall of its machine, and start it again";
    case ERR_MISSING: return "does the name in service have an address here (getent hosts NAME)?";
    default:
        return is_path ? "start the service, and let the agent's user open its socket and the folders above"
                       : "is its machine on, and in the same network?";
    }
}

/* Why it was not reached, and what to do. */
static void fail_dial(struct service_conn *s, const struct err *why)
{
    enum lane_how how = how_dialled(why->code);
    struct err more = { 0 };

    err_set(&more, why->code, "%.300s; %s", why->text, remedy(s->service.at.host[0] == '/', why->code));
    end(s, how, strchr(why->text, ';') ? why : &more);
}

static void on_dialled(void *user, struct stream *sock, const struct err *why)
{
    static const struct stream_events events = { on_received, on_eof, on_drained, on_ended, on_sent };
    struct service_conn *s = user;

    s->dial = NULL;
    if (!sock) {
        fail_dial(s, why);
        return;
    }
    s->sock = sock;
    s->pending++;
    stream_hand_over(sock, &events, s);
    stream_hear_out(sock);
    stream_write(sock, buf_bytes(&s->first), s->first.len);
    buf_free(&s->first);
    if (is_tls(s))
        begin_tls(s);
    else
        become_ready(s);
}

/* ---- HANDSHAKE ---- */

static void flush(struct service_conn *s)
{
    struct buf *out = &s->tls->out;

    if (s->sock)
        stream_write(s->sock, buf_bytes(out), out->len);
    buf_free(out);
}

static void begin_tls(struct service_conn *s)
{
    s->tls = mem_new(sizeof *s->tls);
    service_tls_init(s->tls, s->trust, &s->service);
    uv_timer_start(&s->deadline, on_late, HANDSHAKE_MS, 0);
    flush(s);
}

static void on_late(uv_timer_t *timer)
{
    fail(timer->data, LANE_SILENT, "did not finish the TLS handshake in 10 s");
}

/* ---- READY: what the service says ---- */

static void end_if_done(struct service_conn *s)
{
    if (s->got_notify && s->ended_ours && !s->closing && stream_queued(s->sock) == 0)
        end(s, LANE_EOF, NULL); /* whether or not it ends its TCP connection too */
}

static void pass_on(struct service_conn *s, const char *bytes, size_t n)
{
    if (n == 0 || s->closing)
        return;
    s->got_bytes = true;
    traffic_add(s->traffic, 0, n);
    s->events->received(s->user, bytes, n);
}

static void note_notify(struct service_conn *s)
{
    if (s->got_notify || s->closing)
        return;
    s->got_notify = true;
    s->events->eof(s->user);
    end_if_done(s);
}

/* What TLS held has left. */
static void go_on(struct service_conn *s)
{
    if (s->ends_soon)
        service_conn_shutdown(s);
    else
        s->events->drained(s->user);
}

/* A service of TLS 1.3 says what it makes of us only when we think that all is agreed. */
static void take_tls(struct service_conn *s, const char *bytes, size_t n)
{
    struct buf plain = { 0 };
    struct err why = { 0 };
    bool held = tls_pipe_held(&s->tls->pipe) > 0;
    int rc = service_tls_feed(s->tls, bytes, n, &plain, &why);

    flush(s);
    if (rc >= 0 && !s->ready && !s->closing && tls_pipe_established(&s->tls->pipe)) {
        if (has_declined(s))
            note_declined(s);
        else
            become_ready(s);
    }
    if (s->ready)
        pass_on(s, buf_bytes(&plain), plain.len);
    buf_free(&plain);
    if (rc < 0 && s->tls->no_protocol)
        note_declined(s);
    else if (rc < 0)
        end(s, s->got_bytes || (s->spoke && !s->tls->turned_away) ? LANE_RESET : LANE_REFUSED, &why);
    else if (rc == 1 && s->ready)
        note_notify(s);
    else if (rc == 1)
        fail(s, LANE_REFUSED, "ended the connection during the TLS handshake");
    if (held && !s->closing && tls_pipe_held(&s->tls->pipe) == 0)
        go_on(s);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct service_conn *s = user;

    if (s->closing)
        return;
    if (s->tls)
        take_tls(s, bytes, n);
    else
        pass_on(s, bytes, n);
}

/* An end that TLS does not know of can be anybody's on the way: what came before it may be whole, or not. HTTP knows where
 * a length or chunks tell it. */
static void note_cut(struct service_conn *s)
{
    if (!s->ready)
        fail(s, LANE_REFUSED, "ended the connection during the TLS handshake");
    else if (!s->got_notify)
        fail(s, LANE_RESET, "ended the connection without TLS's close_notify: what it sent may be cut off");
}

static void on_eof(void *user)
{
    struct service_conn *s = user;

    if (s->closing)
        return;
    if (s->tls)
        note_cut(s);
    else
        s->events->eof(s->user);
}

static void on_drained(void *user)
{
    struct service_conn *s = user;

    if (!s->closing && s->ready)
        s->events->drained(s->user);
}

/* All that the visitor had to say, and its end. */
static void leave_to_kernel(const struct service_conn *s)
{
    if (s->ended_ours && !s->tls && stream_queued(s->sock) == 0)
        stream_reset_when_killed(s->sock, false);
}

static void on_sent(void *user)
{
    struct service_conn *s = user;

    if (s->closing || !s->ready)
        return;
    leave_to_kernel(s);
    s->events->sent(s->user);
    end_if_done(s);
}

/* ---- READY: what its user wants ---- */

bool service_conn_is_proof(const struct service_conn *s)
{
    return !is_tls(s);
}

bool service_conn_declined(const struct service_conn *s)
{
    return s->declined;
}

void service_conn_write(struct service_conn *s, const char *bytes, size_t n)
{
    if (s->closing || s->ended_ours)
        return;
    traffic_add(s->traffic, n, 0);
    if (service_conn_queued(s) == 0)
        s->written = 0;
    s->written += n;
    if (!s->tls) {
        stream_write(s->sock, bytes, n);
        return;
    }
    s->spoke = true;
    tls_pipe_write(&s->tls->pipe, bytes, n);
    flush(s);
}

void service_conn_shutdown(struct service_conn *s)
{
    if (s->closing || s->ended_ours)
        return;
    s->ends_soon = s->tls && tls_pipe_held(&s->tls->pipe) > 0;
    if (s->ends_soon)
        return;
    if (s->tls) {
        tls_pipe_end(&s->tls->pipe);
        flush(s);
    }
    s->ended_ours = true;
    stream_shutdown(s->sock);
    leave_to_kernel(s);
    end_if_done(s);
}

void service_conn_pause(struct service_conn *s)
{
    if (s->sock)
        stream_pause(s->sock);
}

void service_conn_resume(struct service_conn *s)
{
    if (s->sock)
        stream_resume(s->sock);
}

bool service_conn_full(const struct service_conn *s)
{
    return s->sock && (stream_full(s->sock) || (s->tls && tls_pipe_held(&s->tls->pipe) > 0));
}

size_t service_conn_queued(const struct service_conn *s)
{
    return s->sock ? stream_queued(s->sock) + (s->tls ? tls_pipe_held(&s->tls->pipe) : 0) : 0;
}

/* Encrypted, and behind what was said first, they are more, never fewer. */
size_t service_conn_unsent(const struct service_conn *s)
{
    size_t queued = service_conn_queued(s);

    return s->written < queued ? (size_t)s->written : queued;
}

/* ---- CLOSING ---- */

void service_conn_reset(struct service_conn *s)
{
    if (s->sock && !s->closing)
        stream_reset(s->sock);
    end(s, LANE_RESET, NULL);
}

static void release(struct service_conn *s)
{
    if (--s->pending > 0)
        return;
    if (s->tls)
        service_tls_free(s->tls);
    free(s->tls);
    buf_free(&s->first);
    traffic_end(s->traffic);
    s->events->ended(s->user, s->how, s->why.text);
    free(s);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

/* It can end and be done in one, without an `eof` before. */
static void on_ended(void *user, const struct err *why)
{
    struct service_conn *s = user;

    s->sock = NULL;
    if (why->code != ERR_NONE)
        end(s, s->ready ? LANE_RESET : LANE_REFUSED, why);
    else if (s->tls && !s->closing)
        note_cut(s);
    end(s, LANE_EOF, NULL);
    release(s);
}
