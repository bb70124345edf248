#include "shared/doctor/configuration.h"

#include "tests/unit/fault_table.h"

static void judge(struct steps *s, const json_t *facts)
{
    configuration_judge(s, "relay.ini", fact_text(facts, "lines"),
                        json_is_true(json_object_get(facts, "runs")));
}

static void test_all(void **state)
{
    static const struct fault rows[] = {
        { "ini error", "{\"lines\": \"relay.ini:2: relay.park = soon: not a duration\\n\", \"runs\": true}",
          "configuration", STEP_FAIL, "relay.ini:2: relay.park = soon", "tunnelctl reload" },
        { "ini error, and no daemon", "{\"lines\": \"relay.ini:2: wrong\\nrelay.ini:3: this, too\\n\"}",
          "configuration", STEP_FAIL, "relay.ini:3: this, too", "start it again" },
        { "loose secret mode",
          "{\"lines\": \"relay.ini:9: /t has mode 0644, so others can reach the secret in it; run: chmod 600 /t\\n\"}",
          "configuration", STEP_FAIL, "/t has mode 0644", "chmod 600 /t" },
        { "well", "{\"lines\": \"\"}", "configuration", STEP_PASS, "relay.ini is well", NULL },
    };

    (void)state;
    check_faults(judge, rows, sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
