#include "relay/certs/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/buf.h"
#include "shared/file.h"
#include "tests/unit/temp.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

#define REAL    "https://acme-v02.api.letsencrypt.org/directory"
#define STAGING "https://acme-staging-v02.api.letsencrypt.org/directory"
#define PRIVATE "https://ca.home.arpa/dir"

static const int64_t start = 1800000000;
static const char *const two[] = { "a.com", "www.a.com" }, *const turned[] = { "www.a.com", "a.com" },
                         *const one[] = { "a.com" };

static struct limits_order order(const char *directory, const char *const *names, size_t n)
{
    return (struct limits_order){ .directory = directory, .names = names, .names_n = n };
}

/* Asserts that it is free at `at`, 0: now. */
static void assert_free_at(struct limits *l, struct limits_order o, int64_t now, int64_t at, const char *why)
{
    struct err e = { 0 };
    int64_t free_at = -1;

    assert_int_equal(limits_check(l, &o, now, &free_at, &e), at == 0 ? 0 : -1);
    assert_int_equal(free_at, at);
    if (at != 0) {
        assert_int_equal(e.code, ERR_LIMIT);
        assert_non_null(strstr(e.text, why));
    }
}

static void test_five_certificates_for_the_same_names_within_a_week(void **state)
{
    const struct limits_order o = order(REAL, two, 2);
    struct limits *l = limits_new();

    (void)state;
    for (int64_t i = 0; i < 5; i++) {
        assert_free_at(l, o, start + i * HOUR, 0, "");
        limits_issued(l, &o, 90 * DAY, start + i * HOUR);
    }
    assert_free_at(l, o, start + 5 * HOUR, start + 7 * DAY,
                   "5 certificates for the same names within 7 days");
    assert_free_at(l, order(REAL, turned, 2), start + 5 * HOUR, start + 7 * DAY, "a.com www.a.com: ");
    assert_free_at(l, order(REAL, one, 1), start + 5 * HOUR, 0, "");
    assert_free_at(l, order(PRIVATE, two, 2), start + 5 * HOUR, 0, "");
    assert_free_at(l, o, start + 7 * DAY, 0, "");
    limits_issued(l, &o, 90 * DAY, start + 7 * DAY);
    assert_free_at(l, o, start + 7 * DAY, start + HOUR + 7 * DAY, "");
    limits_free(l);
}

/* Let's Encrypt counts no renewal with `replaces`. An authority that suggests one again and again is stopped all the same. */
static void test_an_exempt_renewal_is_free_but_not_without_end(void **state)
{
    struct limits_order o = order(REAL, two, 2), exempt = o;
    struct limits *l = limits_new();

    (void)state;
    exempt.exempt = true;
    for (int i = 0; i < 300; i++)
        limits_ordered(l, &o, start);
    for (int i = 0; i < 5; i++)
        limits_issued(l, &o, 90 * DAY, start);
    for (int i = 0; i < 5; i++)
        limits_validation_failed(l, REAL, "a.com", start);
    assert_free_at(l, exempt, start, 0, "");
    for (int i = 0; i < 5; i++) {
        limits_ordered(l, &exempt, start);
        assert_free_at(l, exempt, start, 0, "");
        limits_issued(l, &exempt, 90 * DAY, start);
    }
    assert_free_at(l, exempt, start, start + 7 * DAY, "10 certificates for the same names");
    limits_free(l);
}

static void test_five_failed_validations_of_a_name_within_an_hour(void **state)
{
    struct limits *l = limits_new();

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_free_at(l, order(REAL, two, 2), start + i, 0, "");
        limits_validation_failed(l, REAL, "www.a.com", start + i);
    }
    assert_free_at(l, order(REAL, two, 2), start + 9, start + HOUR, "www.a.com: 5 failed validations");
    assert_free_at(l, order(REAL, one, 1), start + 9, 0, "");
    assert_free_at(l, order(STAGING, two, 2), start + 9, 0, "");
    assert_free_at(l, order(REAL, two, 2), start + HOUR, 0, "");
    limits_free(l);
}

static void test_three_hundred_orders_within_three_hours(void **state)
{
    const struct limits_order o = order(REAL, two, 2), private = order(PRIVATE, two, 2);
    struct limits *l = limits_new();

    (void)state;
    for (int i = 0; i < 300; i++) {
        assert_free_at(l, order(REAL, one, 1), start + i, 0, "");
        limits_ordered(l, &o, start + i);
        limits_ordered(l, &private, start + i);
    }
    assert_free_at(l, order(REAL, one, 1), start + 300, start + 3 * HOUR, "300 orders within 3 hours");
    assert_free_at(l, order(PRIVATE, one, 1), start + 300, 0, "");
    assert_free_at(l, order(REAL, one, 1), start + 3 * HOUR, 0, "");
    limits_free(l);
}

