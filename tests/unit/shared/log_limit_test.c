#include "shared/log_limit.h"

#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char bad[] = "bad request", late[] = "too late";

/* How many of n lines pass. */
static int passed(struct log_limit *l, const char *message, const char *source, int n, int64_t now_ms)
{
    int pass = 0;

    while (n-- > 0)
        pass += log_limit_pass(l, message, source, now_ms);
    return pass;
}

static void test_five_lines_pass(void **state)
{
    struct log_limit l = { 0 };

    (void)state;
    assert_int_equal(passed(&l, bad, "192.0.2.1", 100, 0), LOG_LIMIT_LINES);
    assert_int_equal(passed(&l, bad, "192.0.2.1", 100, LOG_LIMIT_WINDOW_MS - 1), 0);
}

static void test_others_are_not_punished(void **state)
{
    struct log_limit l = { 0 };

    (void)state;
    passed(&l, bad, "192.0.2.1", 100, 0);
    assert_int_equal(passed(&l, bad, "192.0.2.10", 100, 0), LOG_LIMIT_LINES);
    assert_int_equal(passed(&l, bad, "192.0.2.", 100, 0), LOG_LIMIT_LINES);
    assert_int_equal(passed(&l, late, "192.0.2.1", 100, 0), LOG_LIMIT_LINES);
    assert_int_equal(passed(&l, bad, "", 100, 0), LOG_LIMIT_LINES);
}

static void test_a_window_without_loss_ends_silently(void **state)
{
    struct log_limit l = { 0 };
    struct log_source left;
    uint64_t left_out;

    (void)state;
    assert_int_equal(passed(&l, bad, "a", LOG_LIMIT_LINES, 7), LOG_LIMIT_LINES);
    assert_int_equal(passed(&l, bad, "a", 9, 7 + LOG_LIMIT_WINDOW_MS), LOG_LIMIT_LINES);
    assert_false(log_limit_left_out(&l, 7 + LOG_LIMIT_WINDOW_MS, &left, &left_out));
}

static void test_the_count_comes_once_when_the_window_is_over(void **state)
{
    struct log_limit l = { 0 };
    struct log_source left;
    uint64_t left_out = 0;

    (void)state;
    passed(&l, bad, "a", LOG_LIMIT_LINES + 3, 100);
    passed(&l, late, "b", LOG_LIMIT_LINES, 100);
    assert_false(log_limit_left_out(&l, 100 + LOG_LIMIT_WINDOW_MS - 1, &left, &left_out));
    assert_true(log_limit_left_out(&l, 100 + LOG_LIMIT_WINDOW_MS, &left, &left_out));
    assert_int_equal(left_out, 3);
    assert_string_equal(left.source, "a");
    assert_ptr_equal(left.message, bad);
    assert_false(log_limit_left_out(&l, 100 + LOG_LIMIT_WINDOW_MS, &left, &left_out));
    assert_int_equal(passed(&l, bad, "a", 100, 101 + LOG_LIMIT_WINDOW_MS), LOG_LIMIT_LINES);
}

static void test_each_loss_is_told(void **state)
{
    struct log_limit l = { 0 };
    struct log_source left;
    uint64_t left_out, sum = 0;
    int told = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        char source[16];

        snprintf(source, sizeof source, "%d", i);
        passed(&l, bad, source, LOG_LIMIT_LINES + i, 0);
    }
    for (; log_limit_left_out(&l, INT64_MAX, &left, &left_out); told++)
        sum += left_out;
    assert_int_equal(told, 9);
    assert_int_equal(sum, 45);
}

static void test_more_sources_than_places_are_counted_together(void **state)
{
    struct log_limit l = { 0 };
    struct log_source left;
    uint64_t left_out = 0;
    int pass = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char source[24];

        snprintf(source, sizeof source, "peer %d", i);
        pass += log_limit_pass(&l, bad, source, 0);
    }
    assert_int_equal(pass, LOG_LIMIT_SOURCES - 1);
    assert_true(log_limit_left_out(&l, LOG_LIMIT_WINDOW_MS, &left, &left_out));
    assert_int_equal(left_out, 1000 - pass);
    assert_string_equal(left.source, "others");
    assert_false(log_limit_left_out(&l, LOG_LIMIT_WINDOW_MS, &left, &left_out));
    assert_true(log_limit_pass(&l, bad, "peer 999", LOG_LIMIT_WINDOW_MS)); /* all places are free again */
}

static void test_long_sources(void **state)
{
    struct log_limit l = { 0 };
    char source[200];

    (void)state;
    memset(source, 'x', sizeof source);
    source[sizeof source - 1] = 0;
    assert_int_equal(passed(&l, bad, source, 100, 0), LOG_LIMIT_LINES);
    source[60] = 0;
    assert_int_equal(passed(&l, bad, source, 100, 0), 0); /* the same as far as it is kept */
    source[20] = 0;
    assert_int_equal(passed(&l, bad, source, 100, 0), LOG_LIMIT_LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_lines_pass),
        cmocka_unit_test(test_others_are_not_punished),
        cmocka_unit_test(test_a_window_without_loss_ends_silently),
        cmocka_unit_test(test_the_count_comes_once_when_the_window_is_over),
        cmocka_unit_test(test_each_loss_is_told),
        cmocka_unit_test(test_more_sources_than_places_are_counted_together),
        cmocka_unit_test(test_long_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
