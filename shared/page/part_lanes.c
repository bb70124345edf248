/* Lanes and ports: what carries. */
#include "shared/page/parts.h"

#include "shared/status/text.h"
#include "shared/status/well.h"

enum { LANES_BYTES = 6000, PORTS_BYTES = 3000 };

enum { BAD, GOOD, PASSES }; /* the worst first: what is not well, then the rest, each as the daemon has it */

/* ---- lanes ---- */

static void add_lane(struct html_table *t, const char *name, const json_t *lane)
{
    if (!html_row(t))
        return;
    html_text(html_cell(t), name, 60);
    part_number(t, lane, "lane", "");
    part_state(t, lane, "state", well_lane(lane));
    part_since(t, lane, "since");
    part_number(t, lane, "rtt_ms", " ms");
    part_number(t, lane, "streams", "");
    part_bytes(t, lane, "bytes_in");
    part_bytes(t, lane, "bytes_out");
}

static void add_lanes(struct html_table *t, const json_t *list, const char *name, int pass)
{
    const json_t *lane;
    size_t i;

    json_array_foreach(list, i, lane)
    {
        if (well_lane(lane) == (pass == GOOD))
            add_lane(t, name ? name : status_text(lane, "agent"), lane);
    }
}

/* A service that a relay leads to by itself, with protocol = plain. */
static void add_forwards(struct buf *out, const json_t *status)
{
    const json_t *relay;
    size_t i, shown = 0;

    json_array_foreach(json_object_get(status, "relays"), i, relay)
    {
        struct buf line = { 0 };

        if (!well_is_plain(relay) || shown++ >= 8)
            continue;
        buf_printf(&line, "%s: port %lld there goes to %s, %s", status_text(relay, "name"),
                   json_integer_value(json_object_get(relay, "remote_port")), status_text(relay, "service"),
                   status_text(relay, "service_state"));
        buf_add_text(out, "<p class=about>");
        html_text(out, buf_text(&line), 100);
        buf_add_text(out, "</p>");
        buf_free(&line);
    }
}

void part_lanes_add(struct buf *out, const json_t *status)
{
    const bool is_relay = part_is_relay(status);
    const char *const headings[] = { is_relay ? "Agent" : "Relay",
                                     "Lane",
                                     "State",
                                     "Since",
                                     "Round trip",
                                     "Streams",
                                     is_relay ? "From house" : "From relay",
                                     is_relay ? "To house" : "To relay" };
    struct html_table t;
    const json_t *relay;
    size_t i;

    buf_add_text(out, "<h2>Lanes</h2>");
    html_table_begin(&t, out, LANES_BYTES, headings, 8);
    for (int pass = BAD; pass < PASSES; pass++) {
        add_lanes(&t, json_object_get(status, "lanes"), NULL, pass);
        json_array_foreach(json_object_get(status, "relays"), i, relay)
            add_lanes(&t, json_object_get(relay, "lanes"), status_text(relay, "name"), pass);
    }
    html_table_end(&t, "tunnelctl status",
                   is_relay ? "No agent has connected yet." : "No relay is configured.");
    add_forwards(out, status);
}

/* ---- ports ---- */

static void add_port(struct html_table *t, const json_t *port, bool is_relay)
{
    if (!html_row(t))
        return;
    part_text(t, port, "name");
    part_text(t, port, "listen");
    if (is_relay) {
        part_state(t, port, "state", well_port_at_relay(port));
        part_text(t, port, "agent");
    } else {
        part_state(t, port, "service_state", well_port_at_home(port));
        part_text(t, port, "service");
    }
    part_number(t, port, "connections", "");
    part_bytes(t, port, "bytes_in");
    part_bytes(t, port, "bytes_out");
}

/* Most have none. */
void part_ports_add(struct buf *out, const json_t *status)
{
    const bool is_relay = part_is_relay(status);
    const char *const headings[] = { "Port",        "Listens at",
                                     "State",       is_relay ? "Agent" : "Service",
                                     "Connections", "From visitors",
                                     "To visitors" };
    const json_t *list = json_object_get(status, "tcp"), *port;
    struct html_table t;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    buf_add_text(out, "<h2>Ports</h2>");
    html_table_begin(&t, out, PORTS_BYTES, headings, 7);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(list, i, port)
        {
            if ((is_relay ? well_port_at_relay(port) : well_port_at_home(port)) == (pass == GOOD))
                add_port(&t, port, is_relay);
        }
    html_table_end(&t, "tunnelctl status", "None.");
}
