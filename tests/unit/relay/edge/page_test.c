#include "relay/edge/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/http/h1.h"
#include "shared/json.h"

static const struct h1_limits limits = { .max_uri = 100, .max_header = 1000 };
static const time_t then = 1795960980; /* 2026-11-29T14:03:00Z */

static struct page plain_page(int status)
{
    return (struct page){ .status = status,
                          .text = "What is the matter.",
                          .domain = "",
                          .request_id = "",
                          .with_body = true,
                          .now = then };
}

static size_t parse(struct h1_head *head, const struct buf *page, const char *method)
{
    ssize_t n;

    h1_response_init(head, str_of(method));
    n = h1_head_parse(head, buf_bytes(page), page->len, &limits);
    if (n <= 0)
        fail_msg("is no response: %s", head->why ? head->why : "unfinished");
    return (size_t)n;
}

static struct str field(const struct h1_head *head, const char *name)
{
    int i = h1_field_find(head, name, 0);

    return i < 0 ? STR("none") : h1_text(head, head->fields[i].value);
}

static void test_pages(void **state)
{
    static const struct {
        int status;
        const char *reason, *field, *value; /* a further field, if there is one */
    } rows[] = {
        { 400, "Bad Request", "retry-after", "none" },
        { 401, "Unauthorized", "www-authenticate", "Basic realm=\"\", charset=\"UTF-8\"" },
        { 403, "Forbidden", "www-authenticate", "none" },
        { 404, "Not Found", "retry-after", "none" },
        { 405, "Method Not Allowed", "allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH" },
        { 408, "Request Timeout", "retry-after", "none" },
        { 414, "URI Too Long", "retry-after", "none" },
        { 417, "Expectation Failed", "retry-after", "none" },
        { 421, "Misdirected Request", "retry-after", "none" },
        { 429, "Too Many Requests", "retry-after", "none" },
        { 431, "Request Header Fields Too Large", "retry-after", "none" },
        { 501, "Not Implemented", "retry-after", "none" },
        { 502, "Bad Gateway", "retry-after", "none" },
        { 503, "Service Unavailable", "retry-after", "10" },
        { 504, "Gateway Timeout", "retry-after", "none" },
        { 505, "HTTP Version Not Supported", "retry-after", "none" },
        { 599, "Error", "retry-after", "none" },
    };
    static const char *const types[] = { "text/html; charset=utf-8", "application/json",
                                         "application/problem+json" };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int bits = 0; bits < 12; bits++) {
            struct page page = plain_page(rows[i].status);
            struct buf out = { 0 };
            struct h1_head head;
            size_t n;

            page.with_body = bits & 1;
            page.close = bits & 2;
            page.form = (enum accept_form)(bits / 4);
            page_add(&out, &page);
            n = parse(&head, &out, page.with_body ? "GET" : "HEAD");
            assert_int_equal(head.status, rows[i].status);
            assert_true(str_eq(h1_text(&head, head.reason), rows[i].reason));
            assert_int_equal(head.framing, page.with_body ? H1_LENGTH : H1_NO_BODY);
            assert_int_equal(out.len - n, page.with_body ? head.content_length : 0);
            assert_true(head.content_length > 0); /* for HEAD the same as for GET */
            assert_int_equal(head.keep_alive, !page.close);
            assert_true(str_eq(field(&head, rows[i].field), rows[i].value));
            assert_true(str_eq(field(&head, "cache-control"), "no-store"));
            assert_true(str_eq(field(&head, "date"), "Sun, 29 Nov 2026 14:03:00 GMT"));
            assert_true(str_eq(field(&head, "content-type"), types[bits / 4]));
            assert_true(str_eq(field(&head, "server"), "none"));
            assert_true(str_eq(field(&head, "x-request-id"), "none"));
            buf_free(&out);
        }
}

static void test_when_to_come_again_and_for_what(void **state)
{
    struct page page = plain_page(429);
    struct buf out = { 0 };
    struct h1_head head;

    (void)state;
    page.retry_s = 7;
    page_add(&out, &page);
    (void)parse(&head, &out, "GET");
    assert_true(str_eq(field(&head, "retry-after"), "7"));
    buf_free(&out);
    page = plain_page(401);
    page.realm = "*.a.test";
    page_add(&out, &page);
    (void)parse(&head, &out, "GET");
    assert_true(str_eq(field(&head, "www-authenticate"), "Basic realm=\"*.a.test\", charset=\"UTF-8\""));
    buf_free(&out);
}

