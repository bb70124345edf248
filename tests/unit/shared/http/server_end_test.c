/* Who may stay: deadlines, places, clients that do not read; and how the server ends: drained, and stopped in every
 * state. What it answers is in server_test.c. */
#include "tests/unit/shared/http/server_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HEAD_LINE "GET /hello HTTP/1.1\r\nHost: t\r\n"
#define REQUEST   HEAD_LINE "\r\n"
#define BIG       "GET /big HTTP/1.1\r\nHost: t\r\n\r\n"
#define HALF_BODY "POST /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n{ "
#define BAD       "nonsense\r\n\r\n"

static void assert_well(struct fixture *f, struct side *c)
{
    client_say(f, c, REQUEST);
    assert_non_null(strstr(client_heard(c), "HTTP/1.1 200 OK\r\n"));
    assert_string_equal(client_heard(c), "");
    assert_null(strchr(c->events, 'f'));
}

/* ---- places ---- */

static void test_the_longest_idle_gives_way(void **state)
{
    struct fixture *f = *state;
    struct side *c[HTTP_SERVER_CONNECTIONS], *one_more, *another;

    for (int i = 0; i < HTTP_SERVER_CONNECTIONS; i++)
        c[i] = client_open(f);
    assert_well(f, c[0]); /* now the second one is idle longest */
    let_pass(f, 1);       /* and all have had the time to say something */
    one_more = client_open(f);
    assert_string_equal(c[1]->events, "f");
    assert_well(f, one_more);
    another = client_open(f);
    assert_string_equal(c[2]->events, "f");
    assert_well(f, another);
    assert_well(f, c[0]);
    for (int i = 3; i < HTTP_SERVER_CONNECTIONS; i++)
        assert_well(f, c[i]);
}

/* Until then the newcomer waits in the kernel's queue. */
static void test_nobody_gives_way_before_he_could_ask(void **state)
{
    struct fixture *f = *state;
    struct side *c[HTTP_SERVER_CONNECTIONS], *one_more;

    for (int i = 0; i < HTTP_SERVER_CONNECTIONS; i++)
        c[i] = client_open(f);
    one_more = client_open(f);
    assert_string_equal(c[0]->events, "");
    let_pass(f, 1);
    assert_string_equal(c[0]->events, "f");
    assert_well(f, one_more);
}

static void test_a_flood_of_connections_ends_well(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 100; j++) /* more at once than there are places */
            close(unix_connect(f->socket.path, NULL));
        for (int j = 0; j < 100; j++) /* libuv 1.50 accepts one in each round of its loop */
            loop_settle(f->loop);
    }
    assert_well(f, client_open(f));
}

/* ---- a client that sends and never reads ---- */

/* Sends as much as is taken. Returns the socket. */
static int never_read(struct fixture *f)
{
    int fd = unix_connect(f->socket.path, NULL);
    ssize_t n = 0;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int refused = 0; refused<10; refused = n> 0 ? 0 : refused + 1) {
        n = write(fd, BIG BIG BIG BIG, sizeof(BIG BIG BIG BIG) - 1);
        uv_run(&loop_of(f)->uv, UV_RUN_NOWAIT);
    }
    return fd;
}

static void test_who_never_reads_gets_little(void **state)
{
    struct fixture *f = *state;
    int fd = never_read(f);

    assert_true(f->answered >= 4 &&
                f->answered <= 16); /* of 64 KiB each: the stream's bound, and the kernel's */
    assert_well(f, client_open(f));
    close(fd);
}

static void test_who_never_reads_is_ended(void **state)
{
    struct fixture *f = *state;
    int fd = never_read(f);
    char piece[65536];
    ssize_t n;

    let_pass(f, HTTP_SERVER_IDLE_MS / 1000 + 1);
    let_pass(f, HTTP_SERVER_LINGER_MS / 1000 + 1);
    while ((n = read(fd, piece, sizeof piece)) > 0)
        loop_settle(f->loop);
    assert_true(n == 0 || errno == ECONNRESET);
    close(fd);
}

/* ---- deadlines ---- */

