#include "relay/edge/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/http/h1.h"

static const struct h1_limits limits = { .max_uri = 100, .max_header = 1000 };

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
        { 404, "Not Found", "retry-after", "none" },
        { 405, "Method Not Allowed", "allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH" },
        { 408, "Request Timeout", "retry-after", "none" },
        { 414, "URI Too Long", "retry-after", "none" },
        { 417, "Expectation Failed", "retry-after", "none" },
        { 421, "Misdirected Request", "retry-after", "none" },
        { 431, "Request Header Fields Too Large", "retry-after", "none" },
        { 501, "Not Implemented", "retry-after", "none" },
        { 502, "Bad Gateway", "retry-after", "none" },
        { 503, "Service Unavailable", "retry-after", "10" },
        { 504, "Gateway Timeout", "retry-after", "none" },
        { 505, "HTTP Version Not Supported", "retry-after", "none" },
        { 599, "Error", "retry-after", "none" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int with_body = 0; with_body <= 1; with_body++)
            for (int close = 0; close <= 1; close++) {
                struct buf page = { 0 };
                struct h1_head head;
                size_t n;

                page_add(&page, rows[i].status, "What is the matter.", with_body, close);
                n = parse(&head, &page, with_body ? "GET" : "HEAD");
                assert_int_equal(head.status, rows[i].status);
                assert_true(str_eq(h1_text(&head, head.reason), rows[i].reason));
                assert_int_equal(head.framing, with_body ? H1_LENGTH : H1_NO_BODY);
                assert_int_equal(page.len - n, with_body ? head.content_length : 0);
                assert_true(head.content_length > 0); /* for HEAD the same as for GET */
                assert_int_equal(head.keep_alive, !close);
                assert_true(str_eq(field(&head, rows[i].field), rows[i].value));
                assert_true(str_eq(field(&head, "cache-control"), "no-store"));
                assert_true(str_eq(field(&head, "content-type"), "text/html; charset=utf-8"));
                buf_free(&page);
            }
}

static void test_the_text(void **state)
{
    struct buf page = { 0 };

    (void)state;
    buf_add_text(&page, "before");
    page_add(&page, 503, "The site is away since 12:00.", true, false);
    assert_int_equal(strncmp(buf_text(&page), "beforeHTTP/1.1 503 ", 19), 0);
    assert_non_null(strstr(buf_text(&page), "\r\n\r\n<!doctype html>\n"));
    assert_non_null(strstr(buf_text(&page), "<title>503 Service Unavailable</title>"));
    assert_non_null(strstr(buf_text(&page), "<p>The site is away since 12:00.</p>\n"));
    assert_null(strcasestr(buf_text(&page), "tunnel"));
    assert_null(strcasestr(buf_text(&page), "relay"));
    assert_null(strstr(buf_text(&page), TUNNEL_VERSION));
    buf_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
