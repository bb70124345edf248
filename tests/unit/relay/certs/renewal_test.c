#include "relay/certs/renewal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

static const int64_t start = 1800000000;

/* ---- by life ---- */

static void test_a_third_of_the_life_is_left_or_half_of_a_short_one(void **state)
{
    static const struct {
        int64_t life, left;
        const char *why;
    } rows[] = {
        { 90 * DAY, 30 * DAY, "a third of its life is left then" },
        { 64 * DAY, 64 * DAY / 3, "a third of its life is left then" },
        { 45 * DAY, 15 * DAY, "a third of its life is left then" },
        { 10 * DAY, 10 * DAY / 3, "a third of its life is left then" },
        { 160 * HOUR, 80 * HOUR, "half of its life is left then" },
        { 24 * HOUR, 12 * HOUR, "half of its life is left then" },
        { 60, 30, "half of its life is left then" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t latest = start + rows[i].life - rows[i].left;
        int64_t spread = rows[i].life / 30 < DAY ? rows[i].life / 30 : DAY;
        struct renewal r;

        renewal_begin(&r, start, start + rows[i].life, 0);
        assert_int_equal(renewal_at(&r), latest);
        assert_string_equal(renewal_why(&r), rows[i].why);
        assert_false(renewal_is_due(&r, latest - 1));
        assert_true(renewal_is_due(&r, latest));
        renewal_begin(&r, start, start + rows[i].life, UINT32_MAX);
        assert_in_range(renewal_at(&r), latest - spread, latest - spread + 1);
        renewal_begin(&r, start, start + rows[i].life, UINT32_MAX / 2);
        assert_in_range(renewal_at(&r), latest - spread / 2 - 1, latest - spread / 2 + 1);
    }
}

/* Whatever a certificate says of its own life, there is an answer: it is due. */
static void test_a_life_that_ends_before_it_begins_is_due_at_its_end(void **state)
{
    struct renewal r;

    (void)state;
    renewal_begin(&r, start, start - DAY, UINT32_MAX);
    assert_int_equal(renewal_at(&r), start - DAY);
    assert_true(renewal_is_due(&r, start));
}

static void test_names_are_left_out_when_half_of_the_time_is_over(void **state)
{
    struct renewal r;

    (void)state;
    renewal_begin(&r, start, start + 90 * DAY, UINT32_MAX);
    assert_false(renewal_may_leave_out(&r, start + 75 * DAY - 1));
    assert_true(renewal_may_leave_out(&r, start + 75 * DAY));
    renewal_begin(&r, start, start + 8 * DAY, 0);
    assert_false(renewal_may_leave_out(&r, start + 6 * DAY - 1));
    assert_true(renewal_may_leave_out(&r, start + 6 * DAY));
}

/* ---- by suggestion ---- */

static void test_a_moment_in_the_window_is_chosen_once(void **state)
{
    const struct renewal_window window = { start + 50 * DAY, start + 52 * DAY };
    const struct renewal_window other = { start + 10 * DAY, start + 11 * DAY };
    struct renewal r;
    int64_t chosen;

    (void)state;
    renewal_begin(&r, start, start + 90 * DAY, 0);
    assert_int_equal(renewal_suggested(&r, &window, UINT32_MAX / 4, NULL), 1);
    chosen = renewal_at(&r);
    assert_in_range(chosen, window.start + DAY / 2 - 1, window.start + DAY / 2 + 1);
    assert_string_equal(renewal_why(&r), "the authority suggests it");
    assert_int_equal(renewal_suggested(&r, &window, UINT32_MAX, NULL), 0);
    assert_int_equal(renewal_at(&r), chosen);
    assert_int_equal(renewal_suggested(&r, &other, UINT32_MAX, NULL), 1);
    assert_in_range(renewal_at(&r), other.end - 1, other.end);
    assert_int_equal(renewal_suggested(&r, &window, 0, NULL), 1);
    assert_int_equal(renewal_at(&r), window.start);
}

static void test_a_window_that_has_passed_means_now(void **state)
{
    const struct renewal_window window = { start - 2 * DAY, start - DAY };
    struct renewal r;

    (void)state;
    renewal_begin(&r, start - 3 * DAY, start + 87 * DAY, 0);
    assert_int_equal(renewal_suggested(&r, &window, UINT32_MAX, NULL), 1);
    assert_true(renewal_is_due(&r, start));
}

static void test_a_twentieth_is_always_left(void **state)
{
    const struct renewal_window late = { start + 89 * DAY, start + 400 * DAY };
    const struct renewal_window inside = { start + 80 * DAY, start + 81 * DAY };
    struct renewal r;

    (void)state;
    renewal_begin(&r, start, start + 90 * DAY, 0);
    assert_int_equal(renewal_suggested(&r, &late, UINT32_MAX, NULL), 1);
    assert_int_equal(renewal_at(&r), start + 90 * DAY - 90 * DAY / 20);
    assert_string_equal(renewal_why(&r), "a twentieth of its life is left then");
    assert_int_equal(renewal_suggested(&r, &inside, 0, NULL), 1);
    assert_string_equal(renewal_why(&r), "the authority suggests it");
}

static void test_what_is_no_window_changes_nothing(void **state)
{
    static const struct renewal_window bad[] = {
        { start + DAY, start }, { 0, start }, { start, start }, { -5, 9 }
    };
    struct err e = { 0 };
    struct renewal r;

    (void)state;
    renewal_begin(&r, start, start + 90 * DAY, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(renewal_suggested(&r, &bad[i], 0, &e), -1);
        assert_non_null(strstr(e.text, "ends before it begins"));
        assert_int_equal(renewal_at(&r), start + 60 * DAY);
    }
}

static void test_without_a_suggestion_life_decides_again(void **state)
{
    const struct renewal_window window = { start + 10 * DAY, start + 11 * DAY };
    struct renewal r;

    (void)state;
    renewal_begin(&r, start, start + 90 * DAY, UINT32_MAX);
    renewal_unsuggested(&r, 0); /* there was none: the moment stays */
    assert_true(renewal_at(&r) < start + 60 * DAY);
    assert_int_equal(renewal_suggested(&r, &window, 0, NULL), 1);
    renewal_unsuggested(&r, 0);
    assert_int_equal(renewal_at(&r), start + 60 * DAY);
    assert_int_equal(renewal_suggested(&r, &window, 0, NULL), 1); /* it comes back */
    assert_int_equal(renewal_at(&r), window.start);
}

static void test_looks_again_as_asked_within_a_minute_and_a_day(void **state)
{
    static const struct {
        int64_t asked, at_least, at_most;
    } rows[] = {
        { 0, 6 * HOUR, 7 * HOUR },
        { 1, MINUTE, MINUTE + 6 },
        { 90, 90, 99 },
        { 6 * HOUR, 6 * HOUR, 7 * HOUR },
        { DAY, DAY, DAY + 3 * HOUR },
        { 86400 * 365LL, DAY, DAY + 3 * HOUR },
        { INT64_MAX, DAY, DAY + 3 * HOUR },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(renewal_next_look(start, rows[i].asked, 0), start + rows[i].at_least);
        assert_in_range(renewal_next_look(start, rows[i].asked, UINT32_MAX), start + rows[i].at_least,
                        start + rows[i].at_most);
    }
    assert_int_equal(renewal_next_look_failed(start, 0), start + 6 * HOUR);
    assert_false(renewal_may_look(start + DAY, start));
    assert_true(renewal_may_look(start, start));
    assert_true(renewal_may_look(start, start - 3 * DAY)); /* the clock went back */
}

/* ---- tries ---- */

static void test_waits_1_10_100_minutes_then_a_day(void **state)
{
    static const int64_t waits[] = { MINUTE, 10 * MINUTE, 100 * MINUTE, DAY, DAY, DAY };
    struct renewal_retry least = { 0 }, most = { 0 };

    (void)state;
    assert_true(renewal_may_try(&least, start));
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        renewal_failed(&least, start, RENEWAL_SOON, 0, 0);
        renewal_failed(&most, start, RENEWAL_SOON, 0, UINT32_MAX);
        assert_int_equal(least.next_try, start + waits[i]);
        assert_in_range(most.next_try, start + waits[i] + waits[i] / 8 - 1, start + waits[i] + waits[i] / 8);
        assert_int_equal(least.failures, i + 1);
        assert_int_equal(least.last_try, start);
        assert_false(renewal_may_try(&least, start + waits[i] - 1));
        assert_true(renewal_may_try(&least, start + waits[i]));
    }
    renewal_reset(&least);
    assert_int_equal(least.failures, 0);
    assert_true(renewal_may_try(&least, 0));
    least.failures = UINT32_MAX;
    renewal_failed(&least, start, RENEWAL_SOON, 0, 0);
    assert_int_equal(least.failures, UINT32_MAX);
}