/* Behind the head. */
static const char *body_of(struct buf *out)
{
    const char *end = strstr(buf_text(out), "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

static void test_html(void **state)
{
    struct page page = plain_page(503);
    struct buf out = { 0 };

    (void)state;
    buf_add_text(&out, "before");
    page.text = "It's <away> & \"gone\".";
    page.since = then;
    page.request_id = "0123abcd";
    page_add(&out, &page);
    assert_int_equal(strncmp(buf_text(&out), "beforeHTTP/1.1 503 ", 19), 0);
    assert_non_null(strstr(buf_text(&out), "\r\nX-Request-ID: 0123abcd\r\n"));
    assert_int_equal(strncmp(body_of(&out), "<!doctype html>\n", 16), 0);
    assert_non_null(strstr(buf_text(&out), "<title>503 Service Unavailable</title>"));
    assert_non_null(strstr(buf_text(&out), "<p>It&#39;s &lt;away&gt; &amp; &quot;gone&quot;.</p>\n"));
    assert_non_null(strstr(buf_text(&out), "<p>Since 29 November 2026, 14:03 UTC.</p>\n"));
    assert_non_null(strstr(buf_text(&out), "Request 0123abcd<"));
    assert_null(strcasestr(buf_text(&out), "tunnel"));
    assert_null(strcasestr(buf_text(&out), "relay"));
    assert_null(strstr(buf_text(&out), TUNNEL_VERSION));
    buf_free(&out);
}

static void test_what_is_not_known_is_not_said(void **state)
{
    struct page page = plain_page(503);
    struct buf out = { 0 };

    (void)state;
    page_add(&out, &page);
    assert_null(strstr(buf_text(&out), "Since"));
    assert_null(strstr(buf_text(&out), "Request"));
    assert_null(strchr(body_of(&out), '{'));
    buf_free(&out);
}

static void test_json(void **state)
{
    struct page page = plain_page(502);
    struct err e = { 0 };

    (void)state;
    for (int known = 0; known <= 1; known++) {
        struct buf out = { 0 };
        const char *expected =
            known ? "{\"status\":502,\"title\":\"Bad Gateway\",\"detail\":\"\\\"<b>\\\\ \\\\n\\\"\","
                    "\"since\":\"2026-11-29T14:03:00Z\",\"request_id\":\"0123abcd\",\"cause\":\"refused\"}\n"
                  : "{\"status\":502,\"title\":\"Bad Gateway\",\"detail\":\"\\\"<b>\\\\ \\\\n\\\"\","
                    "\"since\":null,\"request_id\":null}\n";
        json_t *doc;

        page.form = known ? ACCEPT_JSON : ACCEPT_PROBLEM;
        page.text = "\"<b>\\ \\n\"";
        page.since = known ? then : 0;
        page.request_id = known ? "0123abcd" : "";
        page.cause = known ? "refused" : NULL;
        page.template = "the site's own page";
        page_add(&out, &page);
        assert_string_equal(body_of(&out), expected);
        doc = json_read(body_of(&out), strlen(body_of(&out)), &e);
        assert_non_null(doc);
        json_decref(doc);
        buf_free(&out);
    }
}

static void test_the_sites_own_page(void **state)
{
    struct page page = plain_page(504);
    struct buf out = { 0 };

    (void)state;
    page.template = "<style>p{color:red}</style>{status}|{title}|{text}|{since}|{domain}|{request_id}\n";
    page.domain = "<a.test>";
    page.request_id = "0123";
    page.since = then - 60;
    page_add(&out, &page);
    assert_string_equal(body_of(&out), "<style>p{color:red}</style>504|Gateway Timeout|What is the matter.|"
                                       "29 November 2026, 14:02 UTC|&lt;a.test&gt;|0123\n");
    buf_free(&out);
}

static void test_grpc(void **state)
{
    static const struct {
        int status;
        const char *grpc;
    } rows[] = { { 400, "13" }, { 404, "12" }, { 413, "8" }, { 421, "2" },
                 { 502, "14" }, { 503, "14" }, { 504, "14" } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct page page = plain_page(rows[i].status);
        struct buf out = { 0 }, wanted = { 0 };

        page.form = ACCEPT_GRPC;
        page.request_id = "0123";
        page_add(&out, &page);
        buf_printf(
            &wanted,
            "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: %s\r\n"
            "Grpc-Message: What is the matter.\r\nDate: Sun, 29 Nov 2026 14:03:00 GMT\r\nX-Request-ID: 0123\r\n\r\n",
            rows[i].grpc);
        assert_string_equal(buf_text(&out), buf_text(&wanted));
        buf_free(&wanted);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages), cmocka_unit_test(test_when_to_come_again_and_for_what),
        cmocka_unit_test(test_html),  cmocka_unit_test(test_what_is_not_known_is_not_said),
        cmocka_unit_test(test_json),  cmocka_unit_test(test_the_sites_own_page),
        cmocka_unit_test(test_grpc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
