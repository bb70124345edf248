/* relay/edge/purpose.h - what a stream is used for: a service, and the visitor whom it serves alone, if it does.
 *
 * A value, zeroed while that is not decided. Of it the stream's second header is made. */
#ifndef RELAY_EDGE_PURPOSE_H
#define RELAY_EDGE_PURPOSE_H
#include "relay/edge/snapshot.h"
#include "shared/buf.h"

#include <sys/socket.h>

/* The visitor of a stream that serves nobody else, so that its service can be told who he is. */
struct purpose_alone {
    struct sockaddr_storage source, dest; /* he, and the address that he has come to */
    const char *sni; /* the name that he asked for, where we did not end his TLS; "": none */
};

struct purpose {
    char *item, *route; /* NULL: not decided */
    struct purpose_alone *alone;
};

/* Copies target and alone; NULL: it may serve anybody, one after another. */
void purpose_set(struct purpose *p, const struct snap_target *target, const struct purpose_alone *alone);
void purpose_free(struct purpose *p);
/* Whether it was decided for this, and for this very connection of the visitor's. */
bool purpose_is(const struct purpose *p, const struct snap_target *target, const struct purpose_alone *alone);
void purpose_write(const struct purpose *p, bool http2, struct buf *out); /* http2: will be spoken */
#endif
