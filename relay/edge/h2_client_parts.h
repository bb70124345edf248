/* relay/edge/h2_client_parts.h - what h2_client.c and h2_call.c share. */
#ifndef RELAY_EDGE_H2_CLIENT_PARTS_H
#define RELAY_EDGE_H2_CLIENT_PARTS_H
#include "relay/edge/h2_client.h"

struct h2_client {
    nghttp2_session *ng;
    struct h2_call *calls, *dirty, **dirty_end;
    size_t room;  /* of bodies, that may be sent now */
    bool starved; /* a body waits for that */
    uint64_t now_ms, refilled_ms;
    unsigned patience;
    bool settled, retiring, flooded, broken;
};

/* ---- h2_call.c: what has come for it ---- */

void h2_call_section(struct h2_call *call, bool ends); /* a head, or the trailers, is whole */
void h2_call_received(struct h2_call *call, const void *bytes, size_t n);
void h2_call_remote_end(struct h2_call *call);
void h2_call_refuse(struct h2_call *call, const char *why);
void h2_call_closed(struct h2_call *call, uint32_t code);
#endif
