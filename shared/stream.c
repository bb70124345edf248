/* The life of one connection's bytes:
 *
 *   (CONNECTING ──▶)
 *   OPEN ── eof ──▶ half closed by the peer ──┐
 *     └── shutdown ──▶ half closed by us ─────┴──▶ CLOSING -> ended -> freed
 *     └── error, stream_stop ──────────────────────▶ */
#include "shared/stream.h"

#include "shared/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    const struct stream_events *events;
    void (*connected)(void *user);
    void (*broke)(void *user); /* NULL: what breaks is closed */
    void *user;
    struct err *why; /* NULL: nothing has gone wrong */

    struct buf *into;         /* what is read goes there; NULL: to the loop's buffer */
    struct buf queue, flight; /* queue waits; flight is in libuv's hands while writing */
    size_t flight_bytes;      /* of flight: what libuv has been given */
    union {                   /* one after another: no bytes before it is connected, nor behind its end */
        uv_connect_t connect;
        uv_write_t write;
        uv_shutdown_t shutdown;
    } req;
    struct stream *source, *sink;

    bool connecting, writing, full;
    bool paused, held; /* reading stopped by our user; by a full sink */
    bool got_eof, shutdown_wanted, shutdown_sent, shutdown_done;
    bool kept;      /* though both directions are done */
    bool hears_out; /* though it is paused when the peer has broken off */
    bool deaf;      /* the peer reads no longer: nothing is written any more, and why says so */
    bool broken;    /* nor read, and our user knows */
};

static void on_closed(uv_handle_t *handle);
static void on_connected(uv_connect_t *req, int rc);
static void on_written(uv_write_t *req, int rc);
static void on_shut_down(uv_shutdown_t *req, int rc);
static void on_received(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf);
static void read_if_wanted(struct stream *s);
static void close_with(struct stream *s, enum err_code code, const char *what, int rc);
static void send_queued(struct stream *s);
static void shut_down_if_wanted(struct stream *s);

/* ---- start ---- */

/* Most never need the room for it. */
static struct err *why_of(struct stream *s)
{
    if (!s->why)
        s->why = mem_new(sizeof *s->why);
    return s->why;
}

static struct stream *stream_new(uv_loop_t *loop, bool is_tcp, const struct stream_events *events, void *user)
{
    struct stream *s = mem_new(sizeof *s);

    s->events = events;
    s->user = user;
    if (is_tcp)
        uv_tcp_init(loop, &s->uv.tcp);
    else
        uv_pipe_init(loop, &s->uv.pipe, 0);
    s->uv.handle.data = s;
    return s;
}

static void on_unused_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* A stream that never lived is closed without a word to its user. */
static struct stream *give_up(struct stream *s, const char *what, int rc, struct err *e)
{
    err_set(e, ERR_SYSTEM, "%s: %s", what, uv_strerror(rc));
    uv_close(&s->uv.handle, on_unused_closed);
    return NULL;
}

struct stream *stream_open(struct loop *loop, int fd, const struct stream_events *events, void *user,
                           struct err *e)
{
    const int on = 1;
    bool is_tcp =
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0; /* a Unix socket has no such option */
    struct stream *s = stream_new(&loop->uv, is_tcp, events, user);
    int rc = is_tcp ? uv_tcp_open(&s->uv.tcp, fd) : uv_pipe_open(&s->uv.pipe, fd);

    if (rc == 0) {
        read_if_wanted(s);
        return s;
    }
    close(fd);
    return give_up(s, "cannot take a connection", rc, e);
}

struct stream *stream_connect_from(struct loop *loop, const struct sockaddr *from,
                                   const struct sockaddr *addr, void (*connected)(void *user),
                                   const struct stream_events *events, void *user, struct err *e)
{
    bool is_tcp = addr->sa_family != AF_UNIX;
    struct stream *s = stream_new(&loop->uv, is_tcp, events, user);
    int rc = from ? uv_tcp_bind(&s->uv.tcp, from, 0) : 0;

    if (is_tcp && rc == 0)
        rc = uv_tcp_connect(&s->req.connect, &s->uv.tcp, addr, on_connected);
    else if (rc == 0)
        uv_pipe_connect(&s->req.connect, &s->uv.pipe, ((const struct sockaddr_un *)addr)->sun_path,
                        on_connected);
    if (rc != 0)
        return give_up(s, "cannot connect", rc, e);
    s->req.connect.data = s;
    s->connected = connected;
    s->connecting = true;
    return s;
}

