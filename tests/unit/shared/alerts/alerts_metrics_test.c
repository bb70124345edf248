#include "shared/alerts/alerts_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_ways(void **state)
{
    static const char *const samples[] = {
        "tunnel_agent_alerts_delivered_total{way=\"webhook\"} 5\n",
        "tunnel_agent_alerts_failed_total{way=\"webhook\"} 7\n",
        "tunnel_agent_alerts_given_up_total{way=\"webhook\"} 1\n",
        "tunnel_agent_alerts_waiting{way=\"webhook\"} 2\n",
        "tunnel_agent_alerts_failing{way=\"webhook\"} 1\n",
    };
    json_t *alerts =
        json_pack("{s:{s:s, s:i, s:i, s:i, s:i, s:s}, s:n}", "webhook", "to", "hook.test", "pending", 2,
                  "delivered", 5, "failed", 7, "given_up", 1, "last_error", "no", "on_event");
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    metrics_begin(&m, &out, "agent");
    alerts_metrics_add(&m, alerts);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        if (!strstr(buf_text(&out), samples[i]))
            fail_msg("%s in %s", samples[i], buf_text(&out));
    assert_null(strstr(buf_text(&out), "way=\"hook\"")); /* is not used */
    json_object_set(alerts, "on_event", json_object_get(alerts, "webhook"));
    json_object_set_new(json_object_get(alerts, "on_event"), "last_error", json_null());
    buf_free(&out);
    alerts_metrics_add(&m, alerts);
    assert_non_null(strstr(buf_text(&out), "tunnel_agent_alerts_failing{way=\"hook\"} 0\n"));
    buf_free(&out);
    json_decref(alerts);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ways) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
