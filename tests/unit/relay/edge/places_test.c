#include "relay/edge/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_each_source_has_its_share(void **state)
{
    struct places p;

    (void)state;
    places_init(&p);
    for (int i = 0; i < PLACES_OF_ONE; i++)
        assert_int_equal(places_take(&p, 1), PLACES_TAKEN);
    assert_int_equal(places_take(&p, 1), PLACES_SOURCE_HAS_ENOUGH);
    assert_int_equal(places_take(&p, 2), PLACES_TAKEN);
    places_leave(&p, 1);
    assert_int_equal(places_take(&p, 1), PLACES_TAKEN);
    assert_int_equal(places_take(&p, 1), PLACES_SOURCE_HAS_ENOUGH);
    places_free(&p);
}

static void test_all_together_have_a_bound(void **state)
{
    struct places p;

    (void)state;
    places_init(&p);
    for (uint32_t i = 0; i < PLACES_IN_ALL; i++)
        assert_int_equal(places_take(&p, i), PLACES_TAKEN);
    assert_int_equal(places_take(&p, PLACES_IN_ALL), PLACES_ALL_TAKEN);
    places_leave(&p, 0);
    assert_int_equal(places_take(&p, PLACES_IN_ALL), PLACES_TAKEN);
    assert_int_equal(places_take(&p, 0), PLACES_ALL_TAKEN);
    for (uint32_t i = 1; i <= PLACES_IN_ALL; i++)
        places_leave(&p, i);
    assert_int_equal(p.n, 0);
    places_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_source_has_its_share),
        cmocka_unit_test(test_all_together_have_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
