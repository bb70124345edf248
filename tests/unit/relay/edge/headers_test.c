#include "relay/edge/headers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef"
/* What every request gets at its end, from 203.0.113.7 at port 443. */
#define VISITOR(host, forwarded_host)                                           \
    "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"              \
    "X-Forwarded-Host: " host "\r\nX-Forwarded-Port: 443\r\n"                   \
    "X-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7;host=" forwarded_host \
    ";proto=https\r\nX-Request-ID: " ID "\r\n\r\n"
#define GET  "GET / HTTP/1.1\r\nHost: a.test\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a.test\r\n"
#define A    VISITOR("a.test", "a.test")

static const struct h1_limits limits = { .max_uri = 1024, .max_header = 4096 };

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage addr = { 0 };
    struct sockaddr_in *v4 = (void *)&addr;
    struct sockaddr_in6 *v6 = (void *)&addr;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        addr.ss_family = AF_INET;
    } else {
        memset(&addr, 0, sizeof addr);
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        addr.ss_family = AF_INET6;
        v6->sin6_scope_id = 2;
    }
    return addr;
}

static struct headers_visitor visitor_from(const char *address, uint16_t port)
{
    struct headers_visitor visitor = {
        .peer = address_of(address), .addr = address_of(address), .port = port, .secure = true, .https = true
    };

    memcpy(visitor.request_id, ID, sizeof ID);
    return visitor;
}

struct row {
    const char *name, *in, *out;
};

static void assert_text(const char *name, struct buf *text, const char *expected)
{
    if (strcmp(buf_text(text), expected) != 0)
        fail_msg("%s:\n%s---- and not\n%s", name, buf_text(text), expected);
    buf_free(text);
}

static void check_request(const struct row *row, const struct headers_visitor *visitor)
{
    size_t n = strlen(row->in);
    struct buf out = { 0 };
    struct h1_head head;

    h1_request_init(&head);
    if (h1_head_parse(&head, row->in, n, &limits) != (ssize_t)n)
        fail_msg("%s: is no request: %s", row->name, head.why ? head.why : "unfinished");
    headers_add_request(&out, &head, visitor);
    assert_text(row->name, &out, row->out);
}

static void check_requests(const struct row *rows, size_t n)
{
    const struct headers_visitor visitor = visitor_from("203.0.113.7", 443);

    for (size_t i = 0; i < n; i++)
        check_request(&rows[i], &visitor);
}

#define check(rows) check_requests(rows, sizeof(rows) / sizeof(rows)[0])

static void test_requests(void **state)
{
    static const struct row rows[] = {
        { "the least", GET "\r\n", GET A },
        { "fields are kept as they were written, in their order",
          GET
          "aCCept:  */* \r\nCookie: a=1; b=2\r\nCookie: c\r\nX-Empty:\r\nAuthorization: Basic eA==\r\n\r\n",
          GET
          "aCCept: */*\r\nCookie: a=1; b=2\r\nCookie: c\r\nX-Empty: \r\nAuthorization: Basic eA==\r\n" A },
        { "Host goes first, once", "GET / HTTP/1.1\r\nX: y\r\nhOST: a.test\r\n\r\n", GET "X: y\r\n" A },
        { "Host keeps its case and its port", "GET / HTTP/1.1\r\nHost: A.test:8443\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: A.test:8443\r\n" VISITOR("A.test:8443", "\"A.test:8443\"") },
        { "Host is IPv6", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n" VISITOR("[2001:db8::1]", "\"[2001:db8::1]\"") },
        { "HTTP/1.0", "GET /a HTTP/1.0\r\nHost: a.test\r\n\r\n", "GET /a HTTP/1.1\r\nHost: a.test\r\n" A },
        { "query", "GET /a?b=%20&c HTTP/1.1\r\nHost: a.test\r\n\r\n",
          "GET /a?b=%20&c HTTP/1.1\r\nHost: a.test\r\n" A },
        { "absolute form", "GET https://a.test/b?c HTTP/1.1\r\nHost: a.test\r\n\r\n",
          "GET /b?c HTTP/1.1\r\nHost: a.test\r\n" A },
        { "absolute form without a path", "GET https://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", GET A },
        { "OPTIONS without a path", "OPTIONS https://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n",
          "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n" A },
        { "OPTIONS of the root", "OPTIONS https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
          "OPTIONS / HTTP/1.1\r\nHost: a.test\r\n" A },
        { "asterisk", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
          "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n" A },
    };

    (void)state;
    check(rows);
}

