/* relay/edge/accept.h - in which form a visitor would rather have a page of ours: as his Accept says. Pure. */
#ifndef RELAY_EDGE_ACCEPT_H
#define RELAY_EDGE_ACCEPT_H
#include "shared/http/h1.h"

enum accept_form {
    ACCEPT_HTML,
    ACCEPT_JSON,
    ACCEPT_PROBLEM, /* application/problem+json, RFC 9457 */
    ACCEPT_GRPC,    /* a status of gRPC: no Accept asks for it, but relay/edge/grpc.h knows */
};

/* HTML, unless JSON has the higher weight, or the same and is named more exactly: so a mere wildcard gets HTML. Never ACCEPT_GRPC. */
enum accept_form accept_form(const struct h1_head *head);
#endif