static void test_deadlines(void **state)
{
    static const struct {
        const char *name, *said;
        long seconds; /* so long it is well, and one later it is over */
        const char *heard;
    } rows[] = {
        { "says nothing", "", HTTP_SERVER_IDLE_MS / 1000 - 1, "" },
        { "idle after a request", REQUEST, HTTP_SERVER_IDLE_MS / 1000 - 1, "" },
        { "half a line", "G", HTTP_SERVER_REQUEST_MS / 1000 - 1, "HTTP/1.1 408 Request Timeout\r\n" },
        { "half a head", HEAD_LINE, HTTP_SERVER_REQUEST_MS / 1000 - 1, "HTTP/1.1 408 Request Timeout\r\n" },
        { "half a body", HALF_BODY, HTTP_SERVER_REQUEST_MS / 1000 - 1, "HTTP/1.1 408 Request Timeout\r\n" },
        { "one and a half", REQUEST HEAD_LINE, HTTP_SERVER_REQUEST_MS / 1000 - 1,
          "HTTP/1.1 408 Request Timeout\r\n" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct side *c = client_open(f);
        const char *heard;

        client_say(f, c, rows[i].said);
        client_heard(c);
        let_pass(f, rows[i].seconds);
        if (strchr(c->events, 'f'))
            fail_msg("%s: too early", rows[i].name);
        let_pass(f, 2);
        heard = client_heard(c);
        if (!strchr(c->events, 'f') || strncmp(heard, rows[i].heard, strlen(rows[i].heard)) != 0)
            fail_msg("%s: %s", rows[i].name, heard);
        stream_stop(c->stream);
        loop_settle(f->loop);
    }
}

/* One byte now and then does not put off the end of a request. */
static void test_a_slow_request_is_ended(void **state)
{
    struct fixture *f = *state;
    struct side *c = client_open(f);

    for (int i = 0; i < HTTP_SERVER_REQUEST_MS / 1000 + 1; i++) {
        client_say(f, c, &HEAD_LINE[i % 2]); /* whatever it is */
        let_pass(f, 1);
    }
    assert_non_null(strchr(c->events, 'f'));
}

static void test_who_was_refused_and_stays_is_closed(void **state)
{
    struct fixture *f = *state;
    struct side *c = client_open(f);

    client_say(f, c, BAD);
    assert_non_null(strstr(client_heard(c), "HTTP/1.1 400 Bad Request\r\n"));
    for (int i = 0; i < 10; i++)
        client_say(f, c, REQUEST); /* is read and not answered */
    assert_string_equal(client_heard(c), "");
    assert_null(strchr(c->events, 'e'));
    let_pass(f, HTTP_SERVER_LINGER_MS / 1000 + 1);
    client_say(f, c, REQUEST);
    assert_string_equal(c->events, "rfe");
    assert_int_equal(c->why.code, ERR_PEER); /* nobody is there to take it */
    assert_int_equal(f->answered, 0);
}

/* ---- drain ---- */

static void test_drain_ends_idle_connections_at_once(void **state)
{
    struct fixture *f = *state;
    struct side *fresh = client_open(f), *used = client_open(f);

    assert_well(f, used);
    http_server_drain(f->server);
    assert_int_equal(f->ended, 0); /* from the loop */
    loop_settle(f->loop);
    assert_string_equal(fresh->events, "f");
    assert_string_equal(used->events, "rf");
    assert_int_equal(f->ended, 1);
    assert_int_equal(unix_connect(f->socket.path, NULL), -1);
}

static void test_drain_lets_a_begun_request_finish(void **state)
{
    static const struct {
        const char *begin, *rest;
    } rows[] = { { "G", "ET /hello HTTP/1.1\r\nHost: t\r\n\r\n" },
                 { HEAD_LINE, "\r\n" },
                 { HALF_BODY, " }" } };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct side *c = client_open(f);
        const char *heard;

        client_say(f, c, rows[i].begin);
        http_server_drain(f->server);
        loop_settle(f->loop);
        assert_int_equal(f->ended, 0);
        http_server_drain(f->server); /* once more changes nothing */
        client_say(f, c, rows[i].rest);
        heard = client_heard(c);
        assert_non_null(strstr(heard, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(heard, "\r\nConnection: close\r\n"));
        assert_string_equal(c->events, "rf");
        stream_stop(c->stream);
        loop_settle(f->loop);
        assert_int_equal(f->ended, 1);
        server_finish(f);
        server_begin(f);
    }
}

static void test_drain_sends_what_was_answered(void **state)
{
    struct fixture *f = *state;
    int fd = unix_connect(f->socket.path, NULL);
    char piece[65536];
    size_t heard = 0;
    ssize_t n;

    assert_true(write(fd, BIG BIG BIG, sizeof(BIG BIG BIG) - 1) > 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    loop_settle(f->loop);
    assert_int_equal(f->answered, 3);
    http_server_drain(f->server);
    loop_settle(f->loop);
    while ((n = read(fd, piece, sizeof piece)) > 0) {
        heard += (size_t)n;
        loop_settle(f->loop);
    }
    assert_int_equal(n, 0); /* the end, in order */
    assert_true(heard > 3 * 65536);
    close(fd);
}

/* ---- stop ---- */

static void test_stop_in_every_state(void **state)
{
    static const char *const said[] = { "",          "G",
                                        HEAD_LINE,   HALF_BODY,
                                        REQUEST,     REQUEST HEAD_LINE,
                                        BAD,         BAD BAD,
                                        REQUEST BAD, BIG BIG BIG BIG BIG BIG BIG BIG };
    struct fixture *f = *state;

    for (size_t i = 0; i < 3 * sizeof said / sizeof said[0]; i++) {
        client_say(f, client_open(f), said[i / 3]);
        client_say(f, client_open(f), said[i / 3]);
        stream_stop(client_open(f)->stream); /* one that goes meanwhile */
        if (i % 3 == 1)
            http_server_drain(f->server);
        if (i % 3 == 2)
            let_pass(f, HTTP_SERVER_REQUEST_MS / 1000 + 1);
        if (f->server)
            http_server_stop(f->server);
        if (f->server)
            http_server_stop(f->server); /* and again */
        loop_settle(f->loop);
        assert_int_equal(f->ended, 1);
        server_finish(f);
        assert_int_equal(f->ended, 1);
        server_begin(f);
    }
}

static void test_stop_with_a_client_in_the_queue(void **state)
{
    struct fixture *f = *state;
    int fd = unix_connect(f->socket.path, NULL); /* connected, not accepted yet */
    char byte;

    http_server_stop(f->server);
    loop_settle(f->loop);
    assert_int_equal(f->ended, 1);
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
}

/* A route's function runs deep inside a connection. In a process of its own, because that may break. */
static int status_of_route_that(struct fixture *f, void (*does)(struct http_server *server))
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        f->inside = does;
        uv_loop_fork(&loop_of(f)->uv);
        client_say(f, client_open(f), REQUEST REQUEST);
        for (int i = 0; i < 10; i++)
            loop_settle(f->loop);
        server_finish(f);
        _exit(f->ended == 1 && f->answered == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_a_route_may_stop_its_server(void **state)
{
    assert_int_equal(status_of_route_that(*state, http_server_stop), 0);
}

static void test_a_route_may_drain_its_server(void **state)
{
    assert_int_equal(status_of_route_that(*state, http_server_drain), 0);
}

static void test_start_without_a_listening_socket(void **state)
{
    struct fixture *f = *state;
    struct err e = { 0 };

    assert_null(http_server_start(f->loop, -1, NULL, 0, NULL, on_server_ended, &e));
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_non_null(strstr(e.text, "cannot listen: "));
    loop_settle(f->loop);
    assert_int_equal(f->ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_the_longest_idle_gives_way),
        SERVER_TEST(test_nobody_gives_way_before_he_could_ask),
        SERVER_TEST(test_a_flood_of_connections_ends_well),
        SERVER_TEST(test_who_never_reads_gets_little),
        SERVER_TEST(test_who_never_reads_is_ended),
        SERVER_TEST(test_deadlines),
        SERVER_TEST(test_a_slow_request_is_ended),
        SERVER_TEST(test_who_was_refused_and_stays_is_closed),
        SERVER_TEST(test_drain_ends_idle_connections_at_once),
        SERVER_TEST(test_drain_lets_a_begun_request_finish),
        SERVER_TEST(test_drain_sends_what_was_answered),
        SERVER_TEST(test_stop_in_every_state),
        SERVER_TEST(test_stop_with_a_client_in_the_queue),
        SERVER_TEST(test_a_route_may_stop_its_server),
        SERVER_TEST(test_a_route_may_drain_its_server),
        SERVER_TEST(test_start_without_a_listening_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
