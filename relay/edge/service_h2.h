/* relay/edge/service_h2.h - a connection to a service by HTTP/2, over one stream of a lane: requests of all visitors share
 * it.
 *
 * An object of its lane's, on whose list it stands until it takes no further request. It ends when its stream does, or
 * when it has served nobody for some time. */
#ifndef RELAY_EDGE_SERVICE_H2_H
#define RELAY_EDGE_SERVICE_H2_H
#include "relay/edge/pool_parts.h"
#include "relay/edge/service_side.h"

struct service_h2;

/* Whether one of this lane's has room for a further request to this service. */
bool service_h2_has_room(const struct lane *l, const struct snap_target *target);
/* A request joins one, or a new one. False: no stream can be had for it. Borrows the events until it leaves or has been
 * told of its end. */
bool service_h2_join(struct lane *l, const struct snap_way *way, const struct snap_target *target,
                     const struct purpose_alone *alone, const struct upstream_events *events, void *user,
                     struct service_side *side);
/* Once a second, for all of a lane's. */
void service_h2_look(struct lane *l);
void service_h2_stop(struct lane *l); /* all of them; they serve nobody any more */
#endif