static void test_framing(void **state)
{
    static const struct row rows[] = {
        { "length", POST "content-length: 05\r\n\r\n", POST "Content-Length: 5\r\n" A },
        { "length of nothing", POST "Content-Length: 0\r\n\r\n", POST "Content-Length: 0\r\n" A },
        { "no body", POST "\r\n", POST A },
        { "chunked", POST "transfer-encoding: Chunked\r\n\r\n", POST "Transfer-Encoding: chunked\r\n" A },
        { "trailers are announced", POST "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n",
          POST "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n" A },
        { "expectation", POST "Content-Length: 5\r\nexpect: 100-Continue\r\n\r\n",
          POST "Expect: 100-continue\r\nContent-Length: 5\r\n" A },
        { "expectation without a body", GET "Expect: 100-continue\r\n\r\n", GET A },
        { "expectation in HTTP/1.0",
          "POST / HTTP/1.0\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
          POST "Content-Length: 5\r\n" A },
    };

    (void)state;
    check(rows);
}

static void test_hop_by_hop(void **state)
{
    static const struct row rows[] = {
        { "always", GET "Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX: y\r\n\r\n",
          GET "X: y\r\n" A },
        { "upgrade to HTTP/2", GET "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
          GET A },
        { "upgrade", GET "X: y\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nZ: z\r\n\r\n",
          GET "X: y\r\nZ: z\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" A },
        { "upgrade, and trailers", GET "Connection: Upgrade, TE\r\nUpgrade: a, h2c\r\nTE: trailers\r\n\r\n",
          GET "TE: trailers\r\nUpgrade: a\r\nConnection: TE, Upgrade\r\n" A },
        { "named by Connection", GET "X-A: 1\r\nConnection: x-b , close,X-A\r\nX-B: 2\r\nX-C: 3\r\n\r\n",
          GET "X-C: 3\r\n" A },
        { "named by a second Connection", GET "Connection: close\r\nX-A: 1\r\nConnection: X-A\r\n\r\n",
          GET A },
        { "TE without trailers", GET "Connection: TE\r\nTE: gzip\r\n\r\n", GET A },
        { "TE with trailers", GET "Connection: TE\r\nTE: gzip, trailers\r\n\r\n",
          GET "TE: trailers\r\nConnection: TE\r\n" A },
        { "Connection cannot take away what we add",
          GET "Connection: X-Forwarded-For, X-Real-IP, Host, Forwarded\r\n\r\n", GET A },
    };

    (void)state;
    check(rows);
}

/* Each of these would let a visitor be another one, or seem to have come another way. */
static void test_spoofed(void **state)
{
    static const char *const fields[] = {
        "X-Forwarded-For: 10.0.0.1",
        "x-forwarded-for: 10.0.0.1",
        "X_Forwarded_For: 10.0.0.1",
        "X-Forwarded_For: 10.0.0.1",
        "X-Forwarded-Proto: http",
        "X_FORWARDED_PROTO: http",
        "X-Forwarded-Host: b.test",
        "X-Forwarded-Port: 1",
        "X_Forwarded_Port: 1",
        "X-Real-IP: 10.0.0.1",
        "X_Real_IP: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "forwarded: for=10.0.0.1",
        "X-Request-ID: mine",
        "X_Request_Id: mine",
        "X-Forwarded-Ssl: on",
        "X-Forwarded-Scheme: http",
        "X-Forwarded-Server: b.test",
        "X-Forwarded-Prefix: /b",
        "X_Forwarded_Prefix: /b",
        "X-Forwarded-User: root",
        "X-Forwarded-Client-Cert: By=a-name-that-is-long",
        "X-Forwarded-Something-That-Is-Not-Known-Here: 1",
        "X-Forwarded-: 1",
    };
    static const char *const kept[] = { "X-Forwarded: 1",   "X-Forward-For: 1",      "XForwarded-For: 1",
                                        "X-Real-IP-2: 1",   "X-Request-Idea: 1",     "Forwarded-For: 1",
                                        "Not-Forwarded: 1", "X-Not-Forwarded-For: 1" };
    const struct headers_visitor visitor = visitor_from("203.0.113.7", 443);
    char in[200], out[600];

    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        snprintf(in, sizeof in, GET "A: 1\r\n%s\r\n%s\r\nB: 2\r\n\r\n", fields[i], fields[i]);
        check_request(&(struct row){ fields[i], in, GET "A: 1\r\nB: 2\r\n" A }, &visitor);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        snprintf(in, sizeof in, GET "%s\r\n\r\n", kept[i]);
        snprintf(out, sizeof out, GET "%s\r\n" A, kept[i]);
        check_request(&(struct row){ kept[i], in, out }, &visitor);
    }
}