struct stream *stream_connect(struct loop *loop, const struct sockaddr *addr, void (*connected)(void *user),
                              const struct stream_events *events, void *user, struct err *e)
{
    return stream_connect_from(loop, NULL, addr, connected, events, user, e);
}

static enum err_code connect_code(int rc)
{
    switch (rc) {
    case UV_ECONNREFUSED: return ERR_PEER;
    case UV_EAGAIN: /* a Unix socket whose queue is full */
    case UV_ETIMEDOUT: return ERR_TIMEOUT;
    default: return ERR_SYSTEM;
    }
}

static void on_connected(uv_connect_t *req, int rc)
{
    struct stream *s = req->data;

    if (uv_is_closing(&s->uv.handle))
        return;
    if (rc != 0) {
        close_with(s, connect_code(rc), "cannot connect", rc);
        return;
    }
    s->connecting = false;
    if (s->uv.handle.type == UV_TCP)
        uv_tcp_nodelay(&s->uv.tcp, 1);
    read_if_wanted(s);
    send_queued(s);
    shut_down_if_wanted(s);
    if (s->connected)
        s->connected(s->user);
}

void stream_hand_over(struct stream *s, const struct stream_events *events, void *user)
{
    s->events = events;
    s->user = user;
}

/* ---- reading ---- */

static void on_wants_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct loop *loop = handle->loop->data;
    const struct stream *s = handle->data;

    (void)suggested;
    if (s->into)
        *buf = uv_buf_init(buf_space(s->into, LOOP_BUF_BYTES), LOOP_BUF_BYTES);
    else
        *buf = uv_buf_init(loop->read_buf, LOOP_READ_BYTES);
}

static void read_if_wanted(struct stream *s)
{
    if (uv_is_closing(&s->uv.handle) || s->connecting)
        return;
    if (s->paused || s->held || s->got_eof || s->broken)
        uv_read_stop(&s->uv.stream);
    else
        uv_read_start(&s->uv.stream, on_wants_room, on_received); /* a second start changes nothing */
}

static void close_with(struct stream *s, enum err_code code, const char *what, int rc)
{
    if (uv_is_closing(&s->uv.handle))
        return;
    if (code != ERR_NONE)
        err_set(why_of(s), code, "%s: %s", what, uv_strerror(rc));
    uv_close(&s->uv.handle, on_closed);
}

static void close_if_done(struct stream *s)
{
    if (s->got_eof && s->shutdown_done && !s->kept && !s->broken)
        close_with(s, ERR_NONE, "", 0);
}

static void drop_queued(struct stream *s)
{
    buf_free(&s->queue);
    if (!s->writing)
        buf_free(&s->flight);
}

/* ERR_NONE: why is there already. */
static void break_off(struct stream *s, enum err_code code, const char *what, int rc)
{
    if (!s->broke) {
        close_with(s, code, what, rc);
        return;
    }
    if (s->broken || uv_is_closing(&s->uv.handle))
        return;
    if (code != ERR_NONE)
        err_set(why_of(s), code, "%s: %s", what, uv_strerror(rc));
    s->broken = s->deaf = true;
    drop_queued(s);
    read_if_wanted(s);
    s->broke(s->user);
}

/* When a reset comes right behind bytes, libuv hands those over and reports the end of the stream without having read
 * on. A body that was cut off must not look whole, so the kernel is asked. */
