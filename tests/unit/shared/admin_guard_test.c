/* Who may read the admin listener. */
#include "shared/admin_guard.h"

#include "shared/file.h"
#include "shared/value.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_hosts_without_a_password(void **state)
{
    static const struct {
        const char *host;
        enum admin_verdict verdict;
    } rows[] = {
        { "127.0.0.1", ADMIN_WELCOME },
        { "127.255.255.254", ADMIN_WELCOME },
        { "[::1]", ADMIN_WELCOME },
        { "localhost", ADMIN_WELCOME },
        { "LocalHost", ADMIN_WELCOME },
        { "", ADMIN_WELCOME },
        { "[::ffff:127.0.0.1]", ADMIN_WELCOME },
        { "128.0.0.1", ADMIN_WRONG_HOST },
        { "evil.example", ADMIN_WRONG_HOST },
        { "localhost.example", ADMIN_WRONG_HOST },
        { "localhost.", ADMIN_WRONG_HOST },
        { "[::]", ADMIN_WRONG_HOST },
        { "0.0.0.0", ADMIN_WRONG_HOST },
        { "127.1", ADMIN_WRONG_HOST },
        { "[]", ADMIN_WRONG_HOST },
        { "[", ADMIN_WRONG_HOST },
    };
    struct admin_guard g = { 0 };

    (void)state;
    assert_int_equal(admin_guard_load(&g, "", NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (admin_guard_judge(&g, str_of(rows[i].host), STR("")) != rows[i].verdict)
            fail_msg("%s", rows[i].host);
}

static void test_pages_of_others(void **state)
{
    static const struct {
        const char *path, *site, *mode, *dest;
        bool foreign;
    } rows[] = {
        { "/events", "", "", "", false },
        { "/events", "same-origin", "cors", "empty", false },
        { "/events", "none", "navigate", "document", false },
        { "/events", "cross-site", "cors", "empty", true },
        { "/events", "same-site", "no-cors", "empty", true },
        { "/events", "cross-site", "navigate", "document", true },
        { "/events", "cross-site", "", "", true },
        { "/", "cross-site", "navigate", "document", false },
        { "/", "same-site", "navigate", "document", false },
        { "/", "cross-site", "navigate", "iframe", true },
        { "/", "cross-site", "navigate", "", true },
        { "/", "cross-site", "no-cors", "document", true },
        { "/", "same-site", "no-cors", "image", true },
        { "/", "none", "navigate", "document", false },
        { "/", "", "navigate", "iframe", false },
        { "/else", "cross-site", "no-cors", "script", true },
        { "/metrics", "cross-site", "no-cors", "image", false },
        { "/healthz", "cross-site", "cors", "empty", false },
        { "/readyz", "same-site", "cors", "empty", false },
        { "/metrics/", "cross-site", "cors", "empty", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct http_request request = { .path = str_of(rows[i].path),
                                              .fetch_site = str_of(rows[i].site),
                                              .fetch_mode = str_of(rows[i].mode),
                                              .fetch_dest = str_of(rows[i].dest) };

        if (admin_guard_is_foreign(&request) != rows[i].foreign)
            fail_msg("%s %s %s %s", rows[i].path, rows[i].site, rows[i].mode, rows[i].dest);
    }
}

static void write_password(const char *path, const char *text)
{
    struct err e;

    if (file_write(path, text, strlen(text), 0600, &e) != 0)
        fail_msg("%s", e.text);
}

static void test_password(void **state)
{
    static const struct {
        const char *said;
        enum admin_verdict verdict;
    } rows[] = {
        { "Basic YWRtaW46d29yZA==", ADMIN_WELCOME }, /* admin:word */
        { "basic  YWRtaW46d29yZA==", ADMIN_WELCOME },
        { "", ADMIN_WRONG_PASSWORD },
        { "Basic", ADMIN_WRONG_PASSWORD },
        { "Basic ", ADMIN_WRONG_PASSWORD },
        { "Basic ====", ADMIN_WRONG_PASSWORD },
        { "Basic YWRtaW46d29yZA", ADMIN_WRONG_PASSWORD },
        { "Basic YWRtaW46d29yZHM=", ADMIN_WRONG_PASSWORD }, /* admin:words */
        { "Basic YWRtaW46d29y", ADMIN_WRONG_PASSWORD },     /* admin:wor */
        { "Basic cm9vdDp3b3Jk", ADMIN_WRONG_PASSWORD },     /* root:word */
        { "Basic YWRtaW46", ADMIN_WRONG_PASSWORD },         /* admin: */
        { "Basic ~~~~", ADMIN_WRONG_PASSWORD },
        { "Bearer YWRtaW46d29yZA==", ADMIN_WRONG_PASSWORD },
    };
    char path[] = "/tmp/admin-guard-XXXXXX";
    struct admin_guard g;
    struct err e = { 0 };

    (void)state;
    close(mkstemp(path));
    write_password(path, "word\n");
    if (admin_guard_load(&g, path, &e) != 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (admin_guard_judge(&g, str_of("any.example"), str_of(rows[i].said)) != rows[i].verdict)
            fail_msg("%s", rows[i].said);
    write_password(path, "");
    assert_int_equal(admin_guard_load(&g, path, &e), -1);
    assert_non_null(strstr(e.text, "empty"));
    assert_false(g.has_password);
    unlink(path);
    assert_int_equal(admin_guard_load(&g, path, &e), -1);
}

enum { SECOND_NS = 1000000000 };

static enum admin_verdict ask_from(const struct admin_guard *g, struct admin_visitors *v, unsigned address,
                                   const char *said, uint64_t now_ns)
{
    struct sockaddr_storage peer = { .ss_family = AF_INET };
    const struct http_request request = { .peer = &peer, .authorization = str_of(said) };
    unsigned retry_s = 0;
    enum admin_verdict verdict;

    ((struct sockaddr_in *)&peer)->sin_addr.s_addr = htonl(address);
    verdict = admin_guard_admit(g, v, &request, now_ns, &retry_s);
    assert_int_equal(verdict == ADMIN_TOO_MANY_WRONG, retry_s > 0);
    return verdict;
}

static void test_guesses(void **state)
{
    static const char right[] = "Basic YWRtaW46d29yZA==", wrong[] = "Basic YWRtaW46d29yZHM=";
    char path[] = "/tmp/admin-guard-XXXXXX";
    struct admin_visitors v;
    struct admin_guard g;
    struct err e = { 0 };
    uint64_t now = SECOND_NS;

    (void)state;
    close(mkstemp(path));
    write_password(path, "word");
    assert_int_equal(admin_guard_load(&g, path, &e), 0);
    admin_visitors_init(&v);
    for (int i = 0; i < 50; i++) /* right ones cost nothing */
        assert_int_equal(ask_from(&g, &v, 1, right, now), ADMIN_WELCOME);
    for (unsigned address = 1; address <= 2; address++)
        for (int i = 0; i < GUESSES; i++)
            assert_int_equal(ask_from(&g, &v, address, wrong, now), ADMIN_WRONG_PASSWORD);
    assert_int_equal(ask_from(&g, &v, 1, wrong, now), ADMIN_TOO_MANY_WRONG);
    assert_int_equal(ask_from(&g, &v, 1, right, now), ADMIN_WELCOME); /* who knows it is not kept out, */
    assert_int_equal(ask_from(&g, &v, 2, right, now), ADMIN_TOO_MANY_WRONG); /* who guesses learns nothing */
    assert_int_equal(ask_from(&g, &v, 2, "", now), ADMIN_WRONG_PASSWORD);
    assert_int_equal(ask_from(&g, &v, 3, right, now), ADMIN_WELCOME);
    now += (uint64_t)60 / GUESSES_M * SECOND_NS;
    assert_int_equal(ask_from(&g, &v, 2, wrong, now), ADMIN_WRONG_PASSWORD);
    assert_int_equal(ask_from(&g, &v, 2, right, now), ADMIN_TOO_MANY_WRONG);
    now += (uint64_t)60 / GUESSES_M * SECOND_NS;
    assert_int_equal(ask_from(&g, &v, 2, right, now), ADMIN_WELCOME);
    assert_int_equal(ask_from(&g, &v, 2, wrong, now), ADMIN_WRONG_PASSWORD);

    write_password(path, "words"); /* who knew the other one knows nothing */
    assert_int_equal(admin_guard_load(&g, path, &e), 0);
    assert_int_equal(ask_from(&g, &v, 1, wrong, now - SECOND_NS), ADMIN_WELCOME);
    assert_int_equal(ask_from(&g, &v, 2, wrong, now), ADMIN_TOO_MANY_WRONG);
    admin_visitors_free(&v);
    unlink(path);
}

static void test_local_addresses(void **state)
{
    static const struct {
        const char *text;
        bool local;
    } rows[] = { { "127.0.0.1:1", true }, { "[::1]:1", true },     { "127.8.8.8:1", true }, { ":1", false },
                 { "0.0.0.0:1", false },  { "10.0.0.1:1", false }, { "[::]:1", false } };
    struct opt_address address;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(value_address(str_of(rows[i].text), false, &address, NULL), 0);
        assert_int_equal(admin_is_local(&address), rows[i].local);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_without_a_password),
        cmocka_unit_test(test_pages_of_others),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_local_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
