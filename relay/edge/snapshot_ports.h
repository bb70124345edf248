/* relay/edge/snapshot_ports.h - the ports in a snapshot: what claims have opened, and where their visitors go. */
#ifndef RELAY_EDGE_SNAPSHOT_PORTS_H
#define RELAY_EDGE_SNAPSHOT_PORTS_H
#include "relay/edge/port.h"
#include "relay/edge/snapshot.h"

struct snap_port {
    const char *at;            /* ":2222", "[2001:db8::1]:2222": there is one of each */
    struct snap_target target; /* its item is "tcp:NAME" */
    const char *agent;         /* which alone serves it */
    struct port *port;
    struct cidrs allow, deny; /* allow: nobody else, when there is any; deny comes first */
    int64_t park_ms;
    time_t away_since; /* while no lane serves it; 0: that is not so, or not known */
    struct counts *counts;
};

/* While building. Everything is copied; port and counts get references of their own. */
void snapshot_add_port(struct snapshot *s, const struct snap_port *port);
/* To the port of this address; nothing when it is not there. */
void snapshot_add_port_lane(struct snapshot *s, const char *at, const struct snap_lane *lane);
void snapshot_add_port_down(struct snapshot *s, const char *at, enum lane_service how,
                            const struct snap_lane *lane);

size_t snapshot_ports(const struct snapshot *s, const struct snap_port *const **ports);
const struct snap_port *snapshot_find_port(const struct snapshot *s, const char *at);
const struct snap_target *snapshot_port_target(const struct snapshot *s,
                                               const char *at); /* as parking_find_cb */
#endif