static ssize_t true_end(struct stream *s, ssize_t n)
{
    socklen_t size = sizeof(int);
    int error = 0;

    if (n == UV_EOF && getsockopt(stream_fd(s), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
        return uv_translate_sys_error(error);
    return n;
}

static void on_received(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = handle->data;

    n = true_end(s, n);
    if (n > 0) {
        if (s->into)
            buf_added(s->into, (size_t)n);
        s->events->received(s->user, buf->base, (size_t)n);
    } else if (n < 0 && s->deaf) {
        break_off(s, ERR_NONE, "", 0); /* why is there already */
    } else if (n == UV_EOF) {
        s->got_eof = true;
        read_if_wanted(s);
        close_if_done(s);
        if (!uv_is_closing(&s->uv.handle))
            s->events->eof(s->user);
    } else if (n < 0) {
        break_off(s, ERR_PEER, "the connection broke while reading", (int)n);
    }
}

void stream_read_into(struct stream *s, struct buf *into)
{
    s->into = into;
}

void stream_hear_out(struct stream *s)
{
    s->hears_out = true;
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    read_if_wanted(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    read_if_wanted(s);
}

/* ---- writing ---- */

static void hold_source(struct stream *sink, bool held)
{
    if (sink->source) {
        sink->source->held = held;
        read_if_wanted(sink->source);
    }
}

/* Whoever answers early and closes makes our next write fail, while its answer waits to be read. So as long as somebody
 * reads, or will, the end of what it said is what ends us. */
static void end_writing(struct stream *s, const char *what, int rc)
{
    if (uv_is_closing(&s->uv.handle))
        return;
    if (s->broken) {
        drop_queued(s);
        return;
    }
    if (s->got_eof || ((s->paused || s->held) && !s->hears_out)) {
        break_off(s, ERR_PEER, what, rc);
        return;
    }
    err_set(why_of(s), ERR_PEER, "%s: %s", what, uv_strerror(rc));
    s->deaf = true;
    drop_queued(s);
}

static void send_queued(struct stream *s)
{
    struct buf sent = s->flight;
    uv_buf_t part;
    int rc;

    if (s->connecting || s->writing || (s->queue.len == 0 && s->flight.len == 0))
        return;
    if (s->flight.len == 0) {
        s->flight = s->queue;
        s->queue = sent;
    }
    /* In pieces, so that we hear of the progress, and of the moment when it is drained, not only of the very end. */
    s->flight_bytes =
        s->flight.len > STREAM_DRAINED_BYTES ? s->flight.len - STREAM_DRAINED_BYTES : s->flight.len;
    if (s->flight_bytes > STREAM_PIECE_BYTES)
        s->flight_bytes = STREAM_PIECE_BYTES;
    part = uv_buf_init(s->flight.mem + s->flight.start, (unsigned)s->flight_bytes);
    s->req.write.data = s;
    s->writing = true;
    rc = uv_write(&s->req.write, &s->uv.stream, &part, 1, on_written);
    if (rc != 0) {
        s->writing = false;
        end_writing(s, "the connection broke while writing", rc);
    }
}

static void shut_down_if_wanted(struct stream *s)
{
    int rc;

    if (!s->shutdown_wanted || s->shutdown_sent || s->deaf || s->connecting || s->writing ||
        s->queue.len > 0 || s->flight.len > 0)
        return;
    s->shutdown_sent = true;
    if (!s->got_eof &&
        shutdown(stream_fd(s), SHUT_WR) == 0) { /* at once, where it does not close the stream */
        s->shutdown_done = true;
        return;
    }
    s->req.shutdown.data = s;
    rc = uv_shutdown(&s->req.shutdown, &s->uv.stream, on_shut_down);
    if (rc != 0)
        break_off(s, ERR_PEER, "the connection broke while ending", rc);
}

static void on_shut_down(uv_shutdown_t *req, int rc)
{
    struct stream *s = req->data;

    /* ENOTCONN: the peer has gone meanwhile, after it had everything. */
    if (rc != 0 && rc != UV_ENOTCONN && rc != UV_ECANCELED)
        break_off(s, ERR_PEER, "the connection broke while ending", rc);
    s->shutdown_done = true;
    close_if_done(s);
}

static void note_drained(struct stream *s)
{
    if (!s->full || stream_queued(s) > STREAM_DRAINED_BYTES)
        return;
    s->full = false;
    hold_source(s, false);
    if (s->events->drained && !s->broken && !uv_is_closing(&s->uv.handle))
        s->events->drained(s->user);
}

static void on_written(uv_write_t *req, int rc)
{
    struct stream *s = req->data;

    s->writing = false;
    buf_take(&s->flight, s->flight_bytes);
    if (s->flight.len == 0)
        buf_free(&s->flight); /* an idle connection holds no memory for writing */
    if (rc == UV_ECANCELED)
        return;
    if (rc != 0)
        end_writing(s, "the connection broke while writing", rc);
    send_queued(s);
    shut_down_if_wanted(s);
    note_drained(s);
    if (s->events->sent && !s->broken && !uv_is_closing(&s->uv.handle))
        s->events->sent(s->user);
}

void stream_write(struct stream *s, const void *bytes, size_t n)
{
    uv_buf_t part = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)n);
    int sent = 0;

    if (uv_is_closing(&s->uv.handle) || s->shutdown_wanted || s->deaf || n == 0)
        return;
    if (!s->writing && s->queue.len == 0)
        sent = uv_try_write(&s->uv.stream, &part, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0) {
        end_writing(s, "the connection broke while writing", sent);
        return;
    }
    buf_add(&s->queue, (const char *)bytes + sent, n - (size_t)sent);
    send_queued(s);
    if (stream_queued(s) >= STREAM_FULL_BYTES) {
        s->full = true;
        hold_source(s, true);
    }
}

void stream_set_source(struct stream *sink, struct stream *source)
{
    if (sink->source) {
        hold_source(sink, false);
        sink->source->sink = NULL;
    }
    sink->source = source;
    if (source) {
        if (source->sink)
            source->sink->source = NULL; /* it moves over to the new sink */
        source->sink = sink;
        hold_source(sink, sink->full);
    }
}

size_t stream_queued(const struct stream *s)
{
    /* libuv counts down what is left of the flight. */
    size_t waiting = s->queue.len + s->flight.len - (s->writing ? s->flight_bytes : 0);

    return waiting + uv_stream_get_write_queue_size(&s->uv.stream);
}

bool stream_full(const struct stream *s)
{
    return s->full;
}

int stream_tcp_state(const struct stream *s)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;

    return getsockopt(stream_fd(s), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_state : 0;
}

bool stream_peer_has_ended(const struct stream *s)
{
    switch (stream_tcp_state(s)) {
    case TCP_CLOSE_WAIT:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
    case TCP_TIME_WAIT:
    case TCP_CLOSE: return true;
    default: return false;
    }
}

/* To poll takes the error away from nobody who reads, as to ask for it would. */
bool stream_is_broken(const struct stream *s)
{
    struct pollfd look = { .fd = stream_fd(s) };

    if (s->deaf || uv_is_closing(&s->uv.handle))
        return true;
    return (s->paused || s->held || s->got_eof) && poll(&look, 1, 0) == 1 &&
           (look.revents & (POLLERR | POLLNVAL)) != 0;
}

int stream_fd(const struct stream *s)
{
    uv_os_fd_t fd;

    return uv_fileno(&s->uv.handle, &fd) == 0 ? fd : -1;
}

/* No time limit for who lives, however long he says nothing; but who has vanished would keep his place for ever. */
void stream_find_vanished(const struct stream *s)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 15 },
        { IPPROTO_TCP, TCP_KEEPCNT, 4 },
    };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        (void)setsockopt(stream_fd(s), options[i].level, options[i].name, &options[i].value, sizeof(int));
}

