#include "relay/admin/metrics.h"

#include "shared/metrics_json.h"

#include <stdbool.h>
#include <string.h>

#define TABLE(m, list, labels, columns) \
    metrics_put_table(m, list, labels, columns, sizeof columns / sizeof columns[0])

/* ---- lanes ---- */

static const struct metrics_labels lane_labels = { "agent", "agent", "lane", "place" };
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

enum { PLACES = 64 };

static bool is_taken(const json_t *list, size_t before, const char *agent, json_int_t place)
{
    for (size_t i = 0; i < before; i++) {
        const json_t *lane = json_array_get(list, i);

        if (strcmp(metrics_text(lane, "agent"), agent) == 0 &&
            json_integer_value(json_object_get(lane, "place")) == place)
            return true;
    }
    return false;
}

/* A copy in which each lane has a `place` among those of its agent: the agent's own number for it, which the next lane in its
 * place has as well, or the first that is free. So there are no more labels than an agent has lanes at once. */
static json_t *with_places(const json_t *list)
{
    json_t *copy = json_deep_copy(list), *lane;
    size_t i;

    json_array_foreach(copy, i, lane)
    {
        const char *agent = metrics_text(lane, "agent");
        json_int_t place = json_integer_value(json_object_get(lane, "number"));

        if (place < 0 || place >= PLACES || is_taken(copy, i, agent, place))
            for (place = 0; is_taken(copy, i, agent, place);)
                place++;
        json_object_set_new(lane, "place", json_integer(place));
    }
    return copy;
}

/* {agent: {state: how many}} */
static json_t *by_agent(const json_t *list)
{
    json_t *agents = json_object();
    const json_t *lane;
    size_t i;

    json_array_foreach(list, i, lane)
    {
        const char *agent = metrics_text(lane, "agent"), *state = metrics_text(lane, "state");
        json_t *states = json_object_get(agents, agent);

        if (!states) {
            states = json_object();
            json_object_set_new(agents, agent, states);
        }
        json_object_set_new(states, state,
                            json_integer(json_integer_value(json_object_get(states, state)) + 1));
    }
    return agents;
}

static void put_lane_states(struct metrics *m, const json_t *list)
{
    static const char *const states[] = { "opening", "up", "busy", "draining", "dead" };
    json_t *agents = by_agent(list), *counts;
    const char *agent;

    metrics_family(m, "lanes", METRICS_GAUGE, "Lanes of each agent, by their state.");
    json_object_foreach(agents, agent, counts)
    {
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
            metrics_put(m, (double)json_integer_value(json_object_get(counts, states[i])), "agent", agent,
                        "state", states[i]);
    }
    json_decref(agents);
}

/* ---- sites ---- */

static const struct metrics_labels site_labels = { "domain", "name", NULL, NULL };
static const struct metrics_column sites_up[] = {
    { "domain_up", "Whether the site is served: 1 when it is.", METRICS_GAUGE, NULL, "state", "up", 0 },
};
static const struct metrics_column sites[] = {
    { "received_bytes_total", "Contents of requests for the site.", METRICS_COUNTER, NULL, "bytes_in", NULL,
      0 },
    { "sent_bytes_total", "Contents of responses of the site.", METRICS_COUNTER, NULL, "bytes_out", NULL, 0 },
    { "domain_errors_total", "Requests for the site that the relay had to answer in place of its service.",
      METRICS_COUNTER, NULL, "errors", NULL, 0 },
    { "domain_parked_requests", "Requests that wait for the house now.", METRICS_GAUGE, NULL, "parked", NULL,
      0 },
};

/* Those that agents serve, or should. One that an agent may serve and has never claimed is not down. */
static json_t *claimed(const json_t *domains)
{
    json_t *list = json_array(), *domain;
    size_t i;

    json_array_foreach(domains, i, domain)
    {
        if (strcmp(metrics_text(domain, "state"), "pending") != 0)
            json_array_append(list, domain);
    }
    return list;
}

/* ---- certificates ---- */

enum { SOON_S = 7 * 24 * 3600 };

static const struct metrics_column certs[] = {
    { "certificate_expiry_timestamp_seconds", "Until when the site's certificate is good, in Unix time.",
      METRICS_GAUGE, NULL, "not_after", NULL, 0 },
    { "certificate_remaining_seconds", "The same from now on; negative once it has expired.", METRICS_GAUGE,
      NULL, "left", NULL, 0 },
    { "certificate_renewal_failing", "Whether the last try to get or renew it failed: 1 when it did.",
      METRICS_GAUGE, NULL, "failing", NULL, 0 },
    { "certificate_expires_soon", "Whether it ends within 7 days while its renewal fails: 1 when it does.",
      METRICS_GAUGE, NULL, "soon", NULL, 0 },
};

