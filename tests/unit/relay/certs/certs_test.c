#include "relay/certs/certs.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/capture.h"
#include "tests/unit/temp.h"

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

enum { NOW = 1800000000, DAY = 86400, HALF = 7 * DAY / 2 };

static struct certs *open_certs(struct temp *t)
{
    struct err e = { 0 };
    struct certs *c = certs_open(t->folder, NOW, &e);

    if (!c)
        fail_msg("%s", e.text);
    return c;
}

/* The context, whose reference is given back: certs keep one. */
static SSL_CTX *context(struct certs *c, const char *const *names, time_t now)
{
    struct err e = { 0 };
    size_t n = 0;
    SSL_CTX *ctx;

    while (names[n])
        n++;
    ctx = certs_context(c, names, n, now, &e);
    if (!ctx)
        fail_msg("%s", e.text);
    SSL_CTX_free(ctx);
    return ctx;
}

static X509 *leaf_of(SSL_CTX *ctx)
{
    return SSL_CTX_get0_certificate(ctx);
}

static void test_a_site(void **state)
{
    static const char *const covered[] = { "a.test", "www.a.test", "x.w.test" };
    static const char *const others[] = { "b.test", "x.a.test", "w.test", "x.y.w.test" };
    struct certs *c = open_certs(*state);
    SSL_CTX *ctx = context(c, NAMES("a.test", "www.a.test", "*.w.test"), NOW);
    STACK_OF(X509) * chain;

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(X509_check_host(leaf_of(ctx), covered[i], 0, 0, NULL), 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(X509_check_host(leaf_of(ctx), others[i], 0, 0, NULL), 0);
    assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
    assert_int_equal(SSL_CTX_get0_chain_certs(ctx, &chain), 1);
    assert_int_equal(sk_X509_num(chain), 1);
    assert_int_equal(X509_verify(leaf_of(ctx), X509_get0_pubkey(sk_X509_value(chain, 0))), 1);
    certs_free(c);
    certs_free(NULL);
}

/* What was made stays until half its life is over, its names are others, or the clock says it is from the future. */
static void test_when_it_is_made_anew(void **state)
{
    static const struct {
        const char *name;
        const char *names[4];
        time_t at;
        bool anew;
    } rows[] = {
        { "the same", { "a.test", "b.test" }, NOW, false },
        { "just before half of its life", { "a.test", "b.test" }, NOW + HALF - 1, false },
        { "half of its life", { "a.test", "b.test" }, NOW + HALF, true },
        { "when it is over", { "a.test", "b.test" }, NOW + 8 * DAY, true },
        { "years later", { "a.test", "b.test" }, NOW + 1000 * (time_t)DAY, true },
        { "a clock that was wrong before", { "a.test", "b.test" }, NOW - 1, true },
        { "one alias more", { "a.test", "b.test", "c.test" }, NOW, true },
        { "one alias less", { "a.test" }, NOW, true },
        { "another alias", { "a.test", "c.test" }, NOW, true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct certs *c = open_certs(*state);
        SSL_CTX *first = context(c, NAMES("a.test", "b.test"), NOW), *other, *second;

        SSL_CTX_up_ref(first); /* as a snapshot does, in which it lives on */
        other = context(c, NAMES("other.test"), NOW);
        second = context(c, rows[i].names, rows[i].at);
        if ((first != second) != rows[i].anew)
            fail_msg("%s: is%s made anew", rows[i].name, rows[i].anew ? " not" : "");
        assert_ptr_equal(context(c, rows[i].names, rows[i].at), second);
        assert_ptr_equal(context(c, NAMES("other.test"), NOW), other);
        assert_int_equal(X509_check_host(leaf_of(first), "b.test", 0, 0, NULL), 1);
        SSL_CTX_free(first);
        certs_free(c);
    }
}

static void test_next_renewal(void **state)
{
    struct certs *c = open_certs(*state);

    assert_true(certs_next_renewal(c) == 0);
    context(c, NAMES("a.test"), NOW + 10);
    assert_true(certs_next_renewal(c) == NOW + 10 + HALF);
    context(c, NAMES("b.test"), NOW);
    context(c, NAMES("c.test"), NOW + 20);
    assert_true(certs_next_renewal(c) == NOW + HALF);
    context(c, NAMES("b.test"), NOW + HALF);
    assert_true(certs_next_renewal(c) == NOW + 10 + HALF);
    certs_free(c);
}

static void test_forgetting(void **state)
{
    struct certs *c = open_certs(*state);
    SSL_CTX *a = context(c, NAMES("a.test"), NOW), *b = context(c, NAMES("b.test"), NOW);

    SSL_CTX_up_ref(a);
    SSL_CTX_up_ref(b);
    certs_forget_unused(c); /* both were asked for */
    assert_ptr_equal(context(c, NAMES("b.test"), NOW), b);
    certs_forget_unused(c); /* a.test was not */
    assert_ptr_not_equal(context(c, NAMES("a.test"), NOW), a);
    assert_ptr_equal(context(c, NAMES("b.test"), NOW), b);
    assert_int_equal(SSL_CTX_check_private_key(a), 1); /* whoever has a reference keeps it */
    certs_forget_unused(c);
    certs_forget_unused(c);
    assert_true(certs_next_renewal(c) == 0);
    certs_forget_unused(c);
    SSL_CTX_free(a);
    SSL_CTX_free(b);
    certs_free(c);
}

static void assert_status(const struct certs *c, const char *site, const char *expected)
{
    json_t *status = certs_status(c, site);
    char *text;

    assert_non_null(status);
    text = json_dumps(status, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, expected);
    free(text);
    json_decref(status);
}

#define NONE                                                                                                                     \
    "{\"failing_since\":null,\"issuer\":\"internal\",\"last_error\":null,\"names\":[],\"next_attempt\":null,\"not_after\":null," \
    "\"state\":\"none\"}"

static void test_status(void **state)
{
    struct certs *c = open_certs(*state);

    assert_status(c, "a.test", NONE);
    context(c, NAMES("a.test", "*.a.test"), NOW);
    assert_status(
        c, "a.test",
        "{\"failing_since\":null,\"issuer\":\"internal\",\"last_error\":null,\"names\":[\"a.test\",\"*.a.test\"],"
        "\"next_attempt\":\"2027-01-18T20:00:00Z\",\"not_after\":\"2027-01-22T08:00:00Z\","
        "\"state\":\"valid\"}");
    assert_status(c, "*.a.test", NONE); /* by the site's own name alone */
    certs_free(c);
}

/* A name that no certificate can hold stands for whatever goes wrong. */
static void test_an_old_one_that_is_still_good(void **state)
{
    const char *const names[] = { "a.test", "b,test" };
    struct certs *c = open_certs(*state);
    SSL_CTX *old = context(c, NAMES("a.test"), NOW), *kept;
    struct err e = { 0 };
    struct capture said;
    const char *line;

    capture_begin(&said, STDERR_FILENO);
    for (time_t now = NOW + HALF; now < NOW + 7 * DAY; now += DAY) {
        kept = certs_context(c, names, 2, now, &e);
        assert_ptr_equal(kept, old);
        SSL_CTX_free(kept);
    }
    line = strstr(capture_end(&said),
                  "no new certificate; the old one is shown until it expires domain=\"a.test\"");
    assert_non_null(line);
    assert_null(strstr(line + 1, "no new certificate")); /* once is enough */
    buf_free(&said.text);
    assert_status(
        c, "a.test",
        "{\"failing_since\":\"2027-01-18T20:00:00Z\",\"issuer\":\"internal\",\"last_error\":\"cannot put an extension into a certificate\","
        "\"names\":[\"a.test\"],\"next_attempt\":null,\"not_after\":\"2027-01-22T08:00:00Z\","
        "\"state\":\"failing\"}");
    assert_null(certs_context(c, names, 2, NOW + 7 * DAY, &e)); /* it has expired */
    assert_string_not_equal(e.text, "");
    assert_ptr_not_equal(context(c, NAMES("a.test"), NOW + 7 * DAY), old);
    certs_free(c);
}

/* What is told is what stands in the certificate. */
static void test_status_and_the_leaf_agree(void **state)
{
    struct certs *c = open_certs(*state);
    SSL_CTX *ctx = context(c, NAMES("a.test"), NOW);
    struct tm tm;
    char text[32];
    json_t *status = certs_status(c, "a.test");

    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(leaf_of(ctx)), &tm), 1);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    assert_string_equal(json_string_value(json_object_get(status, "not_after")), text);
    json_decref(status);
    certs_free(c);
}

