/* relay/edge/service_side.h - what an exchange says to its service and asks of it, whichever HTTP that speaks: the
 * counterpart of relay/edge/visitor_side.h.
 *
 * A value: functions, and whom they are about; without ops there is nobody. An exchange gives the head of a request as a
 * text in the words of HTTP/1.1, and its body as bytes; it knows no frames or chunks. What comes back is told by
 * struct upstream_events: by HTTP/1.1 all of a response as text, by HTTP/2 its heads as such a text, the rest apart. */
#ifndef RELAY_EDGE_SERVICE_SIDE_H
#define RELAY_EDGE_SERVICE_SIDE_H
#include "relay/edge/upstream.h"
#include "shared/http/h1.h"

enum service_leave {
    SERVICE_KEEP,  /* all is said, both ways, and the service keeps the connection */
    SERVICE_CLOSE, /* likewise, but it does not */
    SERVICE_ABORT, /* the visitor is gone in the middle */
};

struct service_ops {
    /* HTTP/2: other requests share the connection, which neither ends with this one nor waits for it. */
    bool multiplexed;

    /* ---- the request ---- */
    void (*head)(void *user, struct str text);
    void (*body)(void *user, enum h1_framing framing, struct str data); /* some */
    /* The body is whole; trailers: well formed, with their last empty line, or of no bytes. */
    void (*end)(void *user, enum h1_framing framing, struct str trailers);
    void (*flush)(void *user); /* nothing more is said for now */

    /* ---- what is asked ---- */
    bool (*ready)(const void *user);          /* nothing is said before that */
    bool (*used_before)(const void *user);    /* it may have been closed by now */
    uint64_t (*lane)(const void *user);       /* that it is reached by */
    size_t (*room)(void *user);               /* for so much of the body */
    struct stream *(*stream)(void *user);     /* for backpressure; NULL: its connection is others' too */
    void (*hold)(void *user, bool held);      /* the visitor takes nothing of the response, or does again */
    struct upstream *(*upstream)(void *user); /* to be upgraded */

    void (*leave)(void *user, enum service_leave how); /* last */
};

struct service_side {
    const struct service_ops *ops; /* NULL: none */
    void *user;
};
#endif
