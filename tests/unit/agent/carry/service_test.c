#include "agent/carry/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_reads(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        { "http://127.0.0.1:8080", "127.0.0.1", 8080 },
        { "http://127.0.0.1", "127.0.0.1", 80 },
        { "http://127.0.0.1/", "127.0.0.1", 80 },
        { "http://127.0.0.1:1/", "127.0.0.1", 1 },
        { "http://nas", "nas", 80 },
        { "http://my_container.local:65535", "my_container.local", 65535 },
        { "http://NAS.Example", "NAS.Example", 80 },
        { "http://[::1]", "::1", 80 },
        { "http://[fe80::1]:8080", "fe80::1", 8080 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct service s;

        assert_int_equal(service_parse(&s, rows[i].text, NULL), 0);
        assert_string_equal(s.host, rows[i].host);
        assert_int_equal(s.port, rows[i].port);
    }
}

static void test_refuses(void **state)
{
    static const char shape[] = "not http://HOST or http://HOST:PORT (such as http://127.0.0.1:8080)";
    static const char port[] = "the port is not a number from 1 to 65535 (such as http://127.0.0.1:8080)";
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", shape },
        { "127.0.0.1:80", shape },
        { "https://127.0.0.1", shape },
        { "HTTP://127.0.0.1", shape },
        { "http:/127.0.0.1", shape },
        { "http://", shape },
        { "http:///", shape },
        { "http://:80", shape },
        { "http://a b", shape },
        { "http://user@host", shape },
        { "http://user:pass@host", shape },
        { "http://user:80@host:80", shape },
        { "http://host/path", shape },
        { "http://host//", shape },
        { "http://host?x", shape },
        { "http://::1", shape },
        { "http://[::1", shape },
        { "http://[::1]x", shape },
        { "http://[1.2.3.4]", "1.2.3.4 is not an IPv6 address; such a service is written http://[::1]:8080" },
        { "http://[]", " is not an IPv6 address; such a service is written http://[::1]:8080" },
        { "http://host:", port },
        { "http://host:0", port },
        { "http://host:65536", port },
        { "http://host:80x", port },
        { "http://[::1]:x", port },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err why = { 0 };
        struct service s;

        assert_int_equal(service_parse(&s, rows[i].text, &why), -1);
        assert_int_equal(why.code, ERR_INPUT);
        if (strncmp(rows[i].text, "http://::1", 10) != 0) /* a port or a shape: either says it */
            assert_string_equal(why.text, rows[i].why);
    }
}

static void test_host_of_any_length(void **state)
{
    char text[400];

    (void)state;
    for (size_t n = 1; n < 300; n++) {
        struct service s;

        memset(text, 'a', sizeof text);
        memcpy(text, "http://", 7);
        text[7 + n] = 0;
        assert_int_equal(service_parse(&s, text, NULL), n <= 253 ? 0 : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_host_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
