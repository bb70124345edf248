/* What became of looks at DNS records, by provider. */
#include "agent/dns/outcomes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static json_int_t count(const struct outcomes *o, const char *provider, const char *outcome)
{
    json_t *list = outcomes_status(o);
    json_int_t n = -1;
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "provider")), provider) == 0 &&
            strcmp(json_string_value(json_object_get(one, "outcome")), outcome) == 0)
            n = json_integer_value(json_object_get(one, "updates"));
    }
    json_decref(list);
    return n;
}

static void test_outcomes(void **state)
{
    struct dns_name before = { .account = "a" }, now = { .account = "a" };
    struct outcomes o = { 0 };

    (void)state;
    outcomes_note(&o, &now, &before);
    now.families[NAME_V6].changed_s = 5;
    outcomes_note(&o, &now, &before);
    outcomes_note(&o, &now, &before);
    now.trouble = DNS_AUTH;
    outcomes_note(&o, &now, &before);
    now.trouble = DNS_OK;
    memcpy(now.account, "b", 2);
    now.families[NAME_V4].managed = true;
    now.families[NAME_V4].state = NAME_FAILED;
    outcomes_note(&o, &now, &before);
    assert_int_equal(count(&o, "a", "unchanged"), 1);
    assert_int_equal(count(&o, "a", "changed"), 2);
    assert_int_equal(count(&o, "a", "auth"), 1);
    assert_int_equal(count(&o, "a", "failed"), 0);
    assert_int_equal(count(&o, "a", "abuse"), -1);
    assert_int_equal(count(&o, "b", "failed"), 1);
    outcomes_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_outcomes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
