/* What is done for a site's certificates, with orders that end as a test says: nobody is asked for anything. */
#include "tests/unit/relay/certs/obtain_bench.h"

static void test_the_staging_area_comes_first(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\n");
    ca.fails_at = "staging";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    assert_non_null(strstr(b.r.why.text, "staging: the authority says no"));
    assert_true(b.r.meta.retry.next_try > time(NULL));
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL); /* nothing is tried before then */
    assert_int_equal(ca.asked, 1);
    ca.fails_at = NULL;
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 3);
    assert_string_equal(ca.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_true(b.r.installed);
    b.forced = false;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 3);
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL); /* it has worked before */
    assert_int_equal(ca.asked, 4);
    assert_string_equal(ca.names, "a.com www.a.com ");
    bench_end(&b);
}

static void test_another_authority_takes_over(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://one.test/dir\npreflight = off\n"
                "[acme second]\ndirectory = https://two.test/dir\npreflight = off\n");
    b.forced = true;
    ca.fails_at = "one.test";
    for (int i = 0; i < DUE_FALL_BACK; i++) {
        assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
        assert_string_equal(ca.directory, "https://one.test/dir");
    }
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_string_equal(ca.directory, "https://two.test/dir");
    assert_string_equal(b.r.meta.certs[META_ECDSA].issuer, "second");
    b.forced = false;
    assert_int_equal(obtain(&b, SITE("a.com", "b.com")),
                     OBTAIN_FAILED); /* another configuration: from the beginning */
    assert_string_equal(ca.directory, "https://one.test/dir");
    assert_true(b.r.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

static void test_what_is_refused_is_not_asked_for_twice(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://one.test/dir\npreflight = off\n"
                "[acme second]\ndirectory = https://two.test/dir\npreflight = off\n");
    ca.fails_at = "one.test";
    ca.class = ACME_REFUSED;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_true(b.r.meta.retry.next_try >= time(NULL) + DAY - 5);
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_string_equal(ca.directory, "https://two.test/dir");
    bench_end(&b);
}

static void test_a_name_that_fails_is_left_out(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    ca.fails_for = "bad.com";
    assert_int_equal(obtain(&b, SITE("a.com", "bad.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_string_equal(ca.names, "a.com ");
    assert_int_equal(b.r.meta.left_out_n, 1);
    assert_string_equal(b.r.meta.left_out[0].name, "bad.com");
    assert_null(b.r.meta.last_error);
    ca.fails_for = "worse.com"; /* what there is does for the others */
    assert_int_equal(obtain(&b, SITE("a.com", "worse.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 3);
    assert_false(b.r.installed);
    assert_string_equal(b.r.meta.left_out[0].name, "worse.com");
    ca.fails_for = "a.com"; /* it has a certificate, which is good for long */
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com", "c.com")), OBTAIN_FAILED);
    assert_int_equal(b.r.meta.left_out_n, 0);
    assert_true(chain_has_name(&b.r.meta.certs[META_ECDSA].facts.chain, "a.com"));
    bench_end(&b);
}

static void test_a_strangers_name_is_no_reason_to_order_again(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    ca.fails_for = "bad.com";
    ca.blames = "elsewhere.com";
    assert_int_equal(obtain(&b, SITE("a.com", "bad.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    assert_int_equal(b.r.meta.left_out_n, 0);
    bench_end(&b);
}

static void test_a_later_failure_blames_no_name(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    ca.fails_for = "bad.com";
    ca.class = ACME_LATER;
    assert_int_equal(obtain(&b, SITE("a.com", "bad.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    assert_int_equal(b.r.meta.left_out_n, 0);
    bench_end(&b);
}

static void test_an_order_is_taken_up_again(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    b.forced = true;
    ca.fails_at = "ca.test";
    ca.class = ACME_STOPPED;
    ca.noted = "https://ca.test/order/1";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED);
    assert_null(b.r.meta.last_error);
    ca.fails_at = NULL;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_string_equal(ca.resume, "https://ca.test/order/1");
    assert_null(b.r.meta.order.url);
    bench_end(&b);
}

static void test_two_kinds_of_keys(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://ca.test/dir\npreflight = off\nkey_types = rsa p384\n");
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_true(b.r.meta.certs[META_RSA].there && b.r.meta.certs[META_ECDSA].there);
    configure(&b, *state, plain);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_false(b.r.meta.certs[META_RSA].there);
    assert_true(b.r.installed);
    bench_end(&b);
}

/* Another authority wants it; or the other one is not good. */
static void test_a_pair_that_is_needed_stays(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://one.test/dir\npreflight = off\nkey_types = ecdsa rsa\n");
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    configure(&b, *state,
              "[acme]\ndirectory = https://one.test/dir\npreflight = off\n"
              "[acme second]\ndirectory = https://two.test/dir\npreflight = off\nkey_types = rsa\n");
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.meta.certs[META_RSA].there && b.r.meta.certs[META_ECDSA].there);
    b.r.meta.certs[META_ECDSA].revoked_at = time(NULL);
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    configure(&b, *state, "[acme]\ndirectory = https://one.test/dir\npreflight = off\n");
    ca.fails_at = "one.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL); /* the next try is later */
    assert_true(b.r.meta.certs[META_RSA].there && b.r.meta.certs[META_ECDSA].there);
    ca.fails_at = NULL;
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_false(b.r.meta.certs[META_RSA].there);
    bench_end(&b);
}

static void test_one_kind_of_key_does_not_hold_up_the_other(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://ca.test/dir\npreflight = off\nkey_types = ecdsa rsa\n");
    ca.fails_type = KEY_ECDSA;
    ca.class = ACME_REFUSED;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 2);
    assert_true(b.r.meta.certs[META_RSA].there && b.r.installed);
    assert_string_equal(b.r.why.text, "with a key of the kind ecdsa: the authority says no");
    assert_string_equal(b.r.meta.last_error, b.r.why.text); /* also when the other went well after it */
    assert_true(b.r.meta.retry.next_try >= time(NULL) + DAY - 5);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    ca.fails_type = -1;
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

/* It would fail for the same reason, and count once more. */
static void test_names_that_fail_fail_once(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://ca.test/dir\npreflight = off\nkey_types = ecdsa rsa\n");
    ca.fails_at = "ca.test";
    ca.fails_for = "a.com";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    bench_end(&b);
}

static void test_limits_are_kept_here(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\nstaging_first = off\npreflight = off\n");
    b.forced = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_DECLINED);
    assert_int_equal(ca.asked, 5);
    assert_non_null(strstr(b.r.why.text, "5 certificates for the same names"));
    assert_null(b.r.meta.last_error); /* what there is is good */
    assert_int_equal(b.r.meta.retry.failures, 0);
    assert_int_equal(b.r.meta.issuers[0].failures, 0); /* it was not asked */
    assert_true(b.r.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_staging_area_comes_first, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_another_authority_takes_over, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_is_refused_is_not_asked_for_twice, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_name_that_fails_is_left_out, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_strangers_name_is_no_reason_to_order_again, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_a_later_failure_blames_no_name, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_an_order_is_taken_up_again, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_two_kinds_of_keys, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_pair_that_is_needed_stays, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_one_kind_of_key_does_not_hold_up_the_other, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_names_that_fail_fail_once, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_limits_are_kept_here, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
