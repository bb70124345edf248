/* relay/edge/visitor_side.h - what an exchange says to its visitor and asks of him, whichever HTTP he speaks.
 *
 * A value: functions, and whom they are about. An exchange writes every head as a text in the words of HTTP/1.1, which is
 * what a service has sent, more or less; it knows no frames, chunks or connections. The request's body comes to it by
 * exchange_run, framed as the head of the request says. */
#ifndef RELAY_EDGE_VISITOR_SIDE_H
#define RELAY_EDGE_VISITOR_SIDE_H
#include "shared/http/h1.h"
#include "shared/stream.h"

struct visitor_ops {
    /* Other requests share the connection, which therefore neither ends with this one nor frames its body in text. */
    bool multiplexed;

    /* ---- the response ---- */
    struct buf *(*head_room)(void *user); /* where to add the text of a head, */
    void (*head)(void *user, int status); /* and then to say that it is whole: a 1xx, or the final one */
    void (*body)(void *user, enum h1_framing framing, const void *bytes, size_t n);
    /* The body is whole; trailers: well formed, with their last empty line, or of no bytes. */
    void (*end)(void *user, enum h1_framing framing, struct str trailers);
    void (*answer)(void *user, struct str whole); /* a page of ours: head and body */
    /* Why this answer, such as a 101 that the service was asked for, is nevertheless none for him, or NULL. The member may
     * be NULL. */
    const char *(*declines)(const void *user, const struct h1_head *answer);

    /* ---- after an upgrade ---- */
    void (*send)(void *user, const void *bytes, size_t n);
    void (*shutdown)(void *user); /* half-close, behind what was sent */
    struct stream *(*connection)(void *user);

    /* ---- what is asked ---- */
    struct stream *(*stream)(void *user); /* for backpressure; NULL: ask `full` */
    bool (*full)(void *user);             /* so much waits for him that the service is to wait */
    uint64_t (*held)(const void *user, uint64_t *moved); /* see upstream_events */
    bool (*has_ended)(const void *user);                 /* he has said all that he will say */
    bool (*has_left)(const void *user); /* has ended his side, and does not show that he still listens */
    bool (*is_gone)(const void *user);  /* has reset the connection, though we do not read it now */
    const char *(*tls_version)(const void *user); /* "": there is no TLS */
    void (*run)(void *user); /* something happened; the exchange may be gone afterwards */
};

struct visitor_side {
    const struct visitor_ops *ops;
    void *user;
};

static inline void visitor_run(const struct visitor_side *v)
{
    v->ops->run(v->user);
}

static inline struct stream *visitor_stream(const struct visitor_side *v)
{
    return v->ops->stream(v->user);
}

/* Where his connection is not this request's alone, the service waits until he has read what there is. */
static inline void visitor_hold(const struct visitor_side *v, struct stream *service)
{
    if (!v->ops->multiplexed || !service)
        return;
    if (v->ops->full(v->user))
        stream_pause(service);
    else
        stream_resume(service);
}

static inline uint64_t visitor_held(const struct visitor_side *v, uint64_t *moved)
{
    return v->ops->held(v->user, moved);
}

static inline bool visitor_has_ended(const struct visitor_side *v)
{
    return v->ops->has_ended(v->user);
}

static inline bool visitor_is_gone(const struct visitor_side *v)
{
    return v->ops->is_gone(v->user);
}
#endif