#define FROM(address, forwarded)                                                                   \
    GET "X-Forwarded-For: " address "\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n" \
        "X-Forwarded-Port: 8443\r\nX-Real-IP: " address "\r\nForwarded: for=" forwarded            \
        ";host=a.test;proto=https\r\nX-Request-ID: " ID "\r\n\r\n"

static void test_addresses(void **state)
{
    static const struct {
        const char *address, *text, *request;
    } rows[] = {
        { "203.0.113.7", "203.0.113.7", FROM("203.0.113.7", "203.0.113.7") },
        { "0.0.0.0", "0.0.0.0", FROM("0.0.0.0", "0.0.0.0") },
        { "2001:db8::7", "2001:db8::7", FROM("2001:db8::7", "\"[2001:db8::7]\"") },
        { "2001:DB8:0:0:0:0:0:7", "2001:db8::7", FROM("2001:db8::7", "\"[2001:db8::7]\"") },
        { "::ffff:203.0.113.7", "203.0.113.7", FROM("203.0.113.7", "203.0.113.7") },
        { "::ffff:cb00:7107", "203.0.113.7", FROM("203.0.113.7", "203.0.113.7") },
        { "::1", "::1", FROM("::1", "\"[::1]\"") },
        { "fe80::1", "fe80::1", FROM("fe80::1", "\"[fe80::1]\"") },
        { "1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888",
          FROM("1111:2222:3333:4444:5555:6666:7777:8888", "\"[1111:2222:3333:4444:5555:6666:7777:8888]\"") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct headers_visitor visitor = visitor_from(rows[i].address, 8443);
        char text[INET6_ADDRSTRLEN];

        headers_address_text(&visitor.addr, text, sizeof text);
        assert_string_equal(text, rows[i].text);
        check_request(&(struct row){ rows[i].address, GET "\r\n", rows[i].request }, &visitor);
    }
}

static void test_ipv4_is_as_the_system_writes_it(void **state)
{
    char text[INET_ADDRSTRLEN], expected[INET_ADDRSTRLEN];

    (void)state;
    for (unsigned place = 0; place < 4; place++)
        for (unsigned value = 0; value < 256; value++) {
            struct sockaddr_storage addr = { .ss_family = AF_INET };
            struct in_addr *in = &((struct sockaddr_in *)(void *)&addr)->sin_addr;

            in->s_addr = htonl(0x0a64c801u ^ value << 8 * place); /* 10.100.200.1, changed at one place */
            headers_address_text(&addr, text, sizeof text);
            assert_string_equal(text, inet_ntop(AF_INET, in, expected, sizeof expected));
        }
}

/* Whatever comes out is one request, which the same parser reads back. */
static void test_what_leaves_can_be_read(void **state)
{
    static const char in[] =
        "POST https://a.test:9 HTTP/1.1\r\nX: \377\200 y\r\nHost: a.test:9\r\nConnection: X-Y, te"
        "\r\nTE: trailers\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\n\r\n";
    const struct headers_visitor visitor = visitor_from("::1", 443);
    struct h1_head head, again;
    struct buf out = { 0 };

    (void)state;
    h1_request_init(&head);
    assert_int_equal(h1_head_parse(&head, in, sizeof in - 1, &limits), sizeof in - 1);
    headers_add_request(&out, &head, &visitor);
    h1_request_init(&again);
    assert_int_equal(h1_head_parse(&again, buf_bytes(&out), out.len, &limits), out.len);
    assert_int_equal(again.framing, H1_CHUNKED);
    assert_true(again.te_trailers);
    assert_true(str_eq(h1_text(&again, again.authority), "a.test:9"));
    assert_true(str_eq(h1_text(&again, again.path), "/"));
    assert_int_equal(h1_field_find(&again, "X-Y", 0), -1);
    assert_true(h1_field_find(&again, "X", 0) >= 0);
    buf_free(&out);
}

static void test_responses(void **state)
{
    static const struct {
        const char *name, *method, *in;
        enum h1_framing framing;
        const char *connection, *out;
    } rows[] = {
        { "length", "GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nServer: x\r\n\r\n", H1_LENGTH, "",
          "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\n" },
        { "no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", H1_LENGTH, "",
          "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n" },
        { "an older version, chunked from here on", "GET", "HTTP/1.0 200 OK\r\nX: y\r\n\r\n", H1_CHUNKED, "",
          "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { "chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", H1_CHUNKED,
          "", "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { "chunked, for an older visitor", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          H1_UNTIL_CLOSE, "close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" },
        { "to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", H1_NO_BODY, "",
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" },
        { "to HEAD, without a length", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", H1_NO_BODY, "",
          "HTTP/1.1 200 OK\r\n\r\n" },
        { "not modified", "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n",
          H1_NO_BODY, "", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n" },
        { "interim", "GET", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", H1_NO_BODY, "",
          "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" },
        { "switching", "GET", "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX: y\r\n\r\n",
          H1_NO_BODY, "", "HTTP/1.1 101 Yes\r\nX: y\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" },
        { "upgrade required", "GET", "HTTP/1.1 426 No\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
          H1_LENGTH, "close",
          "HTTP/1.1 426 No\r\nContent-Length: 0\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n\r\n" },
        { "hop by hop", "GET",
          "HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nKeep-Alive: 5\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
          H1_LENGTH, "keep-alive",
          "HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n" },
        { "fields that repeat, and what only requests mean", "GET",
          "HTTP/1.1 404 Nicht gef\303\274nden\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nForwarded: x\r\nHost: y\r\n"
          "Content-Length: 1\r\n\r\n",
          H1_LENGTH, "",
          "HTTP/1.1 404 Nicht gef\303\274nden\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nForwarded: x\r\nHost: y\r\n"
          "Content-Length: 1\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };
        struct h1_head head;

        h1_response_init(&head, str_of(rows[i].method));
        if (h1_head_parse(&head, rows[i].in, strlen(rows[i].in), &limits) != (ssize_t)strlen(rows[i].in))
            fail_msg("%s: is no response: %s", rows[i].name, head.why ? head.why : "unfinished");
        headers_add_response(&out, &head, rows[i].framing, rows[i].connection,
                             &(struct headers_changes){ 0 });
        assert_text(rows[i].name, &out, rows[i].out);
    }
}

static void test_when_a_response_came(void **state)
{
#define OK   "HTTP/1.1 200 OK\r\n"
#define DATE "Date: Sun, 29 Nov 2026 14:03:00 GMT\r\n"
    static const char *const names[] = { "date" };
    static const struct policy_header ours = { "Date", "today" };
    static const struct policy none = { 0 }, without = { .unset_headers = names, .unset_headers_n = 1 },
                               other = { .set_headers = &ours, .set_headers_n = 1 };
    static const struct {
        const char *name;
        const struct policy *policy;
        time_t now;
        const char *in, *out;
    } rows[] = {
        { "the service does not say it", &none, 1795960980, OK "X: y\r\n\r\n", OK "X: y\r\n" DATE "\r\n" },
        { "it does", &none, 1795960980, OK "date: then\r\n\r\n", OK "date: then\r\n\r\n" },
        { "no answer yet", NULL, 0, "HTTP/1.1 103 X\r\n\r\n", "HTTP/1.1 103 X\r\n\r\n" },
        { "the site wants none", &without, 1795960980, OK "\r\n", OK "\r\n" },
        { "the site sets its own", &other, 1795960980, OK "\r\n", OK "Date: today\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct headers_changes changes = { .policy = rows[i].policy, .now = rows[i].now };
        struct buf out = { 0 };
        struct h1_head head;

        h1_response_init(&head, STR("HEAD"));
        assert_int_equal(h1_head_parse(&head, rows[i].in, strlen(rows[i].in), &limits), strlen(rows[i].in));
        headers_add_response(&out, &head, H1_NO_BODY, "", &changes);
        assert_text(rows[i].name, &out, rows[i].out);
    }
#undef OK
#undef DATE
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_hop_by_hop),
        cmocka_unit_test(test_spoofed),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_leaves_can_be_read),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_when_a_response_came),
        cmocka_unit_test(test_ipv4_is_as_the_system_writes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
