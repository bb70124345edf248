/* tests/unit/shared/http/server_fixture.h - a server on a Unix socket of its own, its clients, and a clock that
 * can be moved forward, so that no test waits for a deadline. */
#ifndef TESTS_UNIT_SHARED_HTTP_SERVER_FIXTURE_H
#define TESTS_UNIT_SHARED_HTTP_SERVER_FIXTURE_H
#include <assert.h>
#include <sys/syscall.h>
#include <time.h>

#include "shared/http/server.h"
#include "shared/unix_socket.h"
#include "tests/unit/loop_fixture.h"
#include "tests/unit/shared/stream_side.h"
#include "tests/unit/temp.h"

/* Stands before the C library's, also for libuv. */
static long clock_ahead_s;

#ifdef SYS_clock_gettime64 /* on a 32-bit machine, where our times have 64 bits, libuv's may have 32 */
struct narrow_timespec {
    long tv_sec, tv_nsec;
};

int clock_gettime_narrow(clockid_t id, struct narrow_timespec *now) __asm__("clock_gettime");

int clock_gettime_narrow(clockid_t id, struct narrow_timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, id, now);

    if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
        now->tv_sec += clock_ahead_s;
    return rc;
}

enum { CLOCK_CALL = SYS_clock_gettime64 };
#else
enum { CLOCK_CALL = SYS_clock_gettime };
#endif

int clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = (int)syscall(CLOCK_CALL, id, now);

    if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)
        now->tv_sec += clock_ahead_s;
    return rc;
}

struct fixture {
    void *loop, *temp; /* as their own fixtures make them */
    struct unix_listener socket;
    struct http_server *server;
    int answered, ended;
    void (*inside)(struct http_server *server); /* what a route does to its server */
    struct side clients[HTTP_SERVER_CONNECTIONS + 2];
};

static void route_hello(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct fixture *f = user;

    f->answered++;
    if (f->inside)
        f->inside(f->server);
    http_reply_json(reply, 200, json_pack("{s:b}", "json", request->json != NULL));
}

static void route_big(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct fixture *f = user;

    (void)request;
    f->answered++;
    put_pattern(&reply->body, 0, 65536);
}

static void route_count(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct fixture *f = user;

    http_reply_json(reply, 200,
                    json_pack("{s:i, s:s%}", "n", f->answered++, "q", request->query.p, request->query.n));
}

static const struct http_route routes[] = { { "GET", "/hello", route_hello },
                                            { "POST", "/hello", route_hello },
                                            { "GET", "/count", route_count },
                                            { "GET", "/big", route_big } };

static void on_server_ended(void *user, const struct http_server *server)
{
    struct fixture *f = user;

    (void)server;
    f->ended++;
    f->server = NULL;
}

static inline struct loop *loop_of(struct fixture *f)
{
    return f->loop;
}

static inline void server_begin(struct fixture *f)
{
    f->answered = f->ended = 0;
    if (unix_listen(&f->socket, temp_path(f->temp, "sock"), NULL, 0600, NULL) != 0)
        abort();
    f->server = http_server_start(f->loop, f->socket.fd, routes, sizeof routes / sizeof routes[0], f,
                                  on_server_ended, NULL);
}

static inline void server_finish(struct fixture *f)
{
    if (f->server)
        http_server_stop(f->server);
    for (size_t i = 0; i < sizeof f->clients / sizeof f->clients[0]; i++)
        if (f->clients[i].stream)
            stream_stop(f->clients[i].stream);
    loop_run(f->loop);
    for (size_t i = 0; i < sizeof f->clients / sizeof f->clients[0]; i++)
        buf_free(&f->clients[i].got);
    memset(f->clients, 0, sizeof f->clients);
    unix_listener_remove(&f->socket);
}

static inline int server_make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f || temp_make(&f->temp) != 0 || loop_make(&f->loop) != 0)
        return -1;
    server_begin(f);
    *state = f;
    return f->server ? 0 : -1;
}

static inline int server_end(void **state)
{
    struct fixture *f = *state;
    int ended;

    server_finish(f);
    ended = f->ended;
    loop_end(&f->loop);
    temp_remove(&f->temp);
    free(f);
    return ended == 1 ? 0 : -1;
}

/* Lets all deadlines of the next so many seconds pass. */
static inline void let_pass(struct fixture *f, long seconds)
{
    loop_settle(f->loop);
    clock_ahead_s += seconds;
    loop_settle(f->loop);
}

/* ---- clients ---- */

/* Whoever is not closed by the test is closed by the fixture. */
static inline struct side *client_open(struct fixture *f)
{
    struct side *c = f->clients;

    while (c->stream)
        c++;
    assert(c < f->clients + sizeof f->clients / sizeof f->clients[0]);
    buf_free(&c->got);
    *c = (struct side){ 0 };
    c->stream = stream_open(f->loop, unix_connect(f->socket.path, NULL), &side_events, c, NULL);
    loop_settle(f->loop);
    return c;
}

static inline void client_say(struct fixture *f, struct side *c, const char *text)
{
    if (c->stream)
        stream_write(c->stream, text, strlen(text));
    loop_settle(f->loop);
}

/* What has come since the last call. */
static inline const char *client_heard(struct side *c)
{
    static struct buf heard;

    buf_free(&heard);
    buf_add(&heard, buf_bytes(&c->got), c->got.len);
    buf_take(&c->got, c->got.len);
    return buf_text(&heard);
}

/* A whole conversation: the text in pieces, then the end of our direction, then all that comes back. */
static inline struct buf converse(struct fixture *f, const char *text, size_t n, size_t first, size_t each)
{
    struct side *c = client_open(f);
    struct buf heard;

    c->on_eof = side_shut;
    for (size_t at = 0, take = first; at < n && c->stream; at += take, take = each) {
        if (take > n - at)
            take = n - at;
        stream_write(c->stream, text + at, take);
        uv_run(&loop_of(f)->uv, UV_RUN_NOWAIT);
    }
    if (c->stream)
        stream_shutdown(c->stream);
    loop_until(f->loop, &c->ended);
    heard = c->got;
    buf_init(&c->got);
    buf_text(&heard);
    return heard;
}

#define SERVER_TEST(f) cmocka_unit_test_setup_teardown(f, server_make, server_end)
#endif
