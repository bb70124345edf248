#include "relay/certs/placeholders.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1800000000, DAY = 86400 };

static SSL_CTX *context(struct placeholders *p, const char *const *names, size_t n, time_t now)
{
    struct err e = { 0 };
    SSL_CTX *ctx = placeholders_context(p, names, n, now, &e);

    if (!ctx)
        fail_msg("%s", e.text);
    return ctx;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;

    assert_int_equal(ASN1_TIME_to_tm(time, &tm), 1);
    return timegm(&tm);
}

static void test_what_it_is(void **state)
{
    static const char *const names[] = { "a.test", "www.a.test", "*.w.test" };
    struct placeholders *p = placeholders_new();
    SSL_CTX *ctx = context(p, names, 3, NOW);
    X509 *cert = SSL_CTX_get0_certificate(ctx);

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(X509_check_host(cert, names[i], 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "x.w.test", 0, 0, NULL), 1);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
    assert_int_equal(X509_check_ca(cert), 0);
    assert_int_equal(X509_check_private_key(cert, SSL_CTX_get0_privatekey(ctx)), 1);
    assert_true(seconds_of(X509_get0_notBefore(cert)) < NOW);
    assert_true(seconds_of(X509_get0_notAfter(cert)) > NOW);
    assert_true(seconds_of(X509_get0_notAfter(cert)) < NOW + 8 * DAY);
    SSL_CTX_free(ctx);
    placeholders_free(p);
}

static void test_no_two_starts_have_the_same(void **state)
{
    static const char *const names[] = { "a.test" };
    struct placeholders *p = placeholders_new(), *q = placeholders_new();
    SSL_CTX *a = context(p, names, 1, NOW), *b = context(q, names, 1, NOW);

    (void)state;
    assert_int_equal(EVP_PKEY_eq(SSL_CTX_get0_privatekey(a), SSL_CTX_get0_privatekey(b)), 0);
    SSL_CTX_free(a);
    SSL_CTX_free(b);
    placeholders_free(p);
    placeholders_free(q);
}

static void test_made_once_until_it_is_old(void **state)
{
    static const char *const names[] = { "a.test", "www.a.test" };
    static const struct {
        time_t now;
        size_t n;
        bool same; /* as the one before */
    } rows[] = {
        { NOW, 1, false },           { NOW + DAY, 1, true },
        { NOW + DAY, 2, false },     { NOW + 3 * DAY, 2, true },
        { NOW + 5 * DAY, 2, false }, { NOW, 2, false }, /* the clock was set back */
    };
    struct placeholders *p = placeholders_new();
    SSL_CTX *before = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        SSL_CTX *ctx = context(p, names, rows[i].n, rows[i].now);

        if ((ctx == before) != rows[i].same)
            fail_msg("row %zu", i);
        SSL_CTX_free(before);
        before = ctx;
    }
    SSL_CTX_free(before);
    placeholders_free(p);
}

static void test_forgotten_when_nobody_asks(void **state)
{
    static const char *const names[] = { "a.test", "b.test" };
    struct placeholders *p = placeholders_new();
    SSL_CTX *a = context(p, names, 1, NOW), *b = context(p, names + 1, 1, NOW), *again;

    (void)state;
    placeholders_forget_unused(p);
    again = context(p, names, 1, NOW);
    assert_ptr_equal(again, a);
    SSL_CTX_free(again);
    placeholders_forget_unused(p);
    again = context(p, names + 1, 1, NOW); /* b was forgotten, our reference is alive */
    assert_ptr_not_equal(again, b);
    SSL_CTX_free(again);
    SSL_CTX_free(a);
    SSL_CTX_free(b);
    placeholders_free(p);
    placeholders_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_no_two_starts_have_the_same),
        cmocka_unit_test(test_made_once_until_it_is_old),
        cmocka_unit_test(test_forgotten_when_nobody_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
