/* Answers that go on: what is written comes in order, and however one side ends, the other learns it, once. */
#include "tests/unit/shared/http/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOST "Host: t\r\n\r\n"

struct news {
    struct http_later *stream;
    int gone;
};

static void on_gone(void *user)
{
    struct news *n = user;

    n->stream = NULL;
    n->gone++;
}

static void route_news(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct news *n = user;

    (void)request;
    n->stream = http_reply_stream(reply, "text/plain", on_gone, n);
}

static const struct http_route news_routes[] = { { "GET", "/news", route_news } };

static struct side *follow(struct fixture *f, struct news *n, const char *request)
{
    struct side *c = client_open(f);

    http_server_more_routes(f->server, news_routes, 1, n);
    client_say(f, c, request);
    return c;
}

static void test_it_comes_in_chunks(void **state)
{
    struct fixture *f = *state;
    struct news n = { 0 };
    struct side *c = follow(f, &n, "GET /news HTTP/1.1\r\n" HOST);

    assert_non_null(strstr(buf_text(&c->got), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(buf_text(&c->got), "\r\nTransfer-Encoding: chunked\r\n\r\n"));
    assert_true(http_stream_write(n.stream, "one\n", 4));
    assert_true(http_stream_write(n.stream, "", 0)); /* which would be the end */
    let_pass(f, 3600);                               /* it has no deadline */
    assert_true(http_stream_write(n.stream, "two\n", 4));
    http_stream_end(n.stream);
    loop_settle(f->loop);
    assert_non_null(strstr(client_heard(c), "\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"));
    assert_int_equal(n.gone, 0);
}

static void test_older_clients(void **state)
{
    struct fixture *f = *state;
    struct news n = { 0 };
    struct side *c = follow(f, &n, "GET /news HTTP/1.0\r\n" HOST);

    assert_true(http_stream_write(n.stream, "one\n", 4));
    http_stream_end(n.stream);
    loop_settle(f->loop);
    assert_null(strstr(buf_text(&c->got), "chunked"));
    assert_non_null(strstr(client_heard(c), "\r\n\r\none\n"));
}

static void test_its_head_alone(void **state)
{
    struct fixture *f = *state;
    struct news n = { 0 };
    struct side *c = follow(f, &n, "HEAD /news HTTP/1.1\r\n" HOST);

    assert_int_equal(n.gone, 1);
    assert_non_null(strstr(client_heard(c), "HTTP/1.1 200 OK\r\n"));
}

static void test_one_side_ends(void **state)
{
    struct fixture *f = *state;

    for (int way = 0; way < 4; way++) {
        struct news n = { 0 };
        struct side *c = follow(f, &n, "GET /news HTTP/1.1\r\n" HOST);

        assert_non_null(n.stream);
        if (way == 0)
            stream_stop(c->stream);
        if (way == 1)
            stream_shutdown(c->stream);
        if (way == 2)
            http_server_drain(f->server);
        if (way == 3)
            http_server_stop(f->server);
        loop_settle(f->loop);
        assert_int_equal(n.gone, 1);
        if (way == 2)
            assert_non_null(strstr(buf_text(&c->got), "0\r\n\r\n")); /* in order */
        if (way < 2)
            continue;
        server_finish(f);
        server_begin(f);
    }
}

static void test_who_does_not_read_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct news n = { 0 };
    struct side *c = follow(f, &n, "GET /news HTTP/1.1\r\n" HOST);
    struct buf much = { 0 };
    int taken = 0;

    put_pattern(&much, 0, 65536);
    stream_pause(c->stream);
    while (taken < 100 && http_stream_write(n.stream, buf_bytes(&much), much.len))
        taken++;
    assert_in_range(taken, 4, 20);
    stream_resume(c->stream);
    loop_settle(f->loop);
    assert_true(http_stream_write(n.stream, "more\n", 5));
    loop_settle(f->loop);
    assert_non_null(memmem(buf_bytes(&c->got), c->got.len, "more\n", 5));
    http_stream_end(n.stream);
    buf_free(&much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_it_comes_in_chunks),
        SERVER_TEST(test_older_clients),
        SERVER_TEST(test_its_head_alone),
        SERVER_TEST(test_one_side_ends),
        SERVER_TEST(test_who_does_not_read_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