static void test_waits_as_the_authority_asks_a_week_at_most(void **state)
{
    struct renewal_retry r = { 0 };

    (void)state;
    renewal_failed(&r, start, RENEWAL_SOON, 34 * HOUR, 0);
    assert_int_equal(r.next_try, start + 34 * HOUR);
    renewal_failed(&r, start, RENEWAL_SOON, 5, 0);
    assert_int_equal(r.next_try, start + 10 * MINUTE);
    renewal_failed(&r, start, RENEWAL_SOON, INT64_MAX, UINT32_MAX);
    assert_in_range(r.next_try, start + 7 * DAY, start + 7 * DAY + DAY / 8);
}

static void test_what_only_a_person_can_change_is_tried_daily(void **state)
{
    struct renewal_retry r = { 0 };

    (void)state;
    renewal_failed(&r, start, RENEWAL_SLOW, 0, 0);
    assert_int_equal(r.next_try, start + DAY);
}

static void test_a_clock_that_goes_back_does_not_hold_the_next_try_off(void **state)
{
    struct renewal_retry r = { 0 };
    int64_t before = start - 3650LL * DAY;

    (void)state;
    assert_false(renewal_mend_clock(&r, before));
    renewal_failed(&r, start, RENEWAL_SOON, 0, 0);
    assert_false(renewal_mend_clock(&r, start));
    assert_false(renewal_mend_clock(&r, start - 2)); /* as clocks are set all the time */
    assert_false(renewal_mend_clock(&r, start + DAY));
    assert_true(renewal_may_try(&r, before)); /* so that somebody mends it */
    assert_true(renewal_mend_clock(&r, before));
    assert_false(renewal_may_try(&r, before));
    assert_true(renewal_may_try(&r, before + MINUTE));
    assert_int_equal(r.next_try, before + MINUTE);
    assert_int_equal(r.failures, 1);
    assert_false(renewal_mend_clock(&r, before + 1));
}

