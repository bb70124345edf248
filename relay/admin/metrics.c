#include "relay/admin/metrics.h"

#include "shared/metrics_json.h"

#define TABLE(m, status, list, labels, columns) \
    metrics_put_table(m, json_object_get(status, list), labels, columns, sizeof columns / sizeof columns[0])

/* ---- lanes ---- */

static const struct metrics_labels lane_labels = { "agent", "agent", "lane", "lane" };
static const struct metrics_column lanes[] = {
    { "lane_up", "Whether the lane carries requests: 1 when it is up.", METRICS_GAUGE, NULL, "state", "up",
      0 },
    { "lane_busy", "Whether the lane answers late: 1 when it does.", METRICS_GAUGE, NULL, "state", "busy",
      0 },
    { "lane_rtt_seconds", "Time of the last ping to the agent and back.", METRICS_GAUGE, NULL, "rtt_ms", NULL,
      1e-3 },
    { "lane_streams", "Connections that the lane carries now.", METRICS_GAUGE, NULL, "streams", NULL, 0 },
    { "lane_received_bytes_total", "Bytes that the lane has brought from the house.", METRICS_COUNTER, NULL,
      "bytes_in", NULL, 0 },
    { "lane_sent_bytes_total", "Bytes that the lane has taken to the house.", METRICS_COUNTER, NULL,
      "bytes_out", NULL, 0 },
};

/* ---- sites ---- */

static const struct metrics_labels site_labels = { "domain", "name", NULL, NULL };
static const struct metrics_column sites[] = {
    { "domain_up", "Whether the site is served: 1 when it is.", METRICS_GAUGE, NULL, "state", "up", 0 },
    { "domain_requests_total", "Requests for the site.", METRICS_COUNTER, NULL, "requests", NULL, 0 },
    { "domain_errors_total", "Requests for the site that the relay had to answer in place of its service.",
      METRICS_COUNTER, NULL, "errors", NULL, 0 },
    { "domain_parked_requests", "Requests that wait for the house now.", METRICS_GAUGE, NULL, "parked", NULL,
      0 },
    { "certificate_expiry_timestamp_seconds", "Until when the site's certificate is good, in Unix time.",
      METRICS_GAUGE, "cert", "not_after", NULL, 0 },
    { "certificate_failing",
      "Whether the last attempt to get or renew the certificate failed: 1 when it did.", METRICS_GAUGE,
      "cert", "state", "failing", 0 },
};

/* ---- ports ---- */

static const struct metrics_labels port_labels = { "agent", "agent", "port", "name" };
static const struct metrics_column ports[] = {
    { "tcp_connections_total", "Connections to the port of a [tcp NAME].", METRICS_COUNTER, NULL,
      "connections_total", NULL, 0 },
    { "tcp_connections", "Connections to the port now.", METRICS_GAUGE, NULL, "connections", NULL, 0 },
    { "tcp_received_bytes_total", "Bytes from visitors of the port.", METRICS_COUNTER, NULL, "bytes_in", NULL,
      0 },
    { "tcp_sent_bytes_total", "Bytes to visitors of the port.", METRICS_COUNTER, NULL, "bytes_out", NULL, 0 },
};

void relay_metrics_add(struct metrics *m, const json_t *status)
{
    TABLE(m, status, "lanes", &lane_labels, lanes);
    TABLE(m, status, "domains", &site_labels, sites);
    TABLE(m, status, "tcp", &port_labels, ports);
}
