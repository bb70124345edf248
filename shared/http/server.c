#include "shared/http/server.h"

#include "shared/door.h"
#include "shared/http/conn.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <unistd.h>

struct http_server {
    struct loop *loop;
    struct door *door; /* NULL once closed */
    int newcomer;      /* waits for a place; -1: nobody */
    struct http_routes routes, more;
    struct door_kind kind;
    void (*ended)(void *user, const struct http_server *server);
    void *user;
    struct {
        struct http_conn *conn;
        uint64_t since_ms;            /* of the loop's clock: accepted, or last heard from */
    } conns[HTTP_SERVER_CONNECTIONS]; /* the longest idle first */
    uv_timer_t full;                  /* runs while a newcomer waits for a place */
    int conns_n, alive;               /* alive counts also those that have given way and are still closing */
    bool full_closed;
};

static void on_came(void *server, int fd);
static void on_conn_active(void *server, struct http_conn *conn);
static void on_conn_ended(void *server, struct http_conn *conn);

static const struct http_conn_events conn_events = { on_conn_active, on_conn_ended };

/* ---- connections ---- */

static void end_if_empty(struct http_server *s)
{
    if (!s->full_closed || s->alive > 0)
        return;
    s->ended(s->user, s);
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
    s->conns[s->conns_n++].since_ms = (uint64_t)loop_now_ms(s->loop);
}

static void on_place_free(uv_timer_t *full)
{
    struct http_server *s = full->data;
    int fd = s->newcomer;

    s->newcomer = -1;
    door_resume(s->door);
    on_came(s, fd);
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
    uint64_t age = (uint64_t)loop_now_ms(s->loop) - s->conns[0].since_ms;
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

static void on_came(void *server, int fd)
{
    struct http_server *s = server;
    struct err why = { 0 };
    struct http_conn *conn;

    if (!make_room(s)) {
        s->newcomer = fd;
        door_pause(s->door);
        return;
    }
    conn = http_conn_accept(s->loop, fd, &s->routes, &conn_events, s, &why);
    if (!conn) {
        log_warn_limited("listener", "cannot accept", kv_str("error", why.text));
        return;
    }
    s->alive++;
    take_place(s, conn);
}

/* ---- start ---- */

static void on_unused_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct http_server *http_server_start_guarded(struct loop *loop, int fd, const struct http_guard *guard,
                                              const struct http_route *routes, size_t routes_n, void *user,
                                              void (*ended)(void *user, const struct http_server *server),
                                              struct err *e)
{
    struct http_server *s = mem_new(sizeof *s);

    s->loop = loop;
    s->newcomer = -1;
    s->routes = (struct http_routes){ routes, routes_n, user, &s->more, guard };
    s->kind = (struct door_kind){ .name = guard ? guard->name : "control socket", .came = on_came };
    s->ended = ended;
    s->user = user;
    uv_timer_init(&loop->uv, &s->full);
    s->full.data = s;
    s->door = door_open(loop, fd, &s->kind, s, e);
    if (s->door)
        return s;
    uv_close((uv_handle_t *)&s->full, on_unused_closed);
    return NULL;
}

struct http_server *http_server_start(struct loop *loop, int fd, const struct http_route *routes,
                                      size_t routes_n, void *user,
                                      void (*ended)(void *user, const struct http_server *server),
                                      struct err *e)
{
    return http_server_start_guarded(loop, fd, NULL, routes, routes_n, user, ended, e);
}

void http_server_more_routes(struct http_server *s, const struct http_route *routes, size_t n, void *user)
{
    s->more = (struct http_routes){ routes, n, user, NULL, NULL };
}

/* ---- end ---- */

static void on_full_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    s->full_closed = true;
    end_if_empty(s);
}

static void end_with(struct http_server *s, void (*end_conn)(struct http_conn *c))
{
    door_close(s->door);
    s->door = NULL;
    if (s->newcomer >= 0)
        close(s->newcomer);
    s->newcomer = -1;
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