/* What changes all the time does not spend what the authority allows, and its wish counts. */
static void test_what_has_changed_hastens_a_try(void **state)
{
    const int64_t now = 1800000000;
    struct renewal_retry r = { 0 };

    (void)state;
    assert_false(renewal_hasten(&r, now)); /* nothing has failed */
    for (unsigned i = 1; i <= 3; i++) {
        renewal_failed(&r, now, RENEWAL_SOON, 0, 0);
        assert_true(renewal_hasten(&r, now + 1));
        assert_int_equal(r.next_try, now + 1);
        assert_int_equal(r.failures, i);
    }
    renewal_failed(&r, now, RENEWAL_SOON, 0, 0);
    assert_true(renewal_hasten(&r, now + 1));
    assert_int_equal(r.next_try, now + 3600);
    assert_false(renewal_hasten(&r, now + 2));
    renewal_reset(&r);
    renewal_failed(&r, now, RENEWAL_SOON, 500, 0);
    assert_false(renewal_hasten(&r, now + 1));
    renewal_failed(&r, now, RENEWAL_SLOW, 500, 0);
    assert_true(renewal_hasten(&r, now + 1));
    assert_int_equal(r.next_try, now + 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_third_of_the_life_is_left_or_half_of_a_short_one),
        cmocka_unit_test(test_a_life_that_ends_before_it_begins_is_due_at_its_end),
        cmocka_unit_test(test_names_are_left_out_when_half_of_the_time_is_over),
        cmocka_unit_test(test_a_moment_in_the_window_is_chosen_once),
        cmocka_unit_test(test_a_window_that_has_passed_means_now),
        cmocka_unit_test(test_a_twentieth_is_always_left),
        cmocka_unit_test(test_what_is_no_window_changes_nothing),
        cmocka_unit_test(test_without_a_suggestion_life_decides_again),
        cmocka_unit_test(test_looks_again_as_asked_within_a_minute_and_a_day),
        cmocka_unit_test(test_waits_1_10_100_minutes_then_a_day),
        cmocka_unit_test(test_waits_as_the_authority_asks_a_week_at_most),
        cmocka_unit_test(test_what_only_a_person_can_change_is_tried_daily),
        cmocka_unit_test(test_a_clock_that_goes_back_does_not_hold_the_next_try_off),
        cmocka_unit_test(test_what_has_changed_hastens_a_try),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
