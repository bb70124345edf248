/* relay/edge/client_parts.h - what client.c and client_side.c share. */
#ifndef RELAY_EDGE_CLIENT_PARTS_H
#define RELAY_EDGE_CLIENT_PARTS_H
#include "relay/edge/client.h"
#include "relay/edge/wire.h"
#include "shared/deadline.h"

enum client_state { C_FIRST, C_HANDSHAKE, C_HEAD, C_EXCHANGE, C_H2, C_LINGER, C_CLOSE };

struct client {
    const struct client_host *host;
    enum client_state state;
    struct stream *sock;
    struct deadline deadline;
    int pending;

    struct first first;
    struct wire wire;
    struct buf plain;     /* received and decrypted */
    struct h1_head *head; /* only while one is being read */
    struct exchange *exchange;
    struct h2_visitor *h2;   /* instead of both */
    struct h1_limits limits; /* of that head: they may change while it comes */
    struct origin from;
    char address[64];    /* that he has asked for, when his TLS names no server */
    uint64_t gone_bytes; /* of those sent, as far as it was known at the last deadline */
    bool head_began, visitor_ended, draining, resets;
    bool waits;                     /* his request is parked */
    bool has_asked;                 /* at least once */
    bool heard;                     /* bytes that are ours: not handed over to somebody else */
    bool asked_if_gone, would_tell; /* he has ended his side, and was sent what shows whether he is gone */
    bool half_ends;                 /* nothing more will be sent, but the visitor may go on */
    bool spoke_h2;
    size_t dropped_bytes; /* while it lingers */
    uint64_t lingers_since_ms;
};

#endif
