/* relay/edge/visitor_h1.h - the visitor's side of a request by HTTP/1.1: the text as it is, chunks, the connection. */
#ifndef RELAY_EDGE_VISITOR_H1_H
#define RELAY_EDGE_VISITOR_H1_H
#include "relay/edge/client.h"
#include "relay/edge/visitor_side.h"

/* Borrows the client as long as it is used. */
struct visitor_side visitor_h1(struct client *c);
#endif
