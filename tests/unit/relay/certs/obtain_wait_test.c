/* When nothing is ordered, or not yet: our own disk fails, a name does not lead here, nothing has changed since the last try. */
#include "tests/unit/relay/certs/obtain_bench.h"

static void test_our_own_disk_is_nobodys_refusal(void **state)
{
    struct bench b;
    SSL_CTX *tls;

    bench_begin(&b, *state, plain);
    ca.fills_disk = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED);
    assert_non_null(strstr(b.r.why.text, "what acme has issued: cannot write "));
    assert_int_equal(b.r.meta.issuers_n, 0);
    assert_int_equal(b.r.meta.retry.failures, 0);
    assert_non_null(b.kept.chain_pem);
    tls = kept_context(&b.kept, NULL);
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(tls), "a.com", 0, 0, NULL), 1);
    SSL_CTX_free(tls);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED); /* still */
    assert_true(b.r.keep && b.kept.chain_pem);
    disk_is_full(false);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.installed && b.r.meta.certs[META_ECDSA].there);
    assert_null(b.kept.chain_pem);
    assert_int_equal(ca.asked, 1);
    bench_end(&b);
}

static void test_what_cannot_be_counted_is_not_ordered(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL); /* which notes what the authority suggests */
    b.forced = true;
    disk_is_full(true);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED);
    disk_is_full(false);
    assert_non_null(strstr(b.r.why.text, "nothing can be ordered: cannot write "));
    assert_int_equal(ca.asked, 1);
    assert_int_equal(b.r.meta.issuers[0].failures, 0);
    bench_end(&b);
}

/* Counted from the first look on, on disk. */
static void test_a_look_holds_nothing_back_for_more_than_a_day(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\ndirectory = https://ca.test/dir\n");
    elsewhere = "a.com";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_HELD);
    assert_true(b.r.meta.held_since >= time(NULL) - 5);
    b.r.meta.held_since -= DAY - 60;
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_HELD);
    assert_true(b.r.meta.held_since < time(NULL) - DAY / 2); /* as it was */
    b.r.meta.held_since -= 60;
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 1);
    assert_true(b.r.meta.held_since == 0);
    bench_end(&b);
}

/* With preflight = off nobody looks whether the names lead here. */
static void test_changed_dns_hastens_the_next_try(void **state)
{
    static const struct {
        const char *says;
        int asked; /* orders, so far */
    } looks[] = { { NULL, 1 }, { "192.0.2.1", 1 }, { "192.0.2.1", 1 },
                  { NULL, 1 }, { "192.0.2.2", 2 }, { "192.0.2.2", 2 } };
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    b.look_again = true;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        dns_says = looks[i].says;
        assert_int_equal(obtain(&b, SITE("a.com")),
                         looks[i].asked > looks[i > 0 ? i - 1 : 0].asked ? OBTAIN_FAILED : OBTAIN_WELL);
        assert_int_equal(ca.asked, looks[i].asked);
    }
    ca.fails_at = NULL;
    dns_says = "192.0.2.3";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.installed && !b.r.meta.dns);
    bench_end(&b);
}

static void test_mended_dns_is_noticed_while_tries_fail(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\ndirectory = https://ca.test/dir\n");
    ca.fails_at = "ca.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    elsewhere = "a.com";
    b.look_again = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(b.r.here, 0);
    ca.fails_at = elsewhere = NULL;
    b.here = 0;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_true(b.r.installed);
    bench_end(&b);
}

static void test_what_does_not_lead_here_is_not_ordered(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\ndirectory = https://ca.test/dir\n");
    elsewhere = "a.com";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_HELD);
    assert_string_equal(b.r.why.text, "it leads elsewhere");
    assert_int_equal(b.r.meta.retry.failures, 0);
    elsewhere = "www.a.com";
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL);
    assert_string_equal(ca.names, "a.com ");
    b.look_again = true;
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 1);
    elsewhere = NULL; /* its DNS was mended */
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL);
    assert_string_equal(ca.names, "a.com www.a.com ");
    assert_int_equal(b.r.meta.left_out_n, 0);
    bench_end(&b);
}

/* A person wanted another one; what there is, is good for long. */
static void test_what_failed_and_is_not_wanted_any_more_is_forgotten(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    ca.fails_at = "ca.test";
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    b.forced = false;
    assert_int_equal(obtain(&b, SITE("a.com")),
                     OBTAIN_WELL); /* it stands there for as long as it would be tried again */
    assert_non_null(b.r.meta.last_error);
    b.r.meta.retry.next_try = time(NULL);
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_null(b.r.meta.last_error);
    assert_int_equal(b.r.meta.retry.failures, 0);
    assert_non_null(b.r.meta.issuers[0].last_error);
    assert_int_equal(ca.asked, 2);
    bench_end(&b);
}

static void test_what_a_clock_ahead_has_noted_is_mended(void **state)
{
    const int64_t year = 365 * DAY;
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    b.r.meta.retry.last_try += year;
    b.r.meta.retry.next_try += year;
    b.r.meta.issuers[0].last_try += year;
    assert_true(meta_leave_out(&b.r.meta, "www.a.com", "x", time(NULL) + year));
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.meta.retry.next_try < time(NULL) + DAY);
    assert_true(b.r.meta.issuers[0].last_try <= time(NULL));
    assert_true(b.r.meta.left_out[0].since <= time(NULL));
    assert_int_equal(ca.asked, 1);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_our_own_disk_is_nobodys_refusal, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_counted_is_not_ordered, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_look_holds_nothing_back_for_more_than_a_day, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_changed_dns_hastens_the_next_try, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_mended_dns_is_noticed_while_tries_fail, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_does_not_lead_here_is_not_ordered, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_failed_and_is_not_wanted_any_more_is_forgotten, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_what_a_clock_ahead_has_noted_is_mended, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
