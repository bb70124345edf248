#include "relay/lanes/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_a_second_is_soon_spent_and_the_next_one_is_new(void **state)
{
    struct budget b = { 0 };
    struct budget_agent *pi = budget_of(&b, "pi");

    (void)state;
    for (int second = 0; second < 3; second++) {
        assert_false(budget_is_spent(pi));
        budget_spend(pi, BUDGET_BYTES - 1);
        assert_false(budget_is_spent(pi));
        budget_spend(pi, 1);
        assert_true(budget_is_spent(pi));
        budget_refill(&b);
    }
    budget_free(&b);
}

static void test_however_much_is_spent_at_once(void **state)
{
    static const size_t sizes[] = { BUDGET_BYTES, BUDGET_BYTES + 1, SIZE_MAX };
    struct budget b = { 0 };
    struct budget_agent *pi = budget_of(&b, "pi");

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        budget_spend(pi, 1);
        budget_spend(pi, sizes[i]);
        assert_true(budget_is_spent(pi));
        budget_spend(pi, SIZE_MAX);
        assert_true(budget_is_spent(pi));
        budget_refill(&b);
        assert_false(budget_is_spent(pi));
    }
    budget_free(&b);
}

static void test_each_agent_has_its_own(void **state)
{
    struct budget b = { 0 };
    struct budget_agent *pi = budget_of(&b, "pi"), *nas = budget_of(&b, "nas");

    (void)state;
    budget_spend(pi, BUDGET_BYTES);
    assert_ptr_equal(budget_of(&b, "pi"), pi);
    assert_ptr_equal(budget_of(&b, "nas"), nas);
    assert_true(budget_is_spent(budget_of(&b, "pi")));
    assert_false(budget_is_spent(nas));
    budget_free(&b);
    budget_free(&b);
}

static void test_machines_that_share_a_key_have_a_share_each(void **state)
{
    struct budget b = { 0 };
    struct budget_agent *pi = budget_of(&b, "pi");

    (void)state;
    budget_set_shares(pi, 3);
    budget_spend(pi, (size_t)3 * BUDGET_BYTES - 1);
    assert_false(budget_is_spent(pi));
    budget_spend(pi, 1);
    assert_true(budget_is_spent(pi));
    budget_set_shares(pi, 1); /* a reload, in the middle of a second */
    budget_spend(pi, 1);
    assert_true(budget_is_spent(pi));
    budget_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_is_soon_spent_and_the_next_one_is_new),
        cmocka_unit_test(test_however_much_is_spent_at_once),
        cmocka_unit_test(test_machines_that_share_a_key_have_a_share_each),
        cmocka_unit_test(test_each_agent_has_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
