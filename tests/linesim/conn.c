/* LIFE OF A CONNECTION
 *
 *   accepted -> OPEN travels up -> target dialled -> bytes both ways -> FIN each way -> closed
 *        \            \                \                  \_ one end was reset: RESET travels -> reset
 *         \            \                \_ refused: RESET travels down                       -> reset
 *          \____________\___ swallowed: silent for good, until the ends close, conn_cut or conn_reset
 *
 * All an end does (connect, send, close, reset) enters the line as a parcel and happens at the other end when
 * it comes out: flow_take_turn puts, flow_arrived gets. When the line is clear, bytes go straight. */
#include "tests/linesim/conn.h"

#include "shared/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    DUE_MAX = 256 << 10, /* crossed the line, but the receiver does not read: hold the sender back */
    HELD_MAX = 64 << 20, /* all we hold of one flow: like a TCP window, it bounds a long fast line */
    SOCKET_BUFFER_BYTES = 128 << 10,
};

static void on_end_ready(void *user, uint32_t events);
static void conn_dial(struct conn *c);
static void flow_flush(struct flow *f);
static void conn_close(struct conn *c, bool reset);

/* ---- the start ---- */

static void end_init(struct conn *c, int side)
{
    c->end[side] = (struct end){ .watch = { -1, &c->end[side], on_end_ready }, .conn = c };
    c->flow[side] = (struct flow){
        .conn = c,
        .direction = side,
        .from = &c->end[side],
        .to = &c->end[!side],
    };
}

