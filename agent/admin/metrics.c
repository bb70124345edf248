#include "agent/admin/metrics.h"

#include "shared/metrics_json.h"

#include <string.h>

#define TABLE(m, list, labels, columns) \
    metrics_put_table(m, list, labels, columns, sizeof columns / sizeof columns[0])

static const struct metrics_labels relay_labels = { "relay", "name", NULL, NULL };
static const struct metrics_column relays[] = {
    { "relay_up", "Whether a lane to the relay is up: 1 when one is.", METRICS_GAUGE, NULL, "state", "up",
      0 },
};

static const struct metrics_labels lane_labels = { "relay", "relay", "lane", "lane" };
static const struct metrics_column lanes[] = {
    { "lane_up", "Whether the lane carries requests: 1 when it is up.", METRICS_GAUGE, NULL, "state", "up",
      0 },
    { "lane_rtt_seconds", "Time of the last ping to the relay and back.", METRICS_GAUGE, NULL, "rtt_ms", NULL,
      1e-3 },
    { "lane_streams", "Connections that the lane carries now.", METRICS_GAUGE, NULL, "streams", NULL, 0 },
    { "lane_received_bytes_total", "Bytes that the lane has brought from the relay.", METRICS_COUNTER, NULL,
      "bytes_in", NULL, 0 },
    { "lane_sent_bytes_total", "Bytes that the lane has taken to the relay.", METRICS_COUNTER, NULL,
      "bytes_out", NULL, 0 },
};

static const struct metrics_labels site_labels = { "domain", "name", NULL, NULL };
static const struct metrics_column sites[] = {
    { "service_up", "Whether the site's service answered last time: 1 when it did, or was not asked yet.",
      METRICS_GAUGE, NULL, "up", NULL, 0 },
};

static const struct metrics_labels cert_labels = { "domain", "name", "relay", "relay" };
static const struct metrics_column certs[] = {
    { "certificate_expiry_timestamp_seconds",
      "Until when the certificate at the relay is good, in Unix time.", METRICS_GAUGE, NULL, "not_after",
      NULL, 0 },
    { "certificate_failing", "Whether the relay's last attempt to renew it failed: 1 when it did.",
      METRICS_GAUGE, NULL, "state", "failing", 0 },
};

static const struct metrics_labels record_labels = { "name", "name", "type", "type" };
static const struct metrics_column records[] = {
    { "dns_record_ok", "Whether the record at its provider is as it should be: 1 when it is.", METRICS_GAUGE,
      NULL, "state", "ok", 0 },
    { "dns_record_failed", "Whether the last update of the record failed: 1 when it did.", METRICS_GAUGE,
      NULL, "state", "failed", 0 },
    { "dns_record_changed_timestamp_seconds", "When the record was last changed, in Unix time.",
      METRICS_GAUGE, NULL, "last_change", NULL, 0 },
};

static const struct metrics_labels update_labels = { "provider", "provider", "outcome", "outcome" };
static const struct metrics_column updates[] = {
    { "dns_updates_total", "Looks at a DNS name at its provider, by what became of them.", METRICS_COUNTER,
      NULL, "updates", NULL, 0 },
};

static const struct metrics_labels port_labels = { "port", "name", NULL, NULL };
static const struct metrics_column ports[] = {
    { "tcp_connections_total", "Connections by the port of a [tcp NAME].", METRICS_COUNTER, NULL,
      "connections_total", NULL, 0 },
    { "tcp_connections", "Connections by the port now.", METRICS_GAUGE, NULL, "connections", NULL, 0 },
    { "tcp_received_bytes_total", "Bytes from visitors of the port.", METRICS_COUNTER, NULL, "bytes_in", NULL,
      0 },
    { "tcp_sent_bytes_total", "Bytes to visitors of the port.", METRICS_COUNTER, NULL, "bytes_out", NULL, 0 },
};

/* The members of all objects' lists, each with the name of the object that it is in. */
static json_t *flat(const json_t *objects, const char *in, const char *list, const char *label)
{
    json_t *all = json_array();
    const json_t *object;
    size_t i, j;

    json_array_foreach(objects, i, object)
    {
        const json_t *inner = in ? json_object_get(object, in) : object;
        json_t *member;

        json_array_foreach(json_object_get(inner, list), j, member)
        {
            json_t *copy = json_copy(member);

            if (label)
                json_object_set(copy, label, json_object_get(object, "name"));
            json_array_append_new(all, copy);
        }
    }
    return all;
}

/* Those that have a service; one that nobody has asked yet is taken for well. */
static json_t *services(const json_t *domains)
{
    json_t *all = json_array();
    const json_t *domain;
    size_t i;

    json_array_foreach(domains, i, domain)
    {
        const char *state = metrics_text(domain, "service_state");

        if (json_is_string(json_object_get(domain, "service")))
            json_array_append_new(all, json_pack("{s:O, s:i}", "name", json_object_get(domain, "name"), "up",
                                                 strcmp(state, "ok") == 0 || strcmp(state, "unknown") == 0));
    }
    return all;
}

void agent_metrics_add(struct metrics *m, const json_t *status)
{
    const json_t *domains = json_object_get(status, "domains"), *all = json_object_get(status, "relays");
    json_t *each_lane = flat(all, NULL, "lanes", "relay"), *each_cert = flat(domains, NULL, "certs", NULL);
    json_t *each_record = flat(domains, "dns", "records", NULL), *each_service = services(domains);

    TABLE(m, all, &relay_labels, relays);
    TABLE(m, each_lane, &lane_labels, lanes);
    TABLE(m, each_service, &site_labels, sites);
    TABLE(m, each_cert, &cert_labels, certs);
    TABLE(m, each_record, &record_labels, records);
    TABLE(m, json_object_get(status, "dns_updates"), &update_labels, updates);
    TABLE(m, json_object_get(status, "tcp"), &port_labels, ports);
    json_decref(each_lane);
    json_decref(each_cert);
    json_decref(each_record);
    json_decref(each_service);
}
