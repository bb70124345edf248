/* relay/edge/grpc.h - what we need to know of gRPC: which requests are such calls, and how they are told that they failed.
 * Pure. */
#ifndef RELAY_EDGE_GRPC_H
#define RELAY_EDGE_GRPC_H
#include "shared/http/h1.h"

/* By its Content-Type, application/grpc or application/grpc+…; not application/grpc-web, which is an ordinary request. Who
 * says TE: trailers alone is none: browsers do. Only by HTTP/2 can it be a call. */
bool grpc_is_call(const struct h1_head *head);
/* Which status of gRPC says what this one of HTTP says. */
int grpc_status(int http_status);
#endif
