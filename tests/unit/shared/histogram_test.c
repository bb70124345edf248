/* Which bucket a time belongs to. */
#include "shared/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Every bucket holds what is at most its bound, and more than the bound before it. */
static void test_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t bound_us = (uint64_t)(histogram_bound(i) * 1e6 + 0.5);

        assert_int_equal(histogram_bucket(bound_us), i);
        assert_int_equal(histogram_bucket(bound_us + 1), i + 1);
    }
    assert_int_equal(histogram_bucket(0), 0);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_bounds) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
