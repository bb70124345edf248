/* relay/edge/upstream_events.h - what a stream to a lane tells whoever has taken it, and how it ends. */
#ifndef RELAY_EDGE_UPSTREAM_EVENTS_H
#define RELAY_EDGE_UPSTREAM_EVENTS_H
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum upstream_end {
    UPSTREAM_EOF,         /* the service ended its side, and the agent confirms that it meant to */
    UPSTREAM_BROKEN,      /* the service broke off */
    UPSTREAM_LOST,        /* nobody says why it ended: the lane has died */
    UPSTREAM_REFUSED,     /* the service's machine refused the connection */
    UPSTREAM_UNREACHABLE, /* that machine could not be reached */
    UPSTREAM_SILENT,      /* the service did not answer the connection in time */
    UPSTREAM_UNAVAILABLE, /* no stream could be had from the lane */
    /* Of a request by HTTP/2 alone. */
    UPSTREAM_UNPROCESSED, /* the service says that it has not looked at it */
    UPSTREAM_RESET,       /* by the service; `reset` has said with which code */
    UPSTREAM_NOT_HTTP,    /* it breaks the protocol */
};

/* To the exchange that has taken one. */
struct upstream_events {
    void (*ready)(void *user); /* only when upstream_ready was false when it was taken */
    void (*received)(void *user, const char *bytes, size_t n);
    void (*room)(void *user); /* upstream_room has become more than nothing, or all that was queued is sent */
    /* Bytes that wait for the visitor; moved: how many have gone to him in all. */
    uint64_t (*held)(void *user, uint64_t *moved);
    bool (*gone)(void *user);     /* the visitor has reset his connection; asked only while nothing moves */
    void (*eof)(void *user);      /* only of an upgraded one: it may still be written to */
    bool (*said_all)(void *user); /* the same: the visitor says no more; asked as `gone` is */
    void (*ended)(void *user, enum upstream_end how); /* last; after EOF nothing can be written either */

    /* By HTTP/2, where `received` tells of heads alone. Then `told`: that was all for now, and a response without a body
     * need not look as if one followed. */
    void (*body)(void *user, const char *bytes, size_t n);
    void (*end)(void *user, struct str trailers); /* the response is whole */
    void (*told)(void *user);
    void (*reset)(void *user, uint32_t code);

    /* Of one that several requests share, instead of what is known of the stream itself: what the one that stands still
     * and holds most holds, and its end; of one whose visitor is gone first. NULL: it is one request's. */
    uint64_t (*stuck)(void *user);
    void (*shed)(void *user);
};
#endif
