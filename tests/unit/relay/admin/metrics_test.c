/* What the relay tells Prometheus of its sites: requests by class, certificates that end while nobody renews them. */
#include "relay/admin/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

enum { NOW = 1796000000 }; /* 2026-11-30T00:53:20Z */

static json_t *site(const char *name, const char *not_after, const char *last_error)
{
    return json_pack("{s:s, s:s, s:i, s:I, s:{s:i, s:i}, s:{s:s?, s:s?}}", "name", name, "state", "up",
                     "errors", 1, "bytes_in", (json_int_t)1 << 40, "answers", "2xx", 7, "none", 2, "cert",
                     "not_after", not_after, "last_error", last_error);
}

static void assert_has(struct buf *out, const char *line)
{
    if (!strstr(buf_text(out), line))
        fail_msg("%s is not in\n%s", line, buf_text(out));
}

static void test_sites_and_certificates(void **state)
{
    json_t *status =
        json_pack("{s:[o, o, o, o]}", "domains", site("well.test", "2026-12-30T00:00:00Z", NULL),
                  site("fails.test", "2026-12-30T00:00:00Z", "no"),
                  site("soon.test", "2026-12-02T00:00:00Z", "no"), site("none.test", NULL, "no"));
    struct relay_counted counted = { .orders = { 3, 2, 1 } };
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    counted.tally.refusals[TALLY_AWAY] = 4;
    counted.tally.edge.counts[0] = 5;
    metrics_begin(&m, &out, "relay");
    relay_metrics_add(&m, status, &counted, NOW);
    assert_has(&out, "\ntunnel_relay_requests_total{domain=\"well.test\",code=\"2xx\"} 7\n");
    assert_has(&out, "\ntunnel_relay_requests_total{domain=\"well.test\",code=\"none\"} 2\n");
    assert_has(&out, "\ntunnel_relay_received_bytes_total{domain=\"well.test\"} 1099511627776\n");
    assert_has(&out, "\ntunnel_relay_certificate_renewal_failing{domain=\"well.test\"} 0\n");
    assert_has(&out, "\ntunnel_relay_certificate_renewal_failing{domain=\"none.test\"} 1\n");
    assert_has(&out, "\ntunnel_relay_certificate_expires_soon{domain=\"fails.test\"} 0\n");
    assert_has(&out, "\ntunnel_relay_certificate_expires_soon{domain=\"soon.test\"} 1\n");
    assert_has(&out, "\ntunnel_relay_certificate_expires_soon{domain=\"none.test\"} 0\n");
    assert_has(&out, "\ntunnel_relay_certificate_remaining_seconds{domain=\"soon.test\"} 169600\n");
    assert_null(strstr(buf_text(&out), "certificate_remaining_seconds{domain=\"none.test\"}"));
    assert_has(&out, "\ntunnel_relay_certificate_orders_total{outcome=\"failed\"} 2\n");
    assert_has(&out, "\ntunnel_relay_refused_requests_total{reason=\"away\"} 4\n");
    assert_has(&out, "\ntunnel_relay_edge_latency_seconds_count 5\n");
    buf_free(&out);
    json_decref(status);
}

static void test_lanes_by_state(void **state)
{
    json_t *status =
        json_pack("{s:[{s:s, s:s, s:i, s:i}, {s:s, s:s, s:i, s:n}, {s:s, s:s, s:i, s:i}, "
                  "{s:s, s:s, s:i, s:I}]}",
                  "lanes", "agent", "pi", "state", "up", "lane", 701, "number", 1, "agent", "nas", "state",
                  "dead", "lane", 702, "number", "agent", "pi", "state", "up", "lane", 703, "number", 1,
                  "agent", "pi", "state", "busy", "lane", 704, "number", (json_int_t)1 << 40);
    const struct relay_counted counted = { .orders = { 0, 0, 0 } };
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    metrics_begin(&m, &out, "relay");
    relay_metrics_add(&m, status, &counted, NOW);
    assert_has(&out, "\ntunnel_relay_lanes{agent=\"pi\",state=\"up\"} 2\n");
    assert_has(&out, "\ntunnel_relay_lanes{agent=\"pi\",state=\"dead\"} 0\n");
    assert_has(&out, "\ntunnel_relay_lanes{agent=\"nas\",state=\"dead\"} 1\n");
    /* Its number at the agent, or what is free: another machine's has the same, or it is no number of a lane. */
    assert_has(&out, "\ntunnel_relay_lane_up{agent=\"pi\",lane=\"1\"} 1\n");
    assert_has(&out, "\ntunnel_relay_lane_up{agent=\"pi\",lane=\"0\"} 1\n");
    assert_has(&out, "\ntunnel_relay_lane_busy{agent=\"pi\",lane=\"2\"} 1\n");
    assert_has(&out, "\ntunnel_relay_lane_up{agent=\"nas\",lane=\"0\"} 0\n");
    buf_free(&out);
    json_decref(status);
}

/* A wildcard of an invitation, of which nothing was claimed, would page for ever. */
static void test_not_claimed(void **state)
{
    json_t *status = json_pack("{s:[{s:s, s:s, s:i}, {s:s, s:s, s:i}]}", "domains", "name", "a.test", "state",
                               "down", "errors", 3, "name", "*.a.test", "state", "pending", "errors", 0);
    const struct relay_counted counted = { .orders = { 0, 0, 0 } };
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    metrics_begin(&m, &out, "relay");
    relay_metrics_add(&m, status, &counted, NOW);
    assert_has(&out, "\ntunnel_relay_domain_up{domain=\"a.test\"} 0\n");
    assert_null(strstr(buf_text(&out), "domain_up{domain=\"*.a.test\"}"));
    assert_has(&out, "\ntunnel_relay_domain_errors_total{domain=\"*.a.test\"} 0\n");
    buf_free(&out);
    json_decref(status);
}

/* On its way to the end the relay has nothing to tell of. */
static void test_nothing_there(void **state)
{
    const struct relay_counted counted = { .orders = { 0, 0, 0 } };
    json_t *status = json_object();
    struct buf out = { 0 };
    struct metrics m;

    (void)state;
    metrics_begin(&m, &out, "relay");
    relay_metrics_add(&m, status, &counted, NOW);
    assert_has(&out, "# TYPE tunnel_relay_domain_up gauge\n");
    assert_null(strstr(buf_text(&out), "domain="));
    buf_free(&out);
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sites_and_certificates),
        cmocka_unit_test(test_lanes_by_state),
        cmocka_unit_test(test_not_claimed),
        cmocka_unit_test(test_nothing_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
