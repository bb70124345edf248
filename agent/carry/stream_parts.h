/* agent/carry/stream_parts.h - what stream.c and stream_look.c share. */
#ifndef AGENT_CARRY_STREAM_PARTS_H
#define AGENT_CARRY_STREAM_PARTS_H
#include "agent/carry/service_conn.h"
#include "agent/carry/stream.h"

enum carry_state { C_OPENING, C_WARM, C_DIAL, C_CARRY, C_CLOSE };

struct carry {
    struct carry_lane *lane;
    struct carry *next;
    LIBSSH2_CHANNEL *channel; /* NULL once given back */
    enum carry_state state;
    int pending;  /* what libuv or the service's connection still holds of us */
    bool stopped; /* by the lane: whatever the state is, it ends now */

    uv_timer_t deadline;
    bool late;

    uint64_t id;        /* known from the opening on */
    bool opened;        /* id is valid */
    struct buf in;      /* the opening, then the second header and what came behind it */
    char *item, *route; /* "domain:NAME"; "" for its own service */

    struct service_conn *service;   /* NULL before it is dialled and after it has ended */
    bool ready, answered, declined; /* it is reached; has said something; is well, but has no HTTP/2 */
    enum lane_how service_how;      /* once it has ended */
    char *service_why;
    bool service_eof, paused;
    uint64_t to_service, consumed; /* bytes after the second header; those that the relay knows to be taken */
    struct buf out;                /* from the service, not taken by libssh2 yet */
    bool relay_eof, eof_sent;
    bool end_waits, orphan; /* the relay's end, for its answer to end_ping; the relay has gone */
    uint64_t end_ping;

    bool ended_said;
    uint64_t ended_at; /* its place in the conversation */

    struct carry_link all;
    bool counted, stuck;          /* counted: among those in use */
    uint64_t moved, moved_before; /* bytes that have left it, now and at the last look */
};

#endif
