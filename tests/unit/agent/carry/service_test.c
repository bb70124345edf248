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
        assert_string_equal(s.at.host, rows[i].host);
        assert_int_equal(s.at.port, rows[i].port);
    }
}

static void test_refuses(void **state)
{
    static const char kinds[] =
        "not http://HOST, http://HOST:PORT (such as http://127.0.0.1:8080), https://HOST:PORT, h2c://HOST:PORT, "
        "unix:/PATH or tcp://HOST:PORT";
    static const char no_path[] =
        "a service has no path: what visitors ask for is passed on as it is; end with the host or its "
        "port (such as http://127.0.0.1:8080)";
    static const char shape[] = "not http://HOST or http://HOST:PORT (such as http://127.0.0.1:8080)";
    static const char tls[] = "not https://HOST or https://HOST:PORT (such as https://nas:8443)";
    static const char tcp[] = "not tcp://HOST:PORT (such as tcp://127.0.0.1:5432)";
    static const char path[] = "not unix: and an absolute path (such as unix:/run/app.sock)";
    static const char brackets[] =
        "there is no IPv6 address between the brackets; one is written like [::1]:8080";
    static const char port[] = "the port is not a number from 1 to 65535";
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", kinds },
        { "127.0.0.1:80", kinds },
        { "HTTPS://127.0.0.1", kinds },
        { "h2://127.0.0.1", kinds },
        { "h2c://nas/path", no_path },
        { "https:/127.0.0.1", kinds },
        { "https://", tls },
        { "https://nas/path", no_path },
        { "https://nas:0", port },
        { "HTTP://127.0.0.1", kinds },
        { "http:/127.0.0.1", kinds },
        { "http://", shape },
        { "http:///", shape },
        { "http://:80", shape },
        { "http://a b", shape },
        { "http://user@host", shape },
        { "http://user:pass@host", shape },
        { "http://user:80@host:80", shape },
        { "http://host/path", no_path },
        { "http://host:80/path", no_path },
        { "http://host//", no_path },
        { "http://host?x", shape },
        { "http://::1", shape },
        { "http://[::1", shape },
        { "http://[::1]x", shape },
        { "http://[1.2.3.4]", brackets },
        { "http://[]", brackets },
        { "http://host:", port },
        { "http://host:0", port },
        { "http://host:65536", port },
        { "http://host:80x", port },
        { "http://[::1]:x", port },
        { "tcp://nas", tcp },
        { "tcp://", tcp },
        { "tcp://nas:0", port },
        { "tcp://nas:1/", port },
        { "unix:", path },
        { "unix:run/app.sock", path },
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

static void test_other_kinds(void **state)
{
    char text[120] = "unix:/";
    struct service s;

    (void)state;
    assert_int_equal(service_parse(&s, "http://nas", NULL), 0);
    assert_int_equal(s.kind, SERVICE_HTTP);
    assert_int_equal(service_parse(&s, "https://nas", NULL), 0);
    assert_int_equal(s.kind, SERVICE_HTTPS);
    assert_true(s.verify);
    assert_string_equal(s.at.host, "nas");
    assert_int_equal(s.at.port, 443);
    assert_int_equal(service_parse(&s, "https://[::1]:8443/", NULL), 0);
    assert_string_equal(s.at.host, "::1");
    assert_int_equal(s.at.port, 8443);
    assert_int_equal(service_parse(&s, "h2c://nas", NULL), 0);
    assert_true(s.kind == SERVICE_H2C && s.at.port == 80 && !s.http2);
    assert_int_equal(service_parse(&s, "h2c://[::1]:50051/", NULL), 0);
    assert_int_equal(s.at.port, 50051);
    assert_int_equal(service_parse(&s, "tcp://[::1]:5432", NULL), 0);
    assert_int_equal(s.kind, SERVICE_TCP);
    assert_string_equal(s.at.host, "::1");
    assert_int_equal(s.at.port, 5432);
    assert_int_equal(service_parse(&s, "unix:/run/my app.sock", NULL), 0);
    assert_int_equal(s.kind, SERVICE_UNIX);
    assert_string_equal(s.at.host, "/run/my app.sock");
    for (size_t n = 1; n < 112; n++) { /* a sockaddr_un holds 107 */
        memset(text + 6, 'a', n - 1);
        assert_int_equal(service_parse(&s, text, NULL), n <= 107 ? 0 : -1);
    }
}

static void test_what_is_passed_through(void **state)
{
    static const struct {
        const char *text, *item;
        bool passed, fits;
        enum service_kind as;
    } rows[] = {
        { "https://nas", "domain:a.test", true, true, SERVICE_TCP },
        { "https://nas", "domain:a.test", false, true, SERVICE_HTTPS },
        { "tcp://nas:1", "domain:a.test", true, true, SERVICE_TCP },
        { "tcp://nas:1", "domain:a.test", false, false, SERVICE_TCP },
        { "tcp://nas:1", "tcp:db", false, true, SERVICE_TCP },
        { "tcp://nas:1", "relay:r", false, true, SERVICE_TCP },
        { "unix:/run/s", "domain:a.test", true, true, SERVICE_UNIX },
        { "unix:/run/s", "domain:a.test", false, true, SERVICE_UNIX },
        { "http://nas", "domain:a.test", true, false, SERVICE_HTTP },
        { "http://nas", "domain:a.test", false, true, SERVICE_HTTP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct service s;

        assert_int_equal(service_parse(&s, rows[i].text, NULL), 0);
        assert_int_equal(service_why_unfit(&s, str_of(rows[i].item), rows[i].passed) == NULL, rows[i].fits);
        assert_int_equal(service_for(&s, rows[i].passed).kind, rows[i].as);
    }
}

static void test_how_it_is_spoken_to(void **state)
{
    static const struct {
        const char *text;
        bool http1, http2;
    } rows[] = { { "http://a", true, false },
                 { "https://a", true, true },
                 { "h2c://a", false, true },
                 { "unix:/a", true, false },
                 { "tcp://a:1", true, false } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct service s;

        assert_int_equal(service_parse(&s, rows[i].text, NULL), 0);
        assert_int_equal(!service_mismatch(&s, false), rows[i].http1);
        assert_int_equal(!service_mismatch(&s, true), rows[i].http2);
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
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_how_it_is_spoken_to),
        cmocka_unit_test(test_host_of_any_length),
        cmocka_unit_test(test_what_is_passed_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
