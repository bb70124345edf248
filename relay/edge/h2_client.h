/* relay/edge/h2_client.h - the client's side of a connection by HTTP/2, as a pure machine around nghttp2: bytes in, bytes
 * out, calls in between. A call is one request and its response.
 *
 * An object. Nobody is called back: what has happened to which call is asked for, with h2_client_next. What a service may
 * make us hold is bounded: its heads by H2_CALL_HEAD_BYTES, its bodies by H2_CALL_WINDOW_BYTES each. */
#ifndef RELAY_EDGE_H2_CLIENT_H
#define RELAY_EDGE_H2_CLIENT_H
#include "relay/edge/h2_fields.h"

enum {
    H2_CALL_HEAD_BYTES = 65536,    /* of one head or trailer section */
    H2_CALL_WINDOW_BYTES = 262144, /* of a response's body, received and not yet taken by its visitor */
    H2_CALL_ROOM_BYTES = 65536,    /* of a request's body, not yet sent */
    H2_CALL_INTERIMS = 100,        /* 1xx of one call */
    H2_CLIENT_CALLS = 128,         /* at once, whatever more the service allows */
};

struct h2_client;

struct h2_call {
    struct h2_client *client;
    struct h2_call *prev, *next; /* of the client's */
    struct h2_call *next_dirty;
    void *user; /* whoever made it; NULL: he has left */
    int32_t id; /* 0: it has not been begun */
    bool dirty; /* something has happened: h2_client_next will name it */

    /* The request. */
    struct buf head; /* its text, until it is begun */
    struct buf out, out_trailers;
    uint64_t sent_bytes;
    bool head_ready, out_ended, deferred;

    /* The response. */
    struct h2_fields fields;
    int status;          /* of the head that comes; 0 before */
    unsigned interims;   /* heads that were 1xx */
    struct buf heads;    /* text of those that are whole: 1xx, and the final one */
    struct buf in;       /* body, not yet taken */
    struct buf trailers; /* their text, with its empty line */
    bool head_done, remote_ended, held;
    size_t unacked;  /* received, and the service may not yet send as much again */
    const char *why; /* the response is refused: a constant text */

    bool closed, reset; /* reset: by the service */
    uint32_t code;      /* of the end */
};

struct h2_client *h2_client_new(uint64_t now_ms);
void h2_client_free(struct h2_client *c); /* with its calls */

/* Takes all n bytes. -1: the connection is at its end, for the reason in why; the last words are to be sent. */
must_check int h2_client_feed(struct h2_client *c, const char *bytes, size_t n, uint64_t now_ms,
                              const char **why);
/* Adds frames until there are none, or about `most` bytes of them; room: how many of them may be of bodies. */
void h2_client_send(struct h2_client *c, struct buf *out, size_t most, size_t room);
void h2_client_ping(struct h2_client *c);
void h2_client_end(struct h2_client *c); /* says that there will be no further call */

/* How many calls the service allows at once, as far as we want as many; 0 before it has said anything of itself. */
uint32_t h2_client_limit(const struct h2_client *c);
bool h2_client_settled(const struct h2_client *c);  /* it has */
bool h2_client_broken(const struct h2_client *c);   /* known only once that has been sent */
bool h2_client_retiring(const struct h2_client *c); /* it takes no further calls */

struct h2_call *h2_client_next(struct h2_client *c); /* to which something has happened, or NULL */
bool h2_client_has_news(const struct h2_client *c);
struct h2_call *h2_client_first(const struct h2_client *c); /* of all */

/* ---- a call, h2_call.c ---- */

struct h2_call *h2_call_new(struct h2_client *c, void *user);
void h2_call_touch(struct h2_call *call);
/* A head as it would go to a service by HTTP/1.1. */
void h2_call_head(struct h2_call *call, struct str text, const char *scheme);
void h2_call_body(struct h2_call *call, const void *bytes, size_t n);
void h2_call_end(struct h2_call *call, struct str trailers);
size_t h2_call_room(const struct h2_call *call);
void h2_call_flush(struct h2_call *call); /* all that was said may go */
/* How the body is taken: while held, the service may send no more than its window. */
void h2_call_hold(struct h2_call *call, bool held);
void h2_call_taken(struct h2_call *call); /* `in` has been passed on */
/* Nobody wants the rest. The call goes when it is closed: then h2_client_next names it once more, without a user. */
void h2_call_leave(struct h2_call *call);
void h2_call_free(struct h2_call *call);

/* How it ended without being whole, once it is closed. */
enum h2_call_end {
    H2_CALL_UNPROCESSED, /* the service says that it has not looked at it */
    H2_CALL_RESET,       /* by the service, with its code */
    H2_CALL_REFUSED,     /* what came is no HTTP */
};
enum h2_call_end h2_call_how(const struct h2_call *call);
#endif
