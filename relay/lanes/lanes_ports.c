/* The ports that agents' claims open, from the claim to the snapshot and the status. */
#include "relay/lanes/lanes_parts.h"
#include "shared/json.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>

enum { TRY_S = 5 }; /* how often a port that another process holds is tried again */

static bool on_wanted(void *user, const struct opt_address *at, char *why, size_t room)
{
    const struct lanes *l = user;

    return ports_want(l->ports, at, why, room);
}

static void on_settled(void *user)
{
    const struct lanes *l = user;

    ports_settled(l->ports);
}

void lanes_init_ports(struct lanes *l)
{
    l->ports = ports_new((unsigned)relay_workers(relay_conf_of(l->conf)));
    l->claims_ports = (struct claims_ports){ on_wanted, on_settled, l };
    claims_set_ports(l->claims, &l->claims_ports);
}

bool lanes_try_ports(struct lanes *l)
{
    if (l->draining || l->ticks % TRY_S != 0 || !claims_lack_ports(l->claims))
        return false;
    claims_try_ports(l->claims);
    return true;
}

void lanes_close_ports(struct lanes *l)
{
    ports_close(l->ports);
}

/* ---- what the edge must know ---- */

static const char *address_text(const struct opt_address *at, struct buf *text)
{
    buf_free(text);
    value_print_address(text, at);
    return buf_text(text);
}

void lanes_each_port(const struct lanes *l, void (*each)(void *user, const struct snap_port *port),
                     void *user)
{
    struct buf text = { 0 };
    struct claims_port p;

    for (size_t i = 0; claims_port(l->claims, i, &p); i++) {
        struct port *open = p.why[0] ? NULL : ports_find(l->ports, &p.port->listen);

        if (open)
            each(user, &(struct snap_port){ .at = address_text(&p.port->listen, &text),
                                            .target = { .item = p.item },
                                            .agent = p.agent,
                                            .port = open,
                                            .away_since = presence_away_since(&l->presence, p.agent),
                                            .allow = p.port->allow,
                                            .deny = p.port->deny });
    }
    buf_free(&text);
}

void lanes_add_port_lanes(const struct lanes *l, struct snapshot *s, const struct snap_lane *lane)
{
    struct buf text = { 0 };
    enum lane_service how;
    struct claims_port p;
    const char *route;

    for (size_t i = 0; claims_port(l->claims, i, &p); i++) {
        if (p.why[0] || p.remembered || strcmp(p.agent, lane->agent) != 0)
            continue;
        snapshot_add_port_lane(s, address_text(&p.port->listen, &text), lane);
        for (size_t j = 0; claims_down(&p.of, lane->boot, j, &route, &how); j++)
            snapshot_add_port_down(s, buf_text(&text), how, lane);
    }
    buf_free(&text);
}

static bool has_port(const struct lanes *l, const char *agent)
{
    struct claims_port p;

    for (size_t i = 0; claims_port(l->claims, i, &p); i++)
        if (!p.remembered && strcmp(p.agent, agent) == 0)
            return true;
    return false;
}

void lanes_leave(struct lanes *l)
{
    struct lane_facts facts;

    for (size_t i = l->n; i > 0; i--) {
        lane_facts(l->list[i - 1], &facts);
        if (has_port(l, facts.agent))
            lane_leave(l->list[i - 1]);
        else
            lane_close(l->list[i - 1]);
    }
}

/* ---- status ---- */

static const char *state_of(const struct lanes *l, const struct claims_port *p)
{
    if (p->why[0])
        return "refused";
    if (p->remembered)
        return "expected";
    return lanes_agent_is_up(l, p->agent) ? "up" : "down";
}

json_t *lanes_ports_status(const struct lanes *l,
                           const struct counts *(*counts_of)(void *user, const char *agent, const char *item),
                           void *user)
{
    json_t *list = json_array();
    struct buf text = { 0 };
    struct claims_port p;

    for (size_t i = 0; claims_port(l->claims, i, &p); i++) {
        const struct counts *counts = counts_of(user, p.agent, p.item);

        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s?, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I}", "name", p.name, "agent",
                      p.agent, "listen", p.port ? address_text(&p.port->listen, &text) : NULL, "state",
                      state_of(l, &p), "why", p.why[0] ? json_any_text(p.why) : json_null(), "service_state",
                      lane_service_text(p.service), "connections", (json_int_t)atomic_load(&counts->streams),
                      "connections_total", (json_int_t)atomic_load(&counts->requests), "errors",
                      (json_int_t)atomic_load(&counts->errors), "bytes_in",
                      (json_int_t)atomic_load(&counts->bytes_in), "bytes_out",
                      (json_int_t)atomic_load(&counts->bytes_out)));
    }
    buf_free(&text);
    return list;
}
