/* shared/tls_pipe.h - TLS as a pure machine, either side of it: bytes in, bytes out, no descriptor.
 *
 * A value, embedded. Which side it is, and on what terms, its context and the owner of `ssl` say; the pipe is the BIO
 * between OpenSSL and two buffers. Encrypted bytes go in through tls_pipe_feed and come out in `out`, which connections may
 * share, as long as it is sent and emptied before the next of them is called. */
#ifndef SHARED_TLS_PIPE_H
#define SHARED_TLS_PIPE_H
#include "shared/buf.h"
#include "shared/err.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct tls_pipe {
    SSL *ssl;
    const char *in; /* lent by tls_pipe_feed for the length of its call */
    size_t in_n;
    struct buf *out; /* borrowed: to send, and then to empty */
    struct buf held; /* plain: what could not be encrypted yet */
    bool established, ends, broken;
    uint64_t plain_bytes; /* that came and went */
    uint32_t steps;       /* of the handshake, and of what comes like one later */
};

/* What all connections of ours have in common: no renegotiation, no compression, no buffers while they are idle. */
void tls_pipe_set_context(SSL_CTX *ctx);
/* Holds the context. The pipe must stay where it is. */
void tls_pipe_init(struct tls_pipe *t, SSL_CTX *ctx, struct buf *out);
void tls_pipe_free(struct tls_pipe *t);

/* Takes all n bytes and adds what they decrypt to to plain; a handshake goes on by it too, and a client's begins with 0
 * bytes. 1: the other side has ended (close_notify). -1 with the reason, and *code, which may be NULL, as OpenSSL has it,
 * or 0; an alert may wait in the output. Who changes keys over and over is refused too: see FREE_STEPS. */
must_check int tls_pipe_feed(struct tls_pipe *t, const char *bytes, size_t n, struct buf *plain,
                             unsigned long *code, struct err *e);
bool tls_pipe_established(const struct tls_pipe *t); /* once it is, it stays so */
/* Encrypts into the output. Only once established. While the other side is in the middle of a message of TLS itself, such
 * as a ticket in two records, the bytes are held, until it has come whole: see tls_pipe_held. Who never ends it loses them. */
void tls_pipe_write(struct tls_pipe *t, const char *bytes, size_t n);
/* Plain bytes that wait for that; tls_pipe_feed encrypts them into the output. Give it no more until there are none. */
size_t tls_pipe_held(const struct tls_pipe *t);
void tls_pipe_end(struct tls_pipe *t); /* adds a close_notify to the output, behind what is held */
#endif
