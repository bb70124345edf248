/* relay/edge/service_h1.h - a service by HTTP/1.1: a stream of its own for each request, one after another. */
#ifndef RELAY_EDGE_SERVICE_H1_H
#define RELAY_EDGE_SERVICE_H1_H
#include "relay/edge/service_side.h"

struct service_side service_h1(struct upstream *u);
#endif
