/* relay/edge/route.h - which service of a site a request goes to. Pure. */
#ifndef RELAY_EDGE_ROUTE_H
#define RELAY_EDGE_ROUTE_H
#include "relay/edge/snapshot.h"

/* The route with the longest path that covers the request's, or the site's own service. /api covers /api and /api/users,
 * but not /apis; /api/ covers /api/users alone. The request's path is compared as its service will understand it:
 * without its query, with %XX decoded and /./ and /../ resolved; it is passed on as it came. */
const struct snap_target *route_find(const struct snap_site *site, struct str path);
#endif
