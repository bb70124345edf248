/* relay/edge/h2_session.h - the server's side of a connection by HTTP/2, as a pure machine around nghttp2: bytes in, bytes
 * out, streams in between. The time is an argument.
 *
 * An object. Nobody is called back: what has happened to which stream is asked for, with h2_session_next. The body of a
 * request lies in its stream as the head that was made of it says: plain, or in chunks. */
#ifndef RELAY_EDGE_H2_SESSION_H
#define RELAY_EDGE_H2_SESSION_H
#include "relay/edge/h2_fields.h"

enum {
    H2_MAX_STREAMS = 128, /* at once */
    H2_SETTINGS_MS = 60000,
    H2_WINDOW_BYTES = 262144, /* of a request's body, received and not yet passed on */
    H2_FULL_BYTES = 65536,    /* of a response's body: with that much waiting, its service is to wait */
    H2_DRAINED_BYTES = 16384, /* until only that is left */
    H2_FULL_INTERIMS = 16,    /* the same for 1xx, until none is left */
};

enum h2_head { H2_HEAD_READ, H2_HEAD_REFUSED, H2_HEAD_MALFORMED };

struct h2_session;

struct h2_stream {
    struct h2_session *session;
    struct h2_stream *prev, *next; /* of the session's */
    struct h2_stream *next_dirty;
    void *user; /* whoever serves it */
    int32_t id;
    uint64_t began_ms;
    bool dirty;  /* something has happened: h2_session_next will name it */
    bool closed; /* by both sides, or reset: it has to be freed */

    /* The request. */
    struct h2_fields fields, trailing; /* trailers may come before the head is taken */
    bool head_whole, remote_ended, chunked, terminated, discards;
    bool refused;        /* what came behind its end: more of that may be under way */
    bool connects;       /* by an extended CONNECT: a WebSocket, if the service agrees */
    struct buf raw;      /* of a body of unknown length, not yet in chunks */
    struct buf in;       /* as exchange_run takes it */
    struct buf trailers; /* in front of which the last chunk stands */
    size_t unacked;      /* received, and the visitor may not yet send as much again */

    /* The response. */
    struct buf head; /* its text, while it is written */
    struct buf out, out_trailers;
    uint64_t sent_bytes;
    unsigned interims; /* 1xx that are on their way to the socket */
    bool head_ready, submitted, out_ended, deferred, was_full;
    bool answered;   /* all of it has gone out */
    bool switched;   /* the service has agreed: bytes go both ways, and either way may end first */
    bool ended_well; /* closed, because both sides have said all that they had to say */
};

struct h2_session *h2_session_new(uint32_t max_header, uint64_t now_ms);
void h2_session_free(struct h2_session *s); /* with its streams */

/* Takes all n bytes. -1: the connection is at its end, for the reason in why; the last words are to be sent. */
must_check int h2_session_feed(struct h2_session *s, const char *bytes, size_t n, uint64_t now_ms,
                               const char **why);
/* Adds frames until there are none, or `most` bytes of them. */
void h2_session_send(struct h2_session *s, struct buf *out, size_t most);
uint64_t h2_session_sent(const struct h2_session *s);   /* bytes of bodies, so far */
bool h2_session_is_over(const struct h2_session *s);    /* nothing more will come or go */
bool h2_session_is_flooded(const struct h2_session *s); /* nobody is to go on with it: see h2_session_calm */
void h2_session_calm(
    struct h2_session *s); /* ends it with ENHANCE_YOUR_CALM; the last words are to be sent */
/* Who has not acknowledged our SETTINGS for H2_SETTINGS_MS does not keep to them: that is the end (RFC 9113 6.5.3). */
void h2_session_late(struct h2_session *s, uint64_t now_ms);
/* No further requests: those under way are served. The visitor is told in time not to begin new ones. */
void h2_session_drain(struct h2_session *s);
void h2_session_end(struct h2_session *s); /* as drain, at once: those that come now are not looked at */

struct h2_stream *h2_session_next(struct h2_session *s);        /* to which something has happened, or NULL */
bool h2_session_has_news(const struct h2_session *s);           /* h2_session_next would name one */
struct h2_stream *h2_session_first(const struct h2_session *s); /* of all */

/* ---- a stream, h2_stream.c ---- */

void h2_stream_touch(struct h2_stream *st); /* makes it dirty */
/* Adds the text of its head. -1: it is refused, see fields.why; with 431 when it is too large, with 501 when its protocol
 * is unknown, otherwise reset it. */
must_check int h2_stream_take_head(struct h2_stream *st, const char *websocket_key, struct buf *out);
/* The same, and parses it. Malformed (RFC 9113 8.1.1): it has been reset. Refused: see parsed->status. */
enum h2_head h2_stream_read_head(struct h2_stream *st, const char *websocket_key,
                                 const struct h1_limits *limits, struct buf *out, struct h1_head *parsed);
/* Makes `in` what can be taken next of the body; true when that is more than it was. */
bool h2_stream_fill(struct h2_stream *st);
void h2_stream_used(struct h2_stream *st); /* something was taken of `in`: the visitor may send more */
/* What there is of the body, and what still comes. That is not more than the visitor may send already. */
void h2_stream_discard(struct h2_stream *st);
/* Behind that: of one that was switched, the end follows what was said to it. */
void h2_stream_finish(struct h2_stream *st);

void h2_stream_head(struct h2_stream *st, int status); /* its text is whole, in `head` */
void h2_stream_body(struct h2_stream *st, const void *bytes, size_t n);
void h2_stream_end(struct h2_stream *st, struct str trailers);
void h2_stream_answer(struct h2_stream *st, struct str whole);
bool h2_stream_full(struct h2_stream *st);
void h2_stream_flush(struct h2_stream *st);         /* all that was said is on its way */
void h2_stream_served(struct h2_stream *st);        /* a service has answered it */
bool h2_stream_is_held(const struct h2_stream *st); /* by the visitor, it alone */
/* He has asked for it, and has not read on for too long. As reset; whoever does so often is not heard any more. */
void h2_stream_unread(struct h2_stream *st);
void h2_stream_reset(struct h2_stream *st, uint32_t code);
void h2_stream_drop(struct h2_stream *st); /* the same at once: what it holds is gone */
void h2_stream_free(struct h2_stream *st); /* a closed one */
#endif
