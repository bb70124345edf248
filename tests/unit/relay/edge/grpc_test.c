/* Which requests are calls of gRPC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "relay/edge/grpc.h"
#include "shared/buf.h"

static bool is_call(const char *method, const char *field)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 8192 };
    struct buf text = { 0 };
    struct h1_head head;
    bool is;

    buf_printf(&text, "%s /a.B/C HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", method, field);
    h1_request_init(&head);
    assert_true(h1_head_parse(&head, buf_bytes(&text), text.len, &limits) > 0);
    is = grpc_is_call(&head);
    buf_free(&text);
    return is;
}

static void test_calls(void **state)
{
    static const struct {
        const char *field;
        bool is_call;
    } rows[] = {
        { "Content-Type: application/grpc", true },
        { "content-type: APPLICATION/GRPC", true },
        { "content-type: application/grpc+proto", true },
        { "content-type: application/grpc; charset=utf-8", true },
        { "content-type: application/grpc ;a=b", true },
        { "content-type: application/grpc-web", false },
        { "content-type: application/grpc-web+proto", false },
        { "content-type: application/grpcx", false },
        { "content-type: application/grp", false },
        { "content-type: application/json", false },
        { "content-type: application/connect+proto", false },
        { "te: trailers", false }, /* a browser says so too */
        { "x: application/grpc", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("%s\n", rows[i].field);
        assert_int_equal(is_call("POST", rows[i].field), rows[i].is_call);
        assert_false(is_call("GET", rows[i].field)); /* which no call is, whatever it says of itself */
    }
}

static void test_statuses(void **state)
{
    static const int rows[][2] = { { 400, 13 }, { 401, 16 }, { 403, 7 },  { 404, 12 }, { 413, 8 },
                                   { 429, 8 },  { 431, 8 },  { 502, 14 }, { 503, 14 }, { 405, 2 } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(grpc_status(rows[i][0]), rows[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_calls), cmocka_unit_test(test_statuses) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
