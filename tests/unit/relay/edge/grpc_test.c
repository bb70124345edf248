/* Which requests are calls of gRPC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "relay/edge/grpc.h"
#include "shared/buf.h"

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
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 8192 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = { 0 };
        struct h1_head head;

        buf_printf(&text, "POST /a.B/C HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", rows[i].field);
        h1_request_init(&head);
        assert_true(h1_head_parse(&head, buf_bytes(&text), text.len, &limits) > 0);
        print_message("%s\n", rows[i].field);
        assert_int_equal(grpc_is_call(&head), rows[i].is_call);
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_calls) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
