#include "shared/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <time.h>

#define SECOND ((uint64_t)1000000000)

static const struct rate ten = { 10, 1, 20 }; /* 10/s burst 20 */

static int takes(struct limiter *l, uint64_t source, int times, uint64_t now_ns)
{
    uint64_t wait_ns;
    int taken = 0;

    for (int i = 0; i < times; i++)
        taken += limiter_take(l, 1, source, &ten, now_ns, &wait_ns);
    return taken;
}

static void test_a_bucket(void **state)
{
    struct limiter l;
    uint64_t wait_ns = 0;

    (void)state;
    limiter_init(&l, 16);
    assert_int_equal(takes(&l, 7, 30, 5 * SECOND), 20);
    assert_false(limiter_take(&l, 1, 7, &ten, 5 * SECOND, &wait_ns));
    assert_int_equal(wait_ns, SECOND / 10);
    assert_int_equal(limiter_wait_s(wait_ns), 1);
    assert_int_equal(limiter_wait_s(SECOND + 1), 2);
    assert_int_equal(limiter_taken(&l, 1, 7, &ten, 5 * SECOND), 20);
    assert_int_equal(limiter_taken(&l, 1, 7, &ten, 5 * SECOND + SECOND / 10), 19);
    assert_int_equal(limiter_taken(&l, 1, 7, &ten, 8 * SECOND), 0);
    assert_int_equal(limiter_taken(&l, 1, 8, &ten, 5 * SECOND), 0);
    assert_int_equal(takes(&l, 8, 1, 5 * SECOND), 1);                /* another one's */
    assert_true(limiter_take(&l, 2, 7, &ten, 5 * SECOND, &wait_ns)); /* of another limit */
    assert_int_equal(takes(&l, 7, 1, 5 * SECOND + SECOND / 10 - 1), 0);
    assert_int_equal(takes(&l, 7, 2, 5 * SECOND + SECOND / 10), 1);
    assert_int_equal(takes(&l, 7, 30, 6 * SECOND), 9);
    assert_int_equal(takes(&l, 7, 30, 600 * SECOND), 20); /* no more than it holds */
    limiter_give_back(&l, 1, 7, &ten);
    assert_int_equal(takes(&l, 7, 30, 600 * SECOND), 1);
    limiter_give_back(&l, 1, 99, &ten); /* who is not there */
    limiter_free(&l);
}

static void test_what_was_owed_by_another_rate(void **state)
{
    const struct rate slow = { 1, 60, 60 };
    uint64_t wait_ns;
    struct limiter l;

    (void)state;
    limiter_init(&l, 1);
    for (int i = 0; i < 60; i++)
        assert_true(limiter_take(&l, 1, 7, &slow, SECOND, &wait_ns));
    assert_false(limiter_take(&l, 1, 7, &slow, SECOND, &wait_ns));
    assert_false(limiter_take(&l, 1, 7, &ten, SECOND, &wait_ns));
    assert_true(wait_ns <= SECOND / 10); /* and not an hour */
    limiter_free(&l);
}

/* Who comes from ever more addresses makes it forget him, and gains nothing by it. */
static void test_nobody_escapes_by_being_forgotten(void **state)
{
    enum { SETS = 4, PLACES = SETS * LIMITER_WAYS };
    struct limiter l;
    int taken = 0;

    (void)state;
    limiter_init(&l, SETS);
    for (uint64_t source = 0; source < 5000; source++)
        taken += takes(&l, source, 1, SECOND);
    for (uint64_t source = 0; source < 5000; source++)
        taken += takes(&l, source, 1, SECOND);
    assert_int_equal(taken, PLACES * 20);
    for (uint64_t source = 0; source < 5000; source++)
        taken += takes(&l, source, 1, SECOND + SECOND / 2);
    assert_int_equal(taken, PLACES * 25);
    assert_int_equal(takes(&l, 3, 30, 100 * SECOND),
                     20); /* once all are full again there is room for everybody */
    limiter_free(&l);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static void test_what_it_costs(void **state)
{
    enum { TIMES = 1000000 };
    struct limiter l;
    uint64_t began, took;
    int taken = 0;

    (void)state;
    limiter_init(&l, 16384);
    began = now_ns();
    for (uint64_t i = 0; i < TIMES; i++)
        taken += takes(&l, i % 1000, 1, SECOND + i * 1000);
    took = now_ns() - began;
    print_message("%d of %d taken, %.1f ns for each\n", taken, TIMES, (double)took / TIMES);
    assert_true(took / TIMES < 20000);
    limiter_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bucket),
        cmocka_unit_test(test_what_was_owed_by_another_rate),
        cmocka_unit_test(test_nobody_escapes_by_being_forgotten),
        cmocka_unit_test(test_what_it_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
