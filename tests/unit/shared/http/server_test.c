/* What the server answers: over one connection, in pieces, and to what is wrong. Who may stay and how it
 * all ends is in server_end_test.c. */
#include "tests/unit/shared/http/server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOST "Host: t\r\n"

static int count(const char *text, const char *what)
{
    int n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

static const struct {
    const char *name, *request;
    const char *starts, *holds; /* the answer; "" for none at all */
    int answers;
} rows[] = {
    { "a request", "GET /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\n", "{\"json\":false}\n", 1 },
    { "two of them", "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /count?a HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\n", "\"q\":\"a\"}\n", 2 },
    { "HEAD, then GET", "HEAD /hello HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\n",
      "Content-Length: 15\r\nCache-Control: no-store\r\n\r\nHTTP/1.1 404 Not Found\r\n", 2 },
    { "asked to close",
      "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 200 OK\r\n", "\r\nConnection: close\r\n", 1 },
    { "HTTP/1.0", "GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\nConnection: close\r\n", 1 },
    { "JSON", "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\n{\"a\":1}", "HTTP/1.1 200 OK\r\n",
      "{\"json\":true}\n", 1 },
    { "JSON in chunks",
      "POST /hello HTTP/1.1\r\n" HOST
      "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\n", "{\"json\":true}\n", 1 },
    { "chunks with trailers, and another request",
      "POST /hello HTTP/1.1\r\n" HOST
      "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\nGET /hello HTTP/1.1\r\n" HOST
      "\r\n",
      "HTTP/1.1 200 OK\r\n", "{\"json\":true}\n", 2 },
    { "bad JSON, and the connection goes on",
      "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n{a}GET /hello HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"the request's content is not JSON: ", 2 },
    { "nothing there", "GET /none HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404 Not Found\r\n", "nothing at /none",
      1 },
    { "wrong method", "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 Method Not Allowed\r\n",
      "\r\nAllow: GET, HEAD, POST\r\n", 1 },
    { "no host", "GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"", 1 },
    { "not HTTP", "hello\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "\r\nConnection: close\r\n", 1 },
    { "TLS", "\x16\x03\x01\x02", "HTTP/1.1 400 Bad Request\r\n", "\r\nConnection: close\r\n", 1 },
    { "wrong, and more behind it", "GET  / HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"", 1 },
    { "two lengths", "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"", 1 },
    { "length and chunks",
      "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"", 1 },
    { "bad chunk", "POST /hello HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n",
      "HTTP/1.1 400 Bad Request\r\n", "{\"error\":\"", 1 },
    { "another version", "GET /hello HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n",
      "{\"error\":\"", 1 },
    { "100 is said", "POST /hello HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "{\"json\":true}\n", 2 },
    { "nothing", "", "", "", 0 },
    { "half a head, then the end", "GET /hello HTTP/1.1\r\nHos", "", "", 0 },
    { "half a body, then the end", "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\n{\"a", "", "",
      0 },
    { "one and a half", "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /hello HTT", "HTTP/1.1 200 OK\r\n",
      "{\"json\":false}\n", 1 },
};

static struct buf hear_row(struct fixture *f, size_t i, size_t first, size_t each)
{
    f->answered = 0;
    return converse(f, rows[i].request, strlen(rows[i].request), first, each);
}

static void assert_same_in_pieces(struct fixture *f, size_t i, size_t first, size_t each, const char *whole)
{
    struct buf heard = hear_row(f, i, first, each);

    if (strcmp(heard.mem + heard.start, whole) != 0)
        fail_msg("%s, cut at %zu, then each %zu bytes: %s", rows[i].name, first, each,
                 heard.mem + heard.start);
    buf_free(&heard);
}

static void test_answers_however_they_are_cut(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].request);
        struct buf heard = hear_row(*state, i, n, n + 1);
        const char *whole = heard.mem + heard.start;

        if (strncmp(whole, rows[i].starts, strlen(rows[i].starts)) != 0 || !strstr(whole, rows[i].holds) ||
            (*whole != 0) + count(whole, "\nHTTP/1.1 ") != rows[i].answers)
            fail_msg("%s: %s", rows[i].name, whole);
        assert_same_in_pieces(*state, i, 1, 1, whole);
        for (size_t cut = 1; cut < n; cut++)
            assert_same_in_pieces(*state, i, cut, n, whole);
        buf_free(&heard);
    }
}

static void test_a_hundred_requests_in_one_write(void **state)
{
    struct buf in = { 0 }, heard;
    const char *at;

    for (int i = 0; i < 100; i++)
        buf_printf(&in, "GET /count?%d HTTP/1.1\r\n" HOST "\r\n", i);
    heard = converse(*state, buf_bytes(&in), in.len, in.len, in.len);
    at = buf_text(&heard);
    for (int i = 0; i < 100; i++) { /* in order */
        char body[64];

        snprintf(body, sizeof body, "\r\n\r\n{\"n\":%d,\"q\":\"%d\"}\n", i, i);
        at = strstr(at, body);
        assert_non_null(at);
    }
    assert_int_equal(count(buf_text(&heard), "HTTP/1.1 200 OK"), 100);
    buf_free(&in);
    buf_free(&heard);
}

/* More answers than may be queued, to a client that has already said all and waits. */
static void test_every_big_answer_arrives(void **state)
{
    struct buf in = { 0 }, heard;
    struct fixture *f = *state;

    for (int i = 0; i < 40; i++)
        buf_add_text(&in, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    heard = converse(f, buf_bytes(&in), in.len, in.len, in.len);
    assert_int_equal(f->answered, 40);
    assert_true(heard.len > 40 * 65536);
    assert_true(is_pattern(buf_bytes(&heard) + heard.len - 65536, 0, 65536));
    buf_free(&in);
    buf_free(&heard);
}

static void test_keep_alive(void **state)
{
    struct side *c = client_open(*state);

    for (int i = 0; i < 3; i++) {
        client_say(*state, c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_non_null(strstr(client_heard(c), "{\"json\":false}\n"));
        assert_false(c->ended);
    }
}

/* ---- what is too large ---- */

static void put_body(struct buf *in, size_t n, bool chunked)
{
    buf_printf(in, "POST /hello HTTP/1.1\r\n" HOST);
    if (chunked)
        buf_printf(in, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
    else
        buf_printf(in, "Content-Length: %zu\r\n\r\n", n);
    buf_printf(in, "{\"a\":\"");
    memset(buf_space(in, n - 8), 'x', n - 8);
    buf_added(in, n - 8);
    buf_add_text(in, chunked ? "\"}\r\n0\r\n\r\n" : "\"}");
}

static void test_the_largest_content(void **state)
{
    static const struct {
        size_t n;
        const char *status;
    } sizes[] = { { HTTP_SERVER_BODY_BYTES, "200" },
                  { HTTP_SERVER_BODY_BYTES + 1, "413" },
                  { 1000000, "413" } };

    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        static const size_t pieces[] = { 1000, 65536, 4000000 };

        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            struct buf in = { 0 }, heard;

            put_body(&in, sizes[i / 2].n, i % 2);
            heard = converse(*state, buf_bytes(&in), in.len, pieces[p], pieces[p]);
            assert_int_equal(count(buf_text(&heard), "HTTP/1.1 "), 1);
            assert_memory_equal(buf_bytes(&heard) + 9, sizes[i / 2].status, 3);
            buf_free(&in);
            buf_free(&heard);
        }
    }
}

static void test_the_largest_head(void **state)
{
    static const struct {
        const char *name, *before;
        size_t n;
        const char *after, *status;
    } sizes[] = {
        { "a long target", "GET /hello?", 4000, " HTTP/1.1\r\n" HOST "\r\n", "200" },
        { "too long", "GET /hello?", 5000, " HTTP/1.1\r\n" HOST "\r\n", "414" },
        { "a long field", "GET /hello HTTP/1.1\r\n" HOST "X: ", 16000, "\r\n\r\n", "200" },
        { "a longer field", "GET /hello HTTP/1.1\r\n" HOST "X: ", 17000, "\r\n\r\n", "431" },
        { "without an end", "GET /hello HTTP/1.1\r\n" HOST "X: ", 1000000, "", "431" },
    };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf in = { 0 }, heard;

        buf_add_text(&in, sizes[i].before);
        memset(buf_space(&in, sizes[i].n), 'x', sizes[i].n);
        buf_added(&in, sizes[i].n);
        buf_add_text(&in, sizes[i].after);
        heard = converse(*state, buf_bytes(&in), in.len, 1000, 1000);
        if (heard.len < 12 || memcmp(buf_bytes(&heard) + 9, sizes[i].status, 3) != 0)
            fail_msg("%s: %s", sizes[i].name, buf_text(&heard));
        buf_free(&in);
        buf_free(&heard);
    }
}

/* A client that waits for 100 (Continue) must not wait for the deadline instead. */
static void test_content_that_is_announced_too_large(void **state)
{
    struct side *c = client_open(*state);

    client_say(*state, c,
               "POST /hello HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n");
    assert_non_null(strstr(client_heard(c), "HTTP/1.1 413 Content Too Large\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_answers_however_they_are_cut),
        SERVER_TEST(test_a_hundred_requests_in_one_write),
        SERVER_TEST(test_every_big_answer_arrives),
        SERVER_TEST(test_keep_alive),
        SERVER_TEST(test_the_largest_content),
        SERVER_TEST(test_the_largest_head),
        SERVER_TEST(test_content_that_is_announced_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
