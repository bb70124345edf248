#include "shared/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_doubles_up_to_max(void **state)
{
    static const uint32_t waits[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 };
    struct retry r;

    (void)state;
    retry_init(&r, 1000, 30000);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
            assert_int_equal(retry_failed(&r, 0), waits[i]);
            assert_int_equal(r.failures, i + 1);
        }
        retry_succeeded(&r);
        assert_int_equal(r.failures, 0);
    }
}

static void test_randomness_takes_less_than_a_quarter(void **state)
{
    struct retry r;
    uint32_t least = UINT32_MAX, most = 0;

    (void)state;
    for (uint32_t random = 0; random < 5000; random++) {
        uint32_t wait;

        retry_init(&r, 10000, 60000);
        wait = retry_failed(&r, random * 2654435761u);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_true(least >= 7500 && least < 7600);
    assert_true(most <= 10000 && most > 9900);
}

static void test_bounds(void **state)
{
    static const struct {
        const char *name;
        uint32_t first, max;
    } rows[] = {
        { "the largest", UINT32_MAX, UINT32_MAX },
        { "a first beyond max", 5000, 100 },
        { "from one", 1, UINT32_MAX },
        { "never any wait", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct retry r;
        uint32_t before = 0;

        retry_init(&r, rows[i].first, rows[i].max);
        for (int n = 0; n < 200; n++) {
            uint32_t wait = retry_failed(&r, 0);

            if (wait < before || wait > rows[i].max)
                fail_msg("%s: failure %d waits %u", rows[i].name, n, (unsigned)wait);
            before = wait;
        }
        assert_int_equal(before, rows[i].max);
    }
}

static void test_failures_are_counted_without_end(void **state)
{
    struct retry r = { 1, 8, UINT32_MAX };

    (void)state;
    assert_int_equal(retry_failed(&r, 0), 8);
    assert_int_equal(r.failures, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_up_to_max),
        cmocka_unit_test(test_randomness_takes_less_than_a_quarter),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_failures_are_counted_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
