#include "shared/http/server.h"

#include "shared/http/conn.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_server {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } listener;
    struct http_routes routes, more;
    void (*ended)(void *user);
    void *user;
    struct {
        struct http_conn *conn;
        uint64_t since_ms;            /* of the loop's clock: accepted, or last heard from */
    } conns[HTTP_SERVER_CONNECTIONS]; /* the longest idle first */
    uv_timer_t full;                  /* runs while a newcomer waits for a place */
    bool full_closed;
    int conns_n, alive; /* alive counts also those that have given way and are still closing */
    bool listener_closed;
};

static void on_connection(uv_stream_t *listener, int rc);
static void on_conn_active(void *server, struct http_conn *conn);
static void on_conn_ended(void *server, struct http_conn *conn);

static const struct http_conn_events conn_events = { on_conn_active, on_conn_ended };

/* ---- connections ---- */

static void end_if_empty(struct http_server *s)
{
    if (!s->listener_closed || !s->full_closed || s->alive > 0)
        return;
    s->ended(s->user);
    free(s);
}

static void forget(struct http_server *s, const struct http_conn *conn)
{
    int kept = 0;

    for (int i = 0; i < s->conns_n; i++)
        if (s->conns[i].conn != conn)
            s->conns[kept++] = s->conns[i];
    s->conns_n = kept;
}

static void take_place(struct http_server *s, struct http_conn *conn)
{
    s->conns[s->conns_n].conn = conn;
    s->conns[s->conns_n++].since_ms = uv_now(s->listener.handle.loop);
}

static void on_place_free(uv_timer_t *full)
{
    struct http_server *s = full->data;

    on_connection(&s->listener.stream, 0);
}

static void on_conn_ended(void *server, struct http_conn *conn)
{
    struct http_server *s = server;

    forget(s, conn);
    s->alive--;
    if (uv_is_active((uv_handle_t *)&s->full) && s->conns_n < HTTP_SERVER_CONNECTIONS) {
        uv_timer_stop(&s->full);
        on_place_free(&s->full);
    }
    end_if_empty(s);
}

/* Whoever is heard from becomes the last to give way. */
static void on_conn_active(void *server, struct http_conn *conn)
{
    struct http_server *s = server;

    forget(s, conn);
    if (s->conns_n < HTTP_SERVER_CONNECTIONS)
        take_place(s, conn);
}

/* Nobody gives way before it could send its request: until then newcomers wait in the kernel's queue. */
static bool make_room(struct http_server *s)
{
    uint64_t age = uv_now(s->listener.handle.loop) - s->conns[0].since_ms;
    struct http_conn *conn = s->conns[0].conn;

    if (s->conns_n < HTTP_SERVER_CONNECTIONS)
        return true;
    if (age < HTTP_SERVER_STAY_MS) {
        uv_timer_start(&s->full, on_place_free, HTTP_SERVER_STAY_MS - age, 0);
        return false;
    }
    forget(s, conn);
    http_conn_stop(conn);
    return true;
}

static void on_connection(uv_stream_t *listener, int rc)
{
    struct http_server *s = listener->data;
    struct err why = { 0 };
    struct http_conn *conn;

    if (rc != 0) {
        log_warn_limited("listener", "cannot accept", kv_str("error", uv_strerror(rc)));
        return;
    }
    if (!make_room(s))
        return;
    conn = http_conn_accept(listener, &s->routes, &conn_events, s, &why);
    if (!conn) {
        log_warn_limited("listener", "cannot accept", kv_str("error", why.text));
        return;
    }
    s->alive++;
    take_place(s, conn);
}

/* ---- start ---- */

static void on_unused_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_unused_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    uv_close((uv_handle_t *)&s->full, on_unused_timer_closed);
}

static int open_listener(struct http_server *s, struct loop *loop, int fd)
{
    bool is_tcp = uv_guess_handle(fd) == UV_TCP;
    int rc;

    if (is_tcp)
        uv_tcp_init(&loop->uv, &s->listener.tcp);
    else
        uv_pipe_init(&loop->uv, &s->listener.pipe, 0);
    s->listener.handle.data = s;
    rc = is_tcp ? uv_tcp_open(&s->listener.tcp, fd) : uv_pipe_open(&s->listener.pipe, fd);
    if (rc != 0)
        close(fd);
    return rc == 0 ? uv_listen(&s->listener.stream, 128, on_connection) : rc;
}

struct http_server *http_server_start(struct loop *loop, int fd, const struct http_route *routes,
                                      size_t routes_n, void *user, void (*ended)(void *user), struct err *e)
{
    struct http_server *s = mem_new(sizeof *s);
    int rc;

    s->routes = (struct http_routes){ routes, routes_n, user, &s->more };
    s->ended = ended;
    s->user = user;
    uv_timer_init(&loop->uv, &s->full);
    s->full.data = s;
    rc = open_listener(s, loop, fd);
    if (rc == 0)
        return s;
    err_set(e, ERR_SYSTEM, "cannot listen: %s", uv_strerror(rc));
    uv_close(&s->listener.handle, on_unused_closed);
    return NULL;
}

void http_server_more_routes(struct http_server *s, const struct http_route *routes, size_t n, void *user)
{
    s->more = (struct http_routes){ routes, n, user, NULL };
}

/* ---- end ---- */

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    s->listener_closed = true;
    end_if_empty(s);
}

static void on_full_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    s->full_closed = true;
    end_if_empty(s);
}

static void end_with(struct http_server *s, void (*end_conn)(struct http_conn *c))
{
    if (!uv_is_closing(&s->listener.handle))
        uv_close(&s->listener.handle, on_listener_closed);
    if (!uv_is_closing((uv_handle_t *)&s->full))
        uv_close((uv_handle_t *)&s->full, on_full_closed);
    for (int i = 0; i < s->conns_n; i++)
        end_conn(s->conns[i].conn);
}

void http_server_drain(struct http_server *s)
{
    end_with(s, http_conn_drain);
}

void http_server_stop(struct http_server *s)
{
    end_with(s, http_conn_stop);
}
