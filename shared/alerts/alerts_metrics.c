#include "shared/alerts/alerts_metrics.h"

#include "shared/metrics_json.h"

static const struct metrics_labels labels = { "way", "way", NULL, NULL };
static const struct metrics_column columns[] = {
    { "alerts_delivered_total", "Alerts that were taken.", METRICS_COUNTER, NULL, "delivered", NULL, 0 },
    { "alerts_failed_total", "Tries to deliver an alert that failed.", METRICS_COUNTER, NULL, "failed", NULL,
      0 },
    { "alerts_given_up_total", "Alerts that were refused, or not taken in time.", METRICS_COUNTER, NULL,
      "given_up", NULL, 0 },
    { "alerts_waiting", "Alerts that are yet to be taken.", METRICS_GAUGE, NULL, "pending", NULL, 0 },
    { "alerts_failing", "Whether the last try failed: 1 when it did.", METRICS_GAUGE, NULL, "failing", NULL,
      0 },
};

static void add(json_t *list, const json_t *alerts, const char *option, const char *way)
{
    const json_t *outlet = json_object_get(alerts, option);
    json_t *one;

    if (!json_is_object(outlet))
        return;
    one = json_copy((json_t *)(uintptr_t)outlet);
    json_object_set_new(one, "way", json_string(way));
    json_object_set_new(one, "failing", json_integer(json_is_string(json_object_get(one, "last_error"))));
    json_array_append_new(list, one);
}

void alerts_metrics_add(struct metrics *m, const json_t *alerts)
{
    json_t *list = json_array();

    add(list, alerts, "webhook", "webhook");
    add(list, alerts, "on_event", "hook");
    metrics_put_table(m, list, &labels, columns, sizeof columns / sizeof columns[0]);
    json_decref(list);
}
