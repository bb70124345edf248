/* Heads on their way to a service by HTTP/2, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/h2_head.h"

static void assert_field(const nghttp2_nv *nv, const char *name, const char *value)
{
    assert_true(nv->namelen == strlen(name) && memcmp(nv->name, name, nv->namelen) == 0);
    assert_true(nv->valuelen == strlen(value) && memcmp(nv->value, value, nv->valuelen) == 0);
}

static void test_a_request(void **state)
{
    struct buf text = { 0 };
    struct h2_list list;

    (void)state;
    h2_head_add_pseudo(&text,
                       STR("POST /a:b?c HTTP/1.1\r\nHost: a.test:8443\r\nX-Up: A:b \r\nTE: trailers\r\n"
                           "Upgrade: websocket\r\nConnection: TE, Upgrade\r\nTransfer-Encoding: chunked\r\n"
                           "X-Empty:\r\nExpect: 100-continue\r\n\r\n"),
                       "https");
    h2_head_list(&list, (char *)buf_bytes(&text), text.len);
    assert_int_equal(list.n, 8);
    assert_field(&list.nv[0], ":method", "POST");
    assert_field(&list.nv[1], ":scheme", "https");
    assert_field(&list.nv[2], ":authority", "a.test:8443");
    assert_field(&list.nv[3], ":path", "/a:b?c");
    assert_field(&list.nv[4], "x-up", "A:b");
    assert_field(&list.nv[5], "te", "trailers");
    assert_field(&list.nv[6], "x-empty", "");
    assert_field(&list.nv[7], "expect", "100-continue");
    free(list.nv);
    buf_free(&text);
}

static void test_a_request_without_a_host(void **state)
{
    struct buf text = { 0 };
    struct h2_list list;

    (void)state;
    h2_head_add_pseudo(&text, STR("GET / HTTP/1.1\r\nHost: \r\n\r\n"), "http");
    h2_head_list(&list, (char *)buf_bytes(&text), text.len);
    assert_int_equal(list.n, 3);
    assert_field(&list.nv[2], ":path", "/");
    free(list.nv);
    buf_free(&text);
}

static void test_trailers(void **state)
{
    char text[] = "Grpc-Status: 0\r\nX-Sum: 1\r\n\r\n";
    struct h2_list list;

    (void)state;
    h2_head_list(&list, text, strlen(text));
    assert_int_equal(list.n, 2);
    assert_field(&list.nv[0], "grpc-status", "0");
    assert_field(&list.nv[1], "x-sum", "1");
    free(list.nv);
}

/* What stands apart in the fields of a request is an ordinary field of a response. */
static void test_a_response(void **state)
{
    static const char *const fields[][2] = {
        { "content-length", "5" }, { "a", "b" }, { "host", "x" }, { "cookie", "c" }, { "trailer", "x-sum" }
    };
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 8192 };
    struct h2_fields f = { 0 };
    struct buf out = { 0 };
    struct h1_head head;

    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_true(h2_fields_add(&f, str_of(fields[i][0]), str_of(fields[i][1]), 1000));
    h2_head_add_response(&out, 200, &f);
    h1_response_init(&head, STR("GET"));
    assert_int_equal(h1_head_parse(&head, buf_bytes(&out), out.len, &limits), out.len);
    assert_int_equal(head.content_length, 5);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int at = h1_field_find(&head, fields[i][0], 0);

        assert_true(at >= 0);
        assert_true(str_eq(h1_text(&head, head.fields[at].value), fields[i][1]));
    }
    h2_fields_free(&f);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request),
        cmocka_unit_test(test_a_request_without_a_host),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_a_response),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
