#include "shared/doctor/alerts.h"

#include "tests/unit/fault_table.h"

static void judge(struct steps *s, const json_t *facts)
{
    alerts_judge(s, facts, "agent");
}

#define REFUSED                                                                                                                  \
    "{\"alerts\": {\"on_event\": null, \"webhook\": {\"to\": \"hook.test\", \"pending\": 2, \"delivered\": 5, \"given_up\": 1, " \
    "\"last_error\": \"hook.test answered 500\", \"last_error_since\": \"2026-11-30T10:00:00Z\"}}}"
#define FAILED                                                                                                                          \
    "{\"alerts\": {\"webhook\": null, \"on_event\": {\"to\": \"/etc/tunnel/tell\", \"pending\": 0, \"delivered\": 0, \"given_up\": 1, " \
    "\"last_error\": \"/etc/tunnel/tell ended with 3\", \"last_error_since\": \"2026-11-30T10:00:00Z\"}}}"
#define WELL \
    "{\"alerts\": {\"on_event\": null, \"webhook\": {\"to\": \"hook.test\", \"delivered\": 5, \"last_error\": null}}}"

static void test_all(void **state)
{
    static const struct fault rows[] = {
        { "a webhook that refuses", REFUSED, "alerts", STEP_WARN,
          "webhook does not take alerts, since 2026-11-30T10:00:00Z: hook.test answered 500; waiting: 2, given up: 1",
          "reaches hook.test, and that webhook and webhook_token_file in [agent] are right" },
        { "a program that fails", FAILED, "alerts", STEP_WARN,
          "/etc/tunnel/tell ended with 3; waiting: 0, given up: 1",
          "TUNNEL_EVENT_KIND=test /etc/tunnel/tell" },
        { "how to try", FAILED, "alerts", STEP_WARN, "on_event does not take alerts",
          "curl --unix-socket /run/tunnel-agent/control.sock -X POST http://tunnel/v1/events/test" },
        { "well", WELL, "alerts", STEP_PASS, "webhook: hook.test, 5 delivered", NULL },
    };

    (void)state;
    check_faults(judge, rows, sizeof rows / sizeof rows[0]);
}

static void test_nobody_is_told(void **state)
{
    json_t *facts = json_pack("{s:{s:n, s:n}}", "alerts", "webhook", "on_event");
    struct steps s = { json_array(), "" };

    (void)state;
    alerts_judge(&s, facts, "relay");
    assert_int_equal(json_array_size(s.list), 0);
    json_decref(s.list);
    json_decref(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all), cmocka_unit_test(test_nobody_is_told) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
