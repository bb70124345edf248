/* Answers that are made later, and further routes: with a name in their path, and another user. */
#include "tests/unit/shared/http/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOST "Host: t\r\n\r\n"

struct more {
    struct http_later *later;
    char name[64];
};

static void route_later(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct more *m = user;

    (void)request;
    m->later = http_reply_later(reply);
}

static void route_thing(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct more *m = user;

    snprintf(m->name, sizeof m->name, "%.*s", STR_ARG(request->name));
    http_reply_json(reply, 200, json_object());
}

static const struct http_route more_routes[] = { { "POST", "/later", route_later },
                                                 { "DELETE", "/things/*", route_thing },
                                                 { "PUT", "/things/*", route_thing } };

static void add_routes(struct fixture *f, struct more *m)
{
    http_server_more_routes(f->server, more_routes, sizeof more_routes / sizeof more_routes[0], m);
}

static void test_a_name_in_the_path(void **state)
{
    static const struct {
        const char *request, *answer, *name;
    } rows[] = {
        { "DELETE /things/pi HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "pi" },
        { "DELETE /things/a%20b?x=y/z HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "a%20b" },
        { "DELETE /things/ HTTP/1.1\r\n", "HTTP/1.1 404 Not Found\r\n", "" },
        { "DELETE /things HTTP/1.1\r\n", "HTTP/1.1 404 Not Found\r\n", "" },
        { "DELETE /things/a/b HTTP/1.1\r\n", "HTTP/1.1 404 Not Found\r\n", "" },
        { "DELETE /thing/a HTTP/1.1\r\n", "HTTP/1.1 404 Not Found\r\n", "" },
        { "GET /things/pi HTTP/1.1\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "" },
        { "POST /hello HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "" },
        { "DELETE /hello HTTP/1.1\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct more m = { 0 };
        char text[128];
        struct buf heard;

        add_routes(f, &m);
        snprintf(text, sizeof text, "%s" HOST, rows[i].request);
        heard = converse(f, text, strlen(text), strlen(text), 1);
        if (strncmp(buf_text(&heard), rows[i].answer, strlen(rows[i].answer)) != 0 ||
            strcmp(m.name, rows[i].name) != 0)
            fail_msg("%s: %s: %s", rows[i].request, m.name, buf_text(&heard));
        if (strstr(rows[i].request, "GET /things"))
            assert_non_null(strstr(buf_text(&heard), "\r\nAllow: DELETE, PUT\r\n"));
        buf_free(&heard);
    }
}

static void test_routes_that_are_taken_back(void **state)
{
    struct fixture *f = *state;
    struct more m = { 0 };
    struct side *c = client_open(f);

    add_routes(f, &m);
    http_server_more_routes(f->server, NULL, 0, NULL);
    client_say(f, c, "DELETE /things/pi HTTP/1.1\r\n" HOST);
    assert_non_null(strstr(client_heard(c), "HTTP/1.1 404 Not Found\r\n"));
}

static void test_an_answer_comes_later_and_the_connection_goes_on(void **state)
{
    struct fixture *f = *state;
    struct more m = { 0 };
    struct side *c = client_open(f);

    add_routes(f, &m);
    client_say(f, c, "POST /later HTTP/1.1\r\n" HOST "GET /hello HTTP/1.1\r\n" HOST);
    assert_non_null(m.later);
    assert_string_equal(client_heard(c), "");
    let_pass(f, 90);
    http_later_json(m.later, 200, json_pack("{s:i}", "n", 7));
    loop_settle(f->loop);
    assert_non_null(strstr(buf_text(&c->got), "{\"n\":7}\n"));
    assert_non_null(strstr(client_heard(c), "{\"json\":false}\n")); /* in order */
    client_say(f, c, "POST /later HTTP/1.1\r\n" HOST);
    http_later_error(m.later, 409, "taken by %s", "pi");
    loop_settle(f->loop);
    assert_non_null(strstr(buf_text(&c->got), "HTTP/1.1 409 Conflict\r\n"));
    assert_non_null(strstr(client_heard(c), "{\"error\":\"taken by pi\"}\n"));
}

static void test_a_client_that_sends_no_more_still_hears(void **state)
{
    struct fixture *f = *state;
    struct more m = { 0 };
    struct side *c = client_open(f);

    add_routes(f, &m);
    client_say(f, c, "POST /later HTTP/1.1\r\n" HOST);
    stream_shutdown(c->stream);
    loop_settle(f->loop);
    http_later_json(m.later, 200, json_object());
    loop_settle(f->loop);
    assert_non_null(strstr(client_heard(c), "HTTP/1.1 200 OK\r\n"));
}

/* However the client or the server went: whoever makes the answer finishes it all the same. */
static void test_nobody_waits_any_longer(void **state)
{
    struct fixture *f = *state;

    for (int way = 0; way < 4; way++) {
        struct more m = { 0 };
        struct side *c = client_open(f);

        add_routes(f, &m);
        client_say(f, c, "POST /later HTTP/1.1\r\n" HOST);
        assert_non_null(m.later);
        if (way == 0)
            stream_stop(c->stream);
        if (way == 1)
            let_pass(f, HTTP_SERVER_LATER_MS / 1000 + 1);
        for (int i = 0; way == 2 && i < 6; i++) { /* much more than is asked for */
            struct buf more = { 0 };

            put_pattern(&more, 0, 65536);
            if (c->stream)
                stream_write(c->stream, buf_bytes(&more), more.len);
            loop_settle(f->loop);
            buf_free(&more);
        }
        if (way == 3)
            http_server_stop(f->server);
        loop_settle(f->loop);
        http_later_json(m.later, 200, json_object());
        loop_settle(f->loop);
        assert_null(strstr(client_heard(c), "200 OK"));
    }
}

static void test_a_drain_waits_for_it(void **state)
{
    struct fixture *f = *state;
    struct more m = { 0 };
    struct side *c = client_open(f);

    add_routes(f, &m);
    client_say(f, c, "POST /later HTTP/1.1\r\n" HOST);
    http_server_drain(f->server);
    loop_settle(f->loop);
    assert_int_equal(f->ended, 0);
    http_later_json(m.later, 200, json_object());
    loop_settle(f->loop);
    assert_non_null(strstr(client_heard(c), "\r\nConnection: close\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_a_name_in_the_path),
        SERVER_TEST(test_routes_that_are_taken_back),
        SERVER_TEST(test_an_answer_comes_later_and_the_connection_goes_on),
        SERVER_TEST(test_a_client_that_sends_no_more_still_hears),
        SERVER_TEST(test_nobody_waits_any_longer),
        SERVER_TEST(test_a_drain_waits_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
