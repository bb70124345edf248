/* The handshake of a WebSocket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/websocket.h"

/* The example of RFC 6455 1.3. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void test_a_key(void **state)
{
    char key[WEBSOCKET_KEY_BYTES];

    (void)state;
    websocket_make_key((const unsigned char *)"the sample nonce", key);
    assert_string_equal(key, KEY);
}

static void test_accepting(void **state)
{
    static const struct {
        const char *fields;
        bool accepted;
    } table[] = {
        { ACCEPT, true },
        { "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n", true },
        { "", false },
        { ACCEPT ACCEPT, false },
        { "Sec-WebSocket-Accept: \r\n", false },
        { "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n", false },
        { "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n", false },
    };
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 4096 };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct h1_head head;
        char text[512];
        int n = snprintf(
            text, sizeof text,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n",
            table[i].fields);

        h1_response_init(&head, STR("GET"));
        assert_int_equal(h1_head_parse(&head, text, (size_t)n, &limits), n);
        assert_int_equal(websocket_is_accepted(&head, KEY), table[i].accepted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key),
        cmocka_unit_test(test_accepting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