static void test_a_restart(void **state)
{
    struct temp *t = *state;
    struct certs *c = open_certs(t);
    struct buf before = { 0 }, after = { 0 };
    SSL_CTX *a = context(c, NAMES("a.test"), NOW);

    SSL_CTX_up_ref(a);
    certs_root_pem(c, &before);
    certs_free(c);
    c = open_certs(t);
    certs_root_pem(c, &after);
    assert_string_equal(buf_text(&before), buf_text(&after));
    assert_ptr_not_equal(context(c, NAMES("a.test"), NOW), a); /* leaves live in memory */
    assert_int_equal(temp_count(t), 1);
    assert_int_equal(temp_mode(temp_path(t, "internal")), 0700);
    SSL_CTX_free(a);
    certs_free(c);
    buf_free(&before);
    buf_free(&after);
}

static void test_a_root_that_is_damaged(void **state)
{
    struct temp *t = *state;
    struct err e = { 0 };

    certs_free(open_certs(t));
    temp_file(t, "internal/root.pem", "no root\n", 0600);
    assert_null(certs_open(t->folder, NOW, &e));
    assert_non_null(strstr(e.text, "internal issuer: "));
    assert_non_null(strstr(e.text, "/internal/root.pem: not a certificate; restore it"));
}

#define temp_test(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        temp_test(test_a_site),
        temp_test(test_when_it_is_made_anew),
        temp_test(test_next_renewal),
        temp_test(test_forgetting),
        temp_test(test_status),
        temp_test(test_status_and_the_leaf_agree),
        temp_test(test_a_restart),
        temp_test(test_a_root_that_is_damaged),
        temp_test(test_an_old_one_that_is_still_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
