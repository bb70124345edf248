/* What Prometheus reads: the format, the table's columns, the bound of its labels. */
#include "shared/metrics.h"

#include "shared/metrics_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void assert_text(struct buf *out, const char *expected)
{
    assert_string_equal(buf_text(out), expected);
    buf_free(out);
}

static void test_samples(void **state)
{
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    metrics_begin(&m, &out, "relay");
    metrics_family(&m, "things", METRICS_GAUGE, "Things.");
    metrics_put(&m, 3);
    metrics_put(&m, 0.0015, "a", "x");
    metrics_put(&m, 12345678901234.0, "a", "back\\ \"quote\"\nline", "b", "ü");
    metrics_one(&m, "others_total", METRICS_COUNTER, "Others.", -1);
    metrics_one(&m, "start_seconds", METRICS_GAUGE, "When.", 1800000123.25);
    assert_text(&out, "# HELP tunnel_relay_things Things.\n# TYPE tunnel_relay_things gauge\n"
                      "tunnel_relay_things 3\ntunnel_relay_things{a=\"x\"} 0.0015\n"
                      "tunnel_relay_things{a=\"back\\\\ \\\"quote\\\"\\nline\",b=\"ü\"} 12345678901234\n"
                      "# HELP tunnel_relay_others_total Others.\n# TYPE tunnel_relay_others_total counter\n"
                      "tunnel_relay_others_total -1\n"
                      "# HELP tunnel_relay_start_seconds When.\n# TYPE tunnel_relay_start_seconds gauge\n"
                      "tunnel_relay_start_seconds 1800000123.25\n");
}

static void test_histogram_text(void **state)
{
    struct histogram h = { 0 };
    struct histogram_sum sum = { 0 };
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    histogram_add(&h, 0);
    histogram_add(&h, 128);
    histogram_add(&h, 129);
    histogram_add(&h, 3600ull * 1000000);
    histogram_merge(&sum, &h);
    histogram_merge(&sum, &h); /* as of another thread */
    metrics_begin(&m, &out, "relay");
    metrics_family(&m, "t_seconds", METRICS_HISTOGRAM, "T.");
    metrics_put_histogram(&m, &sum);
    assert_non_null(strstr(buf_text(&out), "t_seconds_bucket{le=\"0.000128\"} 4\n"
                                           "tunnel_relay_t_seconds_bucket{le=\"0.000256\"} 6\n"));
    assert_non_null(strstr(buf_text(&out), "_bucket{le=\"33.554432\"} 6\n"
                                           "tunnel_relay_t_seconds_bucket{le=\"+Inf\"} 8\n"
                                           "tunnel_relay_t_seconds_sum 7200.000514\n"
                                           "tunnel_relay_t_seconds_count 8\n"));
    buf_free(&out);
}

static void test_table(void **state)
{
    static const struct metrics_labels labels = { "domain", "name", "n", "number" };
    static const struct metrics_column columns[] = {
        { "up", "Up.", METRICS_GAUGE, NULL, "state", "up", 0 },
        { "seconds", "S.", METRICS_GAUGE, NULL, "ms", NULL, 1e-3 },
        { "until", "U.", METRICS_GAUGE, "cert", "not_after", NULL, 0 },
    };
    json_t *list =
        json_pack("[{s:s, s:i, s:s, s:i, s:{s:s}}, {s:s, s:i, s:s, s:n, s:n}]", "name", "a.test", "number", 7,
                  "state", "up", "ms", 250, "cert", "not_after", "2026-11-30T00:00:00Z", "name", "b.test",
                  "number", 8, "state", "down", "ms", "cert");
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    metrics_begin(&m, &out, "x");
    metrics_put_table(&m, list, &labels, columns, 3);
    assert_text(&out, "# HELP tunnel_x_up Up.\n# TYPE tunnel_x_up gauge\n"
                      "tunnel_x_up{domain=\"a.test\",n=\"7\"} 1\ntunnel_x_up{domain=\"b.test\",n=\"8\"} 0\n"
                      "# HELP tunnel_x_seconds S.\n# TYPE tunnel_x_seconds gauge\n"
                      "tunnel_x_seconds{domain=\"a.test\",n=\"7\"} 0.25\n"
                      "# HELP tunnel_x_until U.\n# TYPE tunnel_x_until gauge\n"
                      "tunnel_x_until{domain=\"a.test\",n=\"7\"} 1795996800\n");
    json_decref(list);
}

static void test_the_number_of_labels_is_bounded(void **state)
{
    static const struct metrics_labels labels = { "domain", "name", NULL, NULL };
    static const struct metrics_column columns[] = {
        { "r_total", "R.", METRICS_COUNTER, NULL, "n", NULL, 0 },
        { "least", "L.", METRICS_GAUGE, NULL, "n", NULL, 0 },
    };
    json_t *list = json_array();
    struct buf out = { 0 };
    struct metrics m;
    size_t lines = 0;

    (void)state;
    for (int i = 0; i < METRICS_DOMAINS + 3; i++)
        json_array_append_new(list, json_pack("{s:s, s:i}", "name", "same.test", "n", i));
    metrics_begin(&m, &out, "x");
    metrics_put_table(&m, list, &labels, columns, 2);
    for (const char *p = buf_text(&out); (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 2 * (2 + METRICS_DOMAINS + 1));
    assert_non_null(strstr(buf_text(&out), "\ntunnel_x_r_total{domain=\"other\"} 3003\n"));
    assert_non_null(strstr(buf_text(&out), "\ntunnel_x_least{domain=\"other\"} 1000\n"));
    buf_free(&out);
    json_decref(list);
}

static void test_process(void **state)
{
    struct buf out = { 0 };

    (void)state;
    metrics_of_process(&out, "relay");
    assert_non_null(strstr(buf_text(&out), "tunnel_relay_build_info{version=\"" TUNNEL_VERSION "\"} 1\n"));
    assert_non_null(strstr(buf_text(&out), "\nprocess_start_time_seconds 1"));
    assert_non_null(strstr(buf_text(&out), "\nprocess_open_fds "));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples), cmocka_unit_test(test_histogram_text),
        cmocka_unit_test(test_table),   cmocka_unit_test(test_the_number_of_labels_is_bounded),
        cmocka_unit_test(test_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
