/* Fields of HTTP/2 as heads of HTTP/1.1, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/h2_fields.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

enum { MAX = 4096 };

struct pair {
    const char *name, *value;
};

/* The head that these fields make, NULL when they are refused; to be freed. */
static char *made(const struct pair *fields, bool ends, const char **why)
{
    struct h2_fields f = { 0 };
    struct buf out = { 0 };
    char *text = NULL;

    for (; fields->name; fields++)
        (void)h2_fields_add(&f, str_of(fields->name), str_of(fields->value), MAX);
    if (h2_fields_request(&f, !ends && h2_fields_wants_chunks(&f), KEY, &out) == 0)
        text = strdup(buf_text(&out));
    *why = f.why;
    h2_fields_free(&f);
    buf_free(&out);
    return text;
}

#define GET                                                                   \
    { ":method", "GET" }, { ":scheme", "https" }, { ":authority", "a.test" }, \
    {                                                                         \
        ":path", "/x?y"                                                       \
    }

#define CONNECT(protocol)                                                                                    \
    { ":method", "CONNECT" }, { ":protocol", protocol }, { ":scheme", "https" }, { ":authority", "a.test" }, \
    {                                                                                                        \
        ":path", "/ws"                                                                                       \
    }

static void test_requests(void **state)
{
    static const struct {
        struct pair fields[10];
        bool ends;
        const char *head;
    } table[] = {
        { { GET }, true, "GET /x?y HTTP/1.1\r\nhost: a.test\r\n\r\n" },
        { { GET }, false, "GET /x?y HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n" },
        { { GET, { "content-length", "5" } },
          false,
          "GET /x?y HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\n" },
        { { GET, { "content-length", "5" }, { "trailer", "x" } }, /* they need a place */
          false,
          "GET /x?y HTTP/1.1\r\nhost: a.test\r\ntrailer: x\r\ntransfer-encoding: chunked\r\n\r\n" },
        { { GET, { "content-length", "0" }, { "trailer", "x" } },
          true,
          "GET /x?y HTTP/1.1\r\nhost: a.test\r\ntrailer: x\r\ncontent-length: 0\r\n\r\n" },
        { { GET, { "cookie", "a=1" }, { "x", "1" }, { "cookie", "b=2" } },
          true,
          "GET /x?y HTTP/1.1\r\nhost: a.test\r\nx: 1\r\ncookie: a=1; b=2\r\n\r\n" },
        { { GET, { "te", "trailers" } }, true, "GET /x?y HTTP/1.1\r\nhost: a.test\r\nte: trailers\r\n\r\n" },
        { { GET, { "host", "A.test" } }, true, "GET /x?y HTTP/1.1\r\nhost: a.test\r\n\r\n" },
        { { { ":method", "GET" }, { ":scheme", "https" }, { ":path", "/" }, { "host", "b.test" } },
          true,
          "GET / HTTP/1.1\r\nhost: b.test\r\n\r\n" },
        { { { ":method", "CONNECT" }, { ":authority", "a.test:1" } },
          false,
          "CONNECT a.test:1 HTTP/1.1\r\nhost: a.test:1\r\n\r\n" },
        { { CONNECT("websocket"), { "sec-websocket-version", "13" }, { "sec-websocket-key", "theirs" } },
          false,
          "GET /ws HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
          "sec-websocket-key: " KEY "\r\nsec-websocket-version: 13\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *why;
        char *head = made(table[i].fields, table[i].ends, &why);

        assert_non_null(head);
        assert_string_equal(head, table[i].head);
        free(head);
    }
}

/* Whatever nghttp2 lets through: nothing of it makes two lines of one, or a head that means something else. */
static void test_refusals(void **state)
{
    static const struct pair table[][6] = {
        { GET, { "x", "a\r\nb: c" } },
        { GET, { "x", "a\nb" } },
        { GET, { "x\r\n", "a" } },
        { GET, { "X", "a" } },
        { GET, { "x y", "a" } },
        { GET, { "", "a" } },
        { GET, { "x:", "a" } },
        { GET, { "connection", "close" } },
        { GET, { "upgrade", "h2c" } },
        { GET, { "keep-alive", "1" } },
        { GET, { "proxy-connection", "x" } },
        { GET, { "te", "gzip" } },
        { GET, { "transfer-encoding", "chunked" } },
        { GET, { "host", "b.test" } },
        { GET, { ":protocol", "x" } },
        { CONNECT("connect-udp") },
        { CONNECT("websocket"), { "content-length", "0" } },
        { { ":method", "CONNECT" },
          { ":protocol", "websocket" },
          { ":scheme", "ftp" },
          { ":authority", "a" },
          { ":path", "/" } },
        { { ":method", "GET /" }, { ":scheme", "https" }, { ":path", "/" } },
        { { ":method", "GET" }, { ":scheme", "https" }, { ":path", "/ HTTP/1.1" } },
        { { ":method", "GET" }, { ":scheme", "ftp" }, { ":path", "/" } },
        { { ":method", "GET" }, { ":scheme", "https" }, { "host", "a" }, { "host", "a" }, { ":path", "/" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *why;

        assert_null(made(table[i], true, &why));
        assert_non_null(why);
    }
}

static void test_a_head_that_is_too_large(void **state)
{
    struct h2_fields f = { 0 };
    char value[1024];

    (void)state;
    memset(value, 'x', sizeof value);
    for (int i = 0; i < 3; i++)
        assert_true(h2_fields_add(&f, STR("a"), (struct str){ value, sizeof value }, MAX));
    assert_false(h2_fields_add(&f, STR("a"), (struct str){ value, sizeof value }, MAX));
    assert_true(f.too_large);
    for (int i = 0; i < 100; i++) /* nothing of what follows is kept */
        assert_false(h2_fields_add(&f, STR("a"), (struct str){ value, sizeof value }, MAX));
    assert_true(f.lines.len < MAX && f.bytes > 100 * sizeof value);
    h2_fields_free(&f);
}

static void assert_field(const nghttp2_nv *nv, const char *name, const char *value)
{
    assert_true(nv->namelen == strlen(name) && memcmp(nv->name, name, nv->namelen) == 0);
    assert_true(nv->valuelen == strlen(value) && memcmp(nv->value, value, nv->valuelen) == 0);
}

static void test_responses(void **state)
{
    char text[] = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nConnection: close\r\nX-Empty:\r\n"
                  "Transfer-Encoding: chunked\r\nSet-Cookie: a:b\r\n\r\nbody";
    struct h2_list list;

    (void)state;
    h2_list_make(&list, text, strlen(text), H2_HEAD);
    assert_int_equal(list.text_bytes, strlen(text) - 4);
    assert_int_equal(list.n, 4);
    assert_field(&list.nv[0], ":status", "404");
    assert_field(&list.nv[1], "content-type", "text/html");
    assert_field(&list.nv[2], "x-empty", "");
    assert_field(&list.nv[3], "set-cookie", "a:b");
    free(list.nv);
}

static void test_a_switching_response(void **state)
{
    char text[] =
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: a\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    struct h2_list list;

    (void)state;
    h2_list_make(&list, text, strlen(text), H2_SWITCHED);
    assert_int_equal(list.n, 2);
    assert_field(&list.nv[0], ":status", "200");
    assert_field(&list.nv[1], "sec-websocket-protocol", "a");
    free(list.nv);
}

static void test_trailers(void **state)
{
    char text[] = "Grpc-Status: 0\r\nX-Sum: 1\r\n\r\n";
    struct h2_fields f = { 0 };
    struct buf out = { 0 };
    struct h2_list list;

    (void)state;
    h2_list_make(&list, text, strlen(text), H2_TRAILERS);
    assert_int_equal(list.n, 2);
    assert_field(&list.nv[0], "grpc-status", "0");
    free(list.nv);
    h2_fields_trailers(&f, &out);
    assert_int_equal(out.len, 0);
    assert_true(h2_fields_add(&f, STR("x-sum"), STR("1"), MAX));
    h2_fields_trailers(&f, &out);
    assert_string_equal(buf_text(&out), "x-sum: 1\r\n\r\n");
    h2_fields_free(&f);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_responses), cmocka_unit_test(test_a_head_that_is_too_large),
        cmocka_unit_test(test_trailers),  cmocka_unit_test(test_a_switching_response),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
