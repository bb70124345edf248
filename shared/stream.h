/* shared/stream.h - one connection's bytes, with backpressure and half-close.
 *
 * Alive on the loop. What is written is sent at once as far as the kernel takes it, the rest is queued. When both
 * directions are done, on an error, or after stream_stop, it closes and calls `ended`, once, last, from the loop;
 * then it is gone. After stream_stop no other event comes. */
#ifndef SHARED_STREAM_H
#define SHARED_STREAM_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/loop.h"

#include <stdbool.h>
#include <stddef.h>

/* Backpressure: a source is not read while its sink has this much queued, until it has only that much left. */
enum { STREAM_FULL_BYTES = 256 * 1024, STREAM_DRAINED_BYTES = 64 * 1024, STREAM_PIECE_BYTES = 64 * 1024 };

struct stream;

struct stream_events {
    void (*received)(void *user, const char *bytes, size_t n); /* borrows the bytes until it returns */
    void (*eof)(void *user);                                   /* the peer sends no more; we still may */
    void (*drained)(void *user);                               /* after having been full; may be NULL */
    void (*ended)(void *user, const struct err *why);          /* why->code is ERR_NONE for an orderly end */
    void (*sent)(void *user); /* the kernel has taken more of what was queued; may be NULL */
};

/* Takes a connected socket; closes it also when it fails. */
struct stream *stream_open(struct loop *loop, int fd, const struct stream_events *events, void *user,
                           struct err *e);
/* Begins to connect, to a TCP or a Unix address, and borrows addr until it returns. `connected`, which may be NULL,
 * comes before any event; what is written until then waits. When it fails, `ended` alone says why: ERR_PEER refused,
 * ERR_TIMEOUT no answer, ERR_SYSTEM whatever else. */
struct stream *stream_connect(struct loop *loop, const struct sockaddr *addr, void (*connected)(void *user),
                              const struct stream_events *events, void *user, struct err *e);
/* The same, from an address of our own; port 0 leaves the port to the kernel. */
struct stream *stream_connect_from(struct loop *loop, const struct sockaddr *from,
                                   const struct sockaddr *addr, void (*connected)(void *user),
                                   const struct stream_events *events, void *user, struct err *e);
/* From now on its events are for somebody else. */
void stream_hand_over(struct stream *s, const struct stream_events *events, void *user);

void stream_write(struct stream *s, const void *bytes, size_t n); /* copies what cannot be sent at once */
void stream_shutdown(struct stream *s);                           /* half-close, behind what is queued */
void stream_stop(struct stream *s);                               /* close now; what is queued is dropped */
void stream_reset(struct stream *s);                              /* the same, and the peer sees a reset */
/* What is written from now on leaves together with the half-close, which is to follow at once. */
void stream_gather_end(struct stream *s);
/* Whether it stays when both directions are done, until stream_stop. */
void stream_keep(struct stream *s, bool kept);
/* From now on it stays, neither read nor written, when the connection breaks, until stream_stop; `ended` then says how it
 * broke. `broke` may be called from inside stream_write. Not for one that is still connecting. */
void stream_keep_broken(struct stream *s, void (*broke)(void *user));

/* For one that carries many others: from now on up to LOOP_BUF_BYTES are read at once, straight into this buffer, and
 * stand there when `received` is called. Borrows it until the stream's end. */
void stream_read_into(struct stream *s, struct buf *into);
void stream_pause(struct stream *s); /* stop reading; what has been received was handed over */
void stream_resume(struct stream *s);
/* Reads from source only while sink is not full. Each sink has one source at most, and each source one sink; NULL
 * undoes it. The end of either one undoes it too. A stream may be its own source: it then reads no further
 * question while its answer is stuck. */
void stream_set_source(struct stream *sink, struct stream *source);

/* What the peer has said before it broke off is handed over even when a failed write tells us of it while we are paused:
 * the end then comes behind it, after stream_resume. */
void stream_hear_out(struct stream *s);

/* Of TCP: from now on a peer who vanishes without a word is found within 2 minutes, and it breaks. */
void stream_find_vanished(const struct stream *s);
/* Of TCP: whether the peer sees a reset when this process is killed, instead of the end in order that the kernel says for
 * us. What the kernel still has to send is lost then, also when the stream is closed: it is to be off before that. */
void stream_reset_when_killed(const struct stream *s, bool on);

size_t stream_queued(const struct stream *s); /* bytes the kernel has not taken yet */
bool stream_full(const struct stream *s);     /* from STREAM_FULL_BYTES until drained */
/* TCP_CLOSE and the like, as the kernel sees it: also of what has not been read yet. 0: it is not TCP. */
int stream_tcp_state(const struct stream *s);
bool stream_peer_has_ended(const struct stream *s); /* the same way: his FIN has come, or more */
/* Of one that is not read, and so does not tell it: by a reset, or because nobody answers any more. */
bool stream_is_broken(const struct stream *s);
int stream_fd(const struct stream *s); /* for looking at, such as SO_PEERCRED */
#endif
