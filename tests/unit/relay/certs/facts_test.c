#include "relay/certs/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/relay/certs/maker.h"

static const time_t start = 1800000000;

/* The certificate of RFC 9773, appendix A: its identifier is known. */
static const char rfc9773[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
                              "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
                              "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
                              "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
                              "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
                              "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
                              "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
                              "-----END CERTIFICATE-----\n";

static struct facts facts_of(const char *pem)
{
    struct facts f;
    struct err e = { 0 };

    if (facts_read(pem, strlen(pem), &f, &e) != 0)
        fail_msg("%s", e.text);
    return f;
}

static void test_the_identifier_of_renewal_information_is_that_of_the_rfc(void **state)
{
    struct facts f = facts_of(rfc9773);

    (void)state;
    assert_string_equal(f.ari_id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"); /* the leading 00 is part of it */
    assert_string_equal(f.serial, "87654321");
    assert_string_equal(f.ca, "Example CA");
    assert_string_equal(f.key_type, "ecdsa P-256");
    assert_int_equal(f.names_n, 0);
    facts_free(&f);
}

static void test_says_names_times_and_kind_of_key(void **state)
{
    static const char *const names[] = { "A.com", "*.a.com", "192.0.2.7", "2001:db8::1" };
    const struct made_order order = { names, 4, start, 90 * 86400, KEY_ECDSA };
    struct maker *maker = maker_new("R10");
    struct made made = maker_issue(maker, &order);
    struct facts f = facts_of(made.pem);

    (void)state;
    assert_int_equal(f.chain.n, 2);
    assert_int_equal(f.names_n, 4);
    assert_string_equal(f.names[0], "a.com");
    assert_string_equal(f.names[1], "*.a.com");
    assert_string_equal(f.names[2], "192.0.2.7");
    assert_string_equal(f.names[3], "2001:db8::1");
    assert_int_equal(f.not_before, start);
    assert_int_equal(f.not_after, start + 90 * 86400);
    assert_string_equal(f.ca, "R10");
    assert_false(f.rsa);
    assert_false(facts_is_staging(&f));
    facts_free(&f);
    made_free(&made);
    maker_free(maker);
}

static void test_knows_rsa_and_staging(void **state)
{
    static const char *const cas[] = { "(STAGING) Riddling Rhubarb R12", "Fake LE Intermediate X1" };
    static const char *const names[] = { "a.com" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct made_order order = { names, 1, start, 86400, KEY_RSA2048 };
        struct maker *maker = maker_new(cas[i]);
        struct made made = maker_issue(maker, &order);
        struct facts f = facts_of(made.pem);

        assert_true(facts_is_staging(&f));
        assert_true(f.rsa);
        assert_string_equal(f.key_type, "rsa 2048");
        facts_free(&f);
        made_free(&made);
        maker_free(maker);
    }
}

static void test_a_damaged_chain_leaves_nothing(void **state)
{
    static const char *const damaged[] = { "", "hello",
                                           "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" };

    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct err e = { 0 };
        struct facts f;

        assert_int_equal(facts_read(damaged[i], strlen(damaged[i]), &f, &e), -1);
        assert_int_not_equal(e.text[0], 0);
        facts_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_identifier_of_renewal_information_is_that_of_the_rfc),
        cmocka_unit_test(test_says_names_times_and_kind_of_key),
        cmocka_unit_test(test_knows_rsa_and_staging),
        cmocka_unit_test(test_a_damaged_chain_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