static void end_watch(struct end *e, int fd)
{
    int yes = 1;

    e->watch.fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* fails on a unix socket: no harm */
    loop_add(&e->conn->sim->loop, &e->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

/* The kernel's buffer on our side is a queue in front of the line's that nobody asked for: keep it small. */
void conn_tune_socket(int fd)
{
    int bytes = SOCKET_BUFFER_BYTES / 2; /* the kernel doubles it for its own bookkeeping */

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

static void flow_count_lost(struct flow *f, size_t n)
{
    f->lost_bytes += n;
    f->conn->sim->lost[f->direction] += n;
}

static void flow_lose(struct flow *f)
{
    flow_count_lost(f, f->bytes.len - f->due);
    f->bytes.len = f->due;
    f->lost = true;
}

/* Sends a parcel on its way, whose bytes (if any) are at the end of f->bytes already. */
static void flow_put(struct flow *f, enum line_what what, size_t bytes)
{
    struct line *line = &f->conn->sim->line[f->direction];

    if (f->lost || line->mode == LINE_SWALLOWS) {
        flow_lose(f);
        return;
    }
    line_put(line, f, what, bytes, loop_now());
}

void conn_start(struct sim *s, const struct listener *l, int fd)
{
    struct conn *c = mem_new(sizeof *c);

    c->sim = s;
    c->listener = l;
    c->id = ++s->last_id;
    end_init(c, UP);
    end_init(c, DOWN);
    TAILQ_INSERT_TAIL(&s->conns, c, link);
    end_watch(&c->end[UP], fd);
    flow_put(&c->flow[UP], LINE_OPEN, 0);
}

/* ---- waiting for a turn ---- */

static bool flow_wants_turn(const struct flow *f)
{
    if (!f->from->readable || f->from->eof)
        return false;
    return f->lost || (f->due < DUE_MAX && f->bytes.len < HELD_MAX);
}

/* Joins or leaves those who wait for a turn; called when anything it depends on may have changed. */
static void flow_queue_up(struct flow *f)
{
    struct flows *waiting = &f->conn->sim->waiting[f->direction];
    bool wants = !f->conn->ended && flow_wants_turn(f);

    if (wants && !f->waiting)
        TAILQ_INSERT_TAIL(waiting, f, turn);
    if (!wants && f->waiting)
        TAILQ_REMOVE(waiting, f, turn);
    f->waiting = wants;
}

static bool flow_ended(const struct flow *f)
{
    return f->fin_sent || (f->lost && f->from->eof);
}

/* The last step of every event: who waits, and whether it is over. */
static void conn_settle(struct conn *c)
{
    if (!c->ended && flow_ended(&c->flow[UP]) && (!c->dialled || flow_ended(&c->flow[DOWN])))
        conn_close(c, false);
    flow_queue_up(&c->flow[UP]);
    flow_queue_up(&c->flow[DOWN]);
}

/* Writing found out that the peer is gone: if it had said goodbye, it now takes that back by a reset. */
static void end_broke(struct end *e)
{
    struct conn *c = e->conn;

    if (e->broken)
        return;
    e->broken = true;
    e->readable = true;
    if (e->eof)
        flow_put(&c->flow[e - c->end], LINE_RESET, 0);
}

static void end_failed_to_connect(struct end *e)
{
    e->connecting = false;
    e->broken = e->eof = true;
    flow_put(&e->conn->flow[DOWN], LINE_RESET, 0);
}

static int end_error(const struct end *e)
{
    int error = 0;
    socklen_t len = sizeof error;

    getsockopt(e->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

static void on_end_ready(void *user, uint32_t events)
{
    struct end *e = user;
    struct conn *c = e->conn;

    if (e->connecting) {
        if (end_error(e) != 0)
            end_failed_to_connect(e);
        else if (events & EPOLLOUT)
            e->connecting = false;
    } else if (e->eof && (events & EPOLLERR)) {
        end_broke(e);
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        e->readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        e->writable = true;
    flow_flush(&c->flow[e == &c->end[UP] ? DOWN : UP]);
    conn_settle(c);
}

/* ---- a turn: from the sender onto the line ---- */

/* Returns the bytes read; 0 when there are none now, or no more: the end of the flow is then on its way. */
static size_t flow_read(struct flow *f, void *mem, size_t room)
{
    ssize_t n = recv(f->from->watch.fd, mem, room, 0);

    if (n > 0) {
        f->in += (uint64_t)n;
        f->conn->sim->in[f->direction] += (uint64_t)n;
        return (size_t)n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        f->from->readable = errno == EINTR;
        return 0;
    }
    f->from->eof = true;
    f->from->broken |= n < 0;
    flow_put(f, f->from->broken ? LINE_RESET : LINE_FIN, 0);
    return 0;
}

/* Returns how much of it the receiver took. */
static size_t end_write(struct flow *f, const char *bytes, size_t n)
{
    size_t done = 0;

    while (done < n && f->to->writable && !f->to->connecting && !f->to->broken) {
        ssize_t sent = send(f->to->watch.fd, bytes + done, n - done, MSG_NOSIGNAL);

        if (sent >= 0)
            done += (size_t)sent;
        else if (errno == EAGAIN)
            f->to->writable = false;
        else if (errno != EINTR)
            end_broke(f->to);
    }
    f->out += done;
    f->conn->sim->out[f->direction] += done;
    return done;
}

static void pass_straight(struct flow *f)
{
    char *mem = f->conn->sim->scratch;
    size_t n = flow_read(f, mem, SCRATCH_BYTES);
    size_t done = end_write(f, mem, n);

    buf_add(&f->bytes, mem + done, n - done);
    f->due = n - done;
    flow_flush(f);
}

static void pass_onto_line(struct flow *f)
{
    size_t room = line_room(&f->conn->sim->line[f->direction]);
    size_t n = flow_read(f, buf_space(&f->bytes, room), room);

    buf_added(&f->bytes, n);
    if (n > 0)
        flow_put(f, LINE_BYTES, n);
}

bool flow_may_take_turn(const struct flow *f)
{
    return f->waiting && (f->lost || line_room(&f->conn->sim->line[f->direction]) > 0);
}

void flow_take_turn(struct flow *f)
{
    struct sim *s = f->conn->sim;

    TAILQ_REMOVE(&s->waiting[f->direction], f, turn); /* to the end of those who wait, if it still does */
    f->waiting = false;
    if (f->lost)
        flow_count_lost(f, flow_read(f, s->scratch, SCRATCH_BYTES));
    else if (line_is_clear(&s->line[f->direction]) && f->bytes.len == 0)
        pass_straight(f);
    else
        pass_onto_line(f);
    conn_settle(f->conn);
}

void flow_swallowed(struct flow *f)
{
    flow_lose(f);
    conn_settle(f->conn);
}

/* ---- the other end: off the line, to the receiver ---- */

static void conn_dial(struct conn *c)
{
    const struct address *target = &c->listener->target;
    struct end *e = &c->end[DOWN];
    int fd = socket(target->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    c->dialled = true;
    if (fd < 0) {
        perror("linesim: cannot make a socket");
        end_failed_to_connect(e);
        return;
    }
    conn_tune_socket(fd);
    e->connecting = true;
    if (connect(fd, (const struct sockaddr *)&target->addr, target->len) != 0 && errno != EINPROGRESS) {
        e->watch.fd = fd;
        end_failed_to_connect(e);
        return;
    }
    end_watch(e, fd); /* a connection that is there already is an event, too */
}

/* Writes what has crossed the line, then the FIN that came behind it. */
static void flow_flush(struct flow *f)
{
    size_t done = end_write(f, buf_bytes(&f->bytes), f->due);

    if (f->to->broken)
        done = f->due;
    buf_take(&f->bytes, done);
    f->due -= done;
    if (f->fin_due && !f->fin_sent && f->due == 0 && !f->to->connecting) {
        shutdown(f->to->watch.fd, SHUT_WR);
        f->fin_sent = true;
    }
}

void flow_arrived(struct flow *f, const struct line_parcel *parcel)
{
    struct conn *c = f->conn;

    switch (parcel->what) {
    case LINE_OPEN: conn_dial(c); break;
    case LINE_BYTES: f->due += parcel->bytes; break;
    case LINE_FIN: f->fin_due = true; break;
    case LINE_RESET: conn_close(c, true); return;
    }
    flow_flush(f);
    conn_settle(c);
}

/* ---- the end ---- */

void conn_reset(struct conn *c)
{
    conn_close(c, true);
}

void conn_cut(struct conn *c)
{
    for (int d = UP; d <= DOWN; d++) {
        line_forget(&c->sim->line[d], &c->flow[d]);
        flow_lose(&c->flow[d]);
        buf_take(&c->flow[d].bytes, c->flow[d].due);
        c->flow[d].due = 0;
        shutdown(c->end[d].watch.fd, SHUT_WR);
    }
    conn_settle(c);
}

static void conn_close(struct conn *c, bool reset)
{
    struct linger abort_it = { .l_onoff = 1, .l_linger = 0 };

    if (c->ended)
        return;
    c->ended = true;
    for (int d = UP; d <= DOWN; d++) {
        if (reset && c->end[d].watch.fd >= 0)
            setsockopt(c->end[d].watch.fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
        loop_close(&c->end[d].watch);
        line_forget(&c->sim->line[d], &c->flow[d]);
        flow_queue_up(&c->flow[d]);
        buf_free(&c->flow[d].bytes);
    }
    TAILQ_REMOVE(&c->sim->conns, c, link);
    TAILQ_INSERT_TAIL(&c->sim->ended, c, link);
}

void conn_free(struct conn *c)
{
    free(c);
}
