#include "shared/doctor/steps.h"

#include "tests/unit/fault_table.h"

static void test_steps(void **state)
{
    struct steps s = { json_array(), "a.com" };
    const json_t *step;

    (void)state;
    assert_int_equal(steps_worst(s.list), STEP_PASS);
    steps_add(&s, "one", STEP_WARN, "text %d", 1);
    steps_remedy(&s, "do %s", "this");
    assert_int_equal(steps_worst(s.list), STEP_WARN);
    steps_add(&s, "two", STEP_FAIL, "a peer's\033[31m words \302\23331m \303\274\303\n");
    step = json_array_get(s.list, 0);
    assert_true(fact_is(step, "about", "a.com") && fact_is(step, "step", "one") &&
                fact_is(step, "state", "warn"));
    assert_true(fact_is(step, "text", "text 1") && fact_is(step, "remedy", "do this"));
    step = json_array_get(s.list, 1);
    assert_true(
        fact_is(step, "text", "a peer's [31m words   31m \303\274? ")); /* nothing of it reaches a terminal */
    assert_true(json_is_null(json_object_get(step, "remedy")));
    assert_int_equal(steps_worst(s.list), STEP_FAIL);
    json_decref(s.list);
}

static void test_facts(void **state)
{
    json_t *facts = json_pack("{s:s, s:i}", "a", "text", "n", 7);

    (void)state;
    assert_string_equal(fact_text(facts, "a"), "text");
    assert_string_equal(fact_text(facts, "n"), "");
    assert_string_equal(fact_text(NULL, "a"), "");
    assert_int_equal(fact_number(facts, "n", -1), 7);
    assert_int_equal(fact_number(facts, "a", -1), -1);
    assert_false(fact_is(facts, "b", "text"));
    json_decref(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_steps), cmocka_unit_test(test_facts) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
