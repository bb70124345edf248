#include "relay/edge/challenges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ACME  "/.well-known/acme-challenge/"
#define CHECK "/.well-known/tunnel-check/"

static void test_texts(void **state)
{
    static const struct {
        const char *path, *host, *text;
    } rows[] = {
        { ACME "abc", "a.test", "abc.print" },
        { ACME "abc", "", "abc.print" },
        { ACME "abc", "nobody.test", "abc.print" },
        { ACME "abc", "192.0.2.1", "abc.print" },
        { ACME "abc?x=y", "a.test", "abc.print" },
        { ACME "abc?", "a.test", "abc.print" },
        { ACME "ab", "a.test", NULL },
        { ACME "abcd", "a.test", NULL },
        { ACME "ABC", "a.test", NULL },
        { ACME "abc/", "a.test", NULL },
        { ACME "%61bc", "a.test", NULL },
        { ACME, "a.test", NULL },
        { "/.well-known/", "a.test", NULL },
        { "/" ACME "abc", "a.test", NULL },
        { "", "a.test", NULL },
        { "*", "a.test", NULL },
        { CHECK "n1", "a.test", "n1" },
        { CHECK "n2", "a.test", NULL },
        { ACME "told", "a.test", "told.a" }, /* by another relay, for these names alone */
        { ACME "told", "A.Test.", "told.a" },
        { ACME "told", "b.test", "told.b" },
        { ACME "told", "c.test", NULL },
        { ACME "told", "", NULL },
    };
    struct challenges *c = challenges_new(7);
    struct str none = { NULL, 0 };

    (void)state;
    challenges_add_text(c, ACME "told", "b.test", "told.b");
    challenges_add_text(c, CHECK "n1", "", "n1");
    challenges_add_text(c, ACME "abc", "", "abc.print");
    challenges_add_text(c, ACME "told", "a.test", "told.a");
    challenges_finish(c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = challenges_text(c, str_of(rows[i].path), str_of(rows[i].host));

        if ((text != NULL) != (rows[i].text != NULL) || (text && strcmp(text, rows[i].text) != 0))
            fail_msg("%s of %s: %s", rows[i].path, rows[i].host, text ? text : "nothing");
        assert_null(challenges_text(NULL, str_of(rows[i].path), str_of(rows[i].host)));
    }
    assert_null(challenges_text(c, none, none));
    assert_int_equal(challenges_serial(c), 7);
    assert_int_equal(challenges_serial(NULL), 0);
    challenges_release(c);
}

static void test_a_path_that_is_longer_than_any_of_ours(void **state)
{
    static const char prefix[] = ACME;
    char path[2000];
    struct challenges *c = challenges_new(1);

    (void)state;
    memset(path, 'a', sizeof path);
    memcpy(path, prefix, sizeof prefix - 1);
    challenges_add_text(c, ACME "a", "", "x");
    challenges_finish(c);
    for (size_t n = 0; n < sizeof path; n++)
        assert_int_equal(challenges_text(c, (struct str){ path, n }, STR("a.test")) != NULL,
                         n == sizeof prefix);
    challenges_release(c);
}

static void test_contexts(void **state)
{
    SSL_CTX *a = SSL_CTX_new(TLS_server_method()), *b = SSL_CTX_new(TLS_server_method());
    struct challenges *c = challenges_new(1), *same;

    (void)state;
    challenges_add_tls(c, "b.test", b);
    challenges_add_tls(c, "1.2.0.192.in-addr.arpa", a);
    challenges_finish(c);
    SSL_CTX_free(a);
    SSL_CTX_free(b);
    same = challenges_hold(c);
    challenges_release(c);
    assert_ptr_equal(challenges_tls(same, STR("B.test")), b);
    assert_ptr_equal(challenges_tls(same, STR("1.2.0.192.in-addr.arpa")), a);
    assert_null(challenges_tls(same, STR("a.test")));
    assert_null(challenges_tls(same, STR("")));
    assert_null(challenges_tls(same, STR("x.b.test")));
    assert_null(challenges_tls(NULL, STR("b.test")));
    challenges_release(same);
    challenges_release(NULL);
    assert_null(challenges_hold(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_a_path_that_is_longer_than_any_of_ours),
        cmocka_unit_test(test_contexts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
