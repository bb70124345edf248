/* Items tcp:NAME of claims: who may open which port, and who has it. A port is one agent's: whoever had it first. */
#include "relay/lanes/claims_parts.h"
#include "relay/lanes/port_list.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ports_read(struct item *it)
{
    struct err why = { 0 };

    if (!it->tcp)
        return;
    it->port = mem_new(sizeof *it->port);
    if (port_policy_read(it->port, it->policy, &it->port_texts, &why) == 0)
        return;
    ports_unread(it);
    it->port = NULL;
}

void ports_unread(struct item *it)
{
    free(it->port);
    arena_free(&it->port_texts);
}

static bool may_open(const struct agent *a, unsigned port)
{
    const struct opt_words list = { a->tcp_ports_n, (const char *const *)a->tcp_ports };

    return port_list_has(&list, port);
}

static void check_policy(struct item *it)
{
    struct port_policy policy;
    struct arena texts = { 0 };
    struct err why = { 0 };

    if (value_name(str_of(it->tcp), &why) != 0 || port_policy_read(&policy, it->policy, &texts, &why) != 0)
        snprintf(it->why, sizeof it->why, "%.255s", why.text);
    arena_free(&texts);
}

bool ports_check(const struct agent *a, struct item *it)
{
    unsigned port;

    check_policy(it);
    if (it->why[0])
        return false;
    port = port_policy_port(&it->port->listen);
    if (!may_open(a, port))
        snprintf(
            it->why, sizeof it->why,
            a->enrolled
                ? "agent %s may not open port %u: write an [agent %s] into relay.ini, with the key and domains "
                  "that tunnel-relay --dump shows for it, and tcp_ports = %u"
                : "agent %s may not open port %u: add it to tcp_ports in the relay's [agent %s]",
            a->name, port, a->name, port);
    return !it->why[0];
}

static const struct item *find_rival(struct item *const *list, size_t n, const struct item *it)
{
    for (size_t i = 0; i < n; i++)
        if (list[i]->tcp && !list[i]->why[0] &&
            port_policy_collide(&list[i]->port->listen, &it->port->listen))
            return list[i];
    return NULL;
}

void ports_admit(struct claims *c, struct item *const *list, size_t i)
{
    struct item *it = list[i];
    const struct item *rival = find_rival(list, i, it);
    unsigned port = port_policy_port(&it->port->listen);

    if (rival && rival->agent == it->agent)
        snprintf(it->why, sizeof it->why, "port %u is that of [tcp %.40s] already", port, rival->tcp);
    else if (rival)
        snprintf(
            it->why, sizeof it->why,
            "port %u is open for agent %s already, for its [tcp %.40s]; a port is not shared, so listen on another",
            port, rival->agent->name, rival->tcp);
    else if (c->ports && !c->ports->want(c->ports->user, &it->port->listen, it->why, sizeof it->why))
        c->lacks_ports = true;
}

/* ---- for whoever publishes them ---- */

static enum lane_service service_of(const struct item *it)
{
    enum lane_service found = LANE_SERVICE_UNKNOWN;

    for (size_t i = 0; i < it->said_n; i++) {
        if (it->said[i].state == LANE_SERVICE_OK)
            return LANE_SERVICE_OK;
        found = it->said[i].state;
    }
    return found;
}

static void fill(struct claims_port *port, const struct agent *a, const struct item *it)
{
    *port = (struct claims_port){ .name = it->tcp,
                                  .agent = a->name,
                                  .item = it->item,
                                  .policy = it->policy,
                                  .port = it->port,
                                  .why = it->why,
                                  .remembered = a->remembered,
                                  .service = service_of(it),
                                  .of = { .name = a->name, .claimed = !a->remembered, .item = it } };
}

bool claims_port(const struct claims *c, size_t i, struct claims_port *port)
{
    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t j = 0; j < a->now.n; j++) {
            if (!a->now.list[j].tcp || i-- > 0)
                continue;
            fill(port, a, &a->now.list[j]);
            return true;
        }
    return false;
}