void stream_reset_when_killed(const struct stream *s, bool on)
{
    const struct linger how = { .l_onoff = on, .l_linger = 0 };

    (void)setsockopt(stream_fd(s), SOL_SOCKET, SO_LINGER, &how, sizeof how);
}

/* ---- end ---- */

/* The peer is woken once instead of twice. */
void stream_gather_end(struct stream *s)
{
    const int on = 1;

    if (s->uv.handle.type == UV_TCP && !uv_is_closing(&s->uv.handle))
        (void)setsockopt(stream_fd(s), IPPROTO_TCP, TCP_CORK, &on, sizeof on); /* or there are two packets */
}

void stream_shutdown(struct stream *s)
{
    if (uv_is_closing(&s->uv.handle))
        return;
    s->shutdown_wanted = true;
    shut_down_if_wanted(s);
}

void stream_keep(struct stream *s, bool kept)
{
    s->kept = kept;
    close_if_done(s);
}

void stream_keep_broken(struct stream *s, void (*broke)(void *user))
{
    s->broke = broke;
}

void stream_stop(struct stream *s)
{
    close_with(s, ERR_NONE, "", 0);
}

void stream_reset(struct stream *s)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    /* Fails on a Unix socket, which knows no reset: the peer sees the end of the stream. */
    if (s->uv.handle.type == UV_TCP && !uv_is_closing(&s->uv.handle) &&
        setsockopt(stream_fd(s), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0)
        err_errno(why_of(s), errno, "cannot reset the connection");
    stream_stop(s);
}

static void on_closed(uv_handle_t *handle)
{
    static const struct err nothing = { .code = ERR_NONE };
    struct stream *s = handle->data;

    if (s->source)
        stream_set_source(s, NULL);
    if (s->sink)
        stream_set_source(s->sink, NULL);
    buf_free(&s->queue);
    buf_free(&s->flight);
    s->events->ended(s->user, s->why ? s->why : &nothing);
    free(s->why);
    free(s);
}
