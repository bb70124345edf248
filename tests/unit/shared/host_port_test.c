#include "shared/host_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_reads(void **state)
{
    static const struct {
        const char *text;
        uint16_t default_port;
        const char *host;
        uint16_t port;
    } rows[] = {
        { "127.0.0.1:1337", 0, "127.0.0.1", 1337 },
        { "nas", 80, "nas", 80 },
        { "nas:1", 80, "nas", 1 },
        { "my_app.Local:65535", 0, "my_app.Local", 65535 },
        { "[::1]:8080", 0, "::1", 8080 },
        { "[fe80::1]", 80, "fe80::1", 80 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct host_port got;

        assert_int_equal(host_port_read(&got, str_of(rows[i].text), rows[i].default_port, "?", NULL), 0);
        assert_string_equal(got.host, rows[i].host);
        assert_int_equal(got.port, rows[i].port);
    }
}

static void test_refuses(void **state)
{
    static const char port[] = "the port is not a number from 1 to 65535";
    static const char brackets[] =
        "there is no IPv6 address between the brackets; one is written like [::1]:8080";
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", "shape" },          { "nas", "shape" },         { ":80", "shape" },
        { "a b:80", "shape" },    { "[::1", "shape" },        { "[::1]80", "shape" },
        { "[::1]", "shape" },     { "user@nas:80", "shape" }, { "nas:", port },
        { "nas:0", port },        { "nas:65536", port },      { "nas:80x", port },
        { "[nas]:80", brackets }, { "[]:80", brackets },      { "[1.2.3.4]:1", brackets },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err why = { 0 };
        struct host_port got;

        assert_int_equal(host_port_read(&got, str_of(rows[i].text), 0, "shape", &why), -1);
        assert_int_equal(why.code, ERR_INPUT);
        assert_string_equal(why.text, rows[i].why);
    }
}

static void test_host_of_any_length(void **state)
{
    char text[400];

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t n = 1; n < 300; n++) {
        struct host_port got;

        assert_int_equal(host_port_read(&got, (struct str){ text, n }, 80, "?", NULL),
                         n < HOST_BYTES ? 0 : -1);
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