static void add_certificate(json_t *list, json_t *name, const json_t *cert, int64_t now)
{
    static const struct metrics_column not_after = { .key = "not_after" };
    int failing = json_is_string(json_object_get(cert, "last_error"));
    json_t *one = json_pack("{s:O, s:i}", "name", name, "failing", failing);
    double ends;
    bool known = metrics_value_of(cert, &not_after, &ends);

    json_object_set_new(one, "soon", json_integer(failing && known && ends - (double)now < SOON_S));
    if (known) {
        json_object_set_new(one, "not_after", json_real(ends));
        json_object_set_new(one, "left", json_real(ends - (double)now));
    }
    json_array_append_new(list, one);
}

/* One object for each site, and each alias whose certificate is another one: {name, failing, soon}, and {not_after, left} where
 * there is a certificate. */
static json_t *certificates(const json_t *domains, int64_t now)
{
    json_t *list = json_array();
    const json_t *domain, *cert;
    size_t i, j;

    json_array_foreach(domains, i, domain)
    {
        add_certificate(list, json_object_get(domain, "name"), json_object_get(domain, "cert"), now);
        json_array_foreach(json_object_get(domain, "certs"), j, cert)
            add_certificate(list, json_object_get(cert, "name"), cert, now);
    }
    return list;
}

static void put_orders(struct metrics *m, const struct manager_counts *orders)
{
    metrics_family(m, "certificate_orders_total", METRICS_COUNTER,
                   "Tries to get or renew a certificate, by what became of them.");
    metrics_put(m, (double)orders->issued, "outcome", "issued");
    metrics_put(m, (double)orders->failed, "outcome", "failed");
    metrics_put(m, (double)orders->held, "outcome", "held");
}

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

/* Of those beyond the limit, the sum of each class. */
static void put_requests(struct metrics *m, const json_t *domains)
{
    static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx", "none" };
    const json_t *domain;
    size_t i;

    metrics_family(
        m, "requests_total", METRICS_COUNTER,
        "Requests for the site, by the class of their status; none: they ended without an answer.");
    for (size_t class = 0; class < sizeof classes / sizeof classes[0]; class ++) {
        const struct metrics_column column = { .in = "answers", .key = classes[class] };
        double others = 0, value = 0;

        json_array_foreach(domains, i, domain)
        {
            if (!metrics_value_of(domain, &column, &value))
                continue;
            if (i < METRICS_DOMAINS)
                metrics_put(m, value, "domain", metrics_text(domain, "name"), "code", classes[class]);
            else
                others += value;
        }
        if (json_array_size(domains) > METRICS_DOMAINS)
            metrics_put(m, others, "domain", "other", "code", classes[class]);
    }
}

/* ---- what workers have counted ---- */

static void put_histogram(struct metrics *m, const char *name, const char *help,
                          const struct histogram_sum *h)
{
    metrics_family(m, name, METRICS_HISTOGRAM, help);
    metrics_put_histogram(m, h);
}

static void put_tally(struct metrics *m, const struct tally_sum *t)
{
    static const char *const handshakes[TALLY_HANDSHAKES] = {
        [TALLY_FULL] = "full", [TALLY_RESUMED] = "resumed", [TALLY_FAILED] = "failed"
    };

    put_histogram(m, "edge_latency_seconds",
                  "From the head of a request to the head of its answer, as the visitor waits for it.",
                  &t->edge);
    put_histogram(m, "service_latency_seconds",
                  "From a request's head on the lane to the head of its service's answer.", &t->service);
    put_histogram(m, "lane_latency_seconds", "Until the agent has answered a new stream of a lane.",
                  &t->lane);
    metrics_family(m, "tls_handshakes_total", METRICS_COUNTER, "TLS handshakes of visitors.");
    for (int i = 0; i < TALLY_HANDSHAKES; i++)
        metrics_put(m, (double)t->handshakes[i], "result", handshakes[i]);
    metrics_one(m, "parked_requests_total", METRICS_COUNTER, "Requests that had to wait for the house.",
                (double)t->parked);
    metrics_family(m, "refused_requests_total", METRICS_COUNTER,
                   "Requests and connections that were not served, by the reason.");
    for (int i = 0; i < TALLY_REFUSALS; i++)
        metrics_put(m, (double)t->refusals[i], "reason", tally_refusal_text((enum tally_refusal)i));
}

void relay_metrics_add(struct metrics *m, const json_t *status, const struct relay_counted *counted,
                       int64_t now)
{
    const json_t *domains = json_object_get(status, "domains");
    json_t *each_cert = certificates(domains, now),
           *each_lane = with_places(json_object_get(status, "lanes")), *each_claimed = claimed(domains);

    put_lane_states(m, json_object_get(status, "lanes"));
    TABLE(m, each_lane, &lane_labels, lanes);
    TABLE(m, each_claimed, &site_labels, sites_up);
    TABLE(m, domains, &site_labels, sites);
    put_requests(m, domains);
    TABLE(m, each_cert, &site_labels, certs);
    put_orders(m, &counted->orders);
    TABLE(m, json_object_get(status, "tcp"), &port_labels, ports);
    put_tally(m, &counted->tally);
    json_decref(each_cert);
    json_decref(each_lane);
    json_decref(each_claimed);
}