static void test_an_agent_has_so_many_orders_a_day_wherever(void **state)
{
    struct limits_order o = order(REAL, one, 1), other = order(PRIVATE, one, 1);
    struct limits *l = limits_new();

    (void)state;
    o.agent = other.agent = "pi";
    o.per_day = other.per_day = 3;
    for (int i = 0; i < 3; i++) {
        assert_free_at(l, other, start + i, 0, "");
        limits_ordered(l, &o, start + i);
    }
    assert_free_at(l, other, start + 9, start + DAY, "pi: 3 orders for one agent");
    other.per_day = 0;
    assert_free_at(l, other, start + 9, 0, "");
    other.per_day = 3;
    other.agent = "attic";
    assert_free_at(l, other, start + 9, 0, "");
    limits_free(l);
}

static void test_the_farthest_of_several_limits_is_told(void **state)
{
    const struct limits_order o = order(REAL, two, 2);
    struct limits *l = limits_new();

    (void)state;
    for (int i = 0; i < 5; i++) {
        limits_validation_failed(l, REAL, "a.com", start);
        limits_issued(l, &o, 90 * DAY, start);
    }
    assert_free_at(l, o, start, start + 7 * DAY, "same names");
    limits_free(l);
}

/* A private authority whose certificates live for a day must not be counted against for a week. */
static void test_short_lived_certificates_of_others_count_for_their_life(void **state)
{
    const struct limits_order o = order(PRIVATE, two, 2), real = order(REAL, two, 2);
    struct limits *l = limits_new();

    (void)state;
    for (int i = 0; i < 5; i++) {
        limits_issued(l, &o, DAY, start);
        limits_issued(l, &real, DAY, start);
    }
    assert_free_at(l, o, start, start + DAY, "same names");
    assert_free_at(l, o, start + DAY, 0, "");
    assert_free_at(l, real, start + DAY, start + 7 * DAY, "same names");
    limits_free(l);
}

static void test_a_clock_that_goes_back_holds_nothing_off_for_longer(void **state)
{
    const struct limits_order o = order(REAL, two, 2);
    struct limits *l = limits_new();
    int64_t before = start - 3650LL * DAY;

    (void)state;
    for (int i = 0; i < 5; i++)
        limits_issued(l, &o, 90 * DAY, start);
    assert_free_at(l, o, before, before + 7 * DAY, "same names");
    limits_free(l);
}

static void test_is_the_same_after_a_restart(void **state)
{
    const struct limits_order o = order(REAL, two, 2);
    const char *path = temp_path(*state, "limits.json");
    struct limits *l = limits_load(path, NULL), *again;
    struct buf text = { 0 };

    assert_non_null(l);
    limits_issued(l, &o, 90 * DAY, start - 8 * DAY); /* counts no more */
    for (int i = 0; i < 5; i++)
        limits_issued(l, &o, 90 * DAY, start);
    limits_validation_failed(l, REAL, "a.com", start);
    limits_ordered(l, &o, start);
    assert_int_equal(limits_save(l, path, start, NULL), 0);
    assert_int_equal(temp_mode(path), 0600);
    again = limits_load(path, NULL);
    assert_non_null(again);
    assert_free_at(again, o, start, start + 7 * DAY, "same names");
    limits_free(l);
    limits_free(again);
    assert_int_equal(file_read(path, 100000, &text, NULL), 0);
    assert_null(strstr(buf_text(&text), "2027-01-0"));
    buf_free(&text);
}

static void test_says_what_is_wrong_with_the_file(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{", "not JSON" },
        { "{}", "\"v\" is missing" },
        { "{\"v\": 2, \"events\": []}", "\"v\"" },
        { "{\"v\": 1, \"events\": [1]}", "events, number 1" },
        { "{\"v\": 1, \"events\": [{\"limit\": \"x\", \"directory\": \"\", \"what\": \"\", \"at\": "
          "\"2026-11-21T03:24:25Z\", \"until\": \"2026-11-21T03:24:25Z\"}]}",
          "limit x is not known" },
        { "{\"v\": 1, \"events\": [{\"limit\": \"orders\", \"directory\": \"\", \"what\": \"\", \"at\": "
          "\"yesterday\", \"until\": \"2026-11-21T03:24:25Z\"}]}",
          "\"at\" is not a time" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temp_file(*state, "limits.json", rows[i].text, 0600);
        struct err e = { 0 };

        assert_null(limits_load(path, &e));
        assert_non_null(strstr(e.text, rows[i].why));
        assert_non_null(strstr(e.text, "limits.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_certificates_for_the_same_names_within_a_week),
        cmocka_unit_test(test_an_exempt_renewal_is_free_but_not_without_end),
        cmocka_unit_test(test_five_failed_validations_of_a_name_within_an_hour),
        cmocka_unit_test(test_three_hundred_orders_within_three_hours),
        cmocka_unit_test(test_an_agent_has_so_many_orders_a_day_wherever),
        cmocka_unit_test(test_the_farthest_of_several_limits_is_told),
        cmocka_unit_test(test_short_lived_certificates_of_others_count_for_their_life),
        cmocka_unit_test(test_a_clock_that_goes_back_holds_nothing_off_for_longer),
        cmocka_unit_test_setup_teardown(test_is_the_same_after_a_restart, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_says_what_is_wrong_with_the_file, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
