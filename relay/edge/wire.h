/* relay/edge/wire.h - a visitor's bytes between socket and requests: plain on one side, encrypted on the other, unless he
 * speaks without TLS.
 *
 * A value, embedded. Small pieces are gathered until they are flushed; large ones are encrypted where they lie. What TLS
 * makes goes through one buffer that all connections of a worker share, so it is sent before anybody else is called. */
#ifndef RELAY_EDGE_WIRE_H
#define RELAY_EDGE_WIRE_H
#include "relay/edge/tls.h"
#include "shared/stream.h"

struct wire {
    struct stream *sock;
    struct tls *tls;     /* NULL: without TLS */
    struct buf *sealed;  /* the worker's */
    struct buf gathered; /* plain, to be sent */
    uint64_t sent_bytes; /* given to the socket so far */
    bool said_goodbye;
};

/* Takes tls, which writes into sealed; borrows the others. */
void wire_init(struct wire *w, struct stream *sock, struct tls *tls, struct buf *sealed);
void wire_free(struct wire *w);

/* As tls_feed; what TLS itself has to say to it goes out. */
must_check int wire_feed(struct wire *w, const char *bytes, size_t n, struct buf *plain, struct err *e);
void wire_send(struct wire *w, const char *bytes, size_t n); /* goes out with the next flush, or before */
void wire_flush(struct wire *w, bool ends);                  /* ends: nothing will be sent behind it */
/* Sends something that means nothing. False where there is nothing of that kind. */
bool wire_probe(struct wire *w);
#endif
