#include "relay/edge/snapshot_ports.h"

#include "relay/edge/snapshot_parts.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

static struct cidrs copy_cidrs(struct snapshot *s, const struct cidrs *from)
{
    size_t size = from->n * sizeof *from->list;

    return (struct cidrs){ from->n, size > 0 ? memcpy(arena_get(&s->texts, size), from->list, size) : NULL };
}

void snapshot_add_port(struct snapshot *s, const struct snap_port *port)
{
    struct snap_port *copy = mem_new(sizeof *copy);

    *copy = *port;
    copy->at = arena_copy(&s->texts, port->at);
    copy->agent = arena_copy(&s->texts, port->agent);
    copy->target = (struct snap_target){ .item = arena_copy(&s->texts, port->target.item), .route = "" };
    copy->allow = copy_cidrs(s, &port->allow);
    copy->deny = copy_cidrs(s, &port->deny);
    port_hold(copy->port);
    counts_hold(copy->counts);
    s->ports = mem_grow(s->ports, (s->ports_n + 1) * sizeof(void *));
    s->ports[s->ports_n++] = copy;
}

static struct snap_port *find(const struct snapshot *s, const char *at)
{
    for (size_t i = 0; i < s->ports_n; i++)
        if (strcmp(s->ports[i]->at, at) == 0)
            return s->ports[i];
    return NULL;
}

void snapshot_add_port_lane(struct snapshot *s, const char *at, const struct snap_lane *lane)
{
    struct snap_port *port = find(s, at);

    if (port)
        snapshot_add_target_lane(&port->target, lane, 0, NULL);
}

void snapshot_add_port_down(struct snapshot *s, const char *at, enum lane_service how,
                            const struct snap_lane *lane)
{
    const struct snap_port *port = find(s, at);

    if (port)
        snapshot_add_target_down(s, &port->target, "", how, lane);
}

size_t snapshot_ports(const struct snapshot *s, const struct snap_port *const **ports)
{
    *ports = (const struct snap_port *const *)s->ports;
    return s->ports_n;
}

const struct snap_port *snapshot_find_port(const struct snapshot *s, const char *at)
{
    return find(s, at);
}

const struct snap_target *snapshot_port_target(const struct snapshot *s, const char *at)
{
    const struct snap_port *port = find(s, at);

    return port ? &port->target : NULL;
}

void snapshot_free_ports(struct snapshot *s)
{
    for (size_t i = 0; i < s->ports_n; i++) {
        free(s->ports[i]->target.lanes);
        port_release(s->ports[i]->port);
        counts_release(s->ports[i]->counts);
        free(s->ports[i]);
    }
    free(s->ports);
}
