/* shared/proxy2.h - how a stream begins: PROXY v2 headers and the proofs in them (design: Streams). Pure.
 *
 *   relay                                   agent
 *   open: id, R, HMAC("relay" id R)  ────▶  knows that the relay opened it
 *   knows that the agent answers     ◀────  answer: HMAC("agent" id R)
 *   use: item, route, addresses      ────▶  dials the service
 *
 * The key is the lane's secret, which never crosses the port. */
#ifndef SHARED_PROXY2_H
#define SHARED_PROXY2_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    PROXY2_SECRET_BYTES = 32,
    PROXY2_RANDOM_BYTES = 16,
    PROXY2_OPEN_BYTES = 65,
    PROXY2_ANSWER_BYTES = 16,
    PROXY2_USE_MAX_BYTES = 1024, /* of a whole second header */
    PROXY2_TEXT_BYTES = 255,     /* of each text in it */
};

void proxy2_open_write(unsigned char out[PROXY2_OPEN_BYTES], const unsigned char secret[PROXY2_SECRET_BYTES],
                       uint64_t stream, const unsigned char random[PROXY2_RANDOM_BYTES]);
/* -1: not exactly such an opening, or made with another secret. Takes as long for a wrong proof as for a right one. */
must_check int proxy2_open_read(const unsigned char in[PROXY2_OPEN_BYTES],
                                const unsigned char secret[PROXY2_SECRET_BYTES], uint64_t *stream,
                                unsigned char random[PROXY2_RANDOM_BYTES]);
/* True while n bytes (fewer than a whole opening too) can still become one: strangers are closed at once. False for
 * more than an opening: the relay sends nothing behind it before it has the answer. */
bool proxy2_open_begins(const unsigned char *in, size_t n);
void proxy2_answer(unsigned char out[PROXY2_ANSWER_BYTES], const unsigned char secret[PROXY2_SECRET_BYTES],
                   uint64_t stream, const unsigned char random[PROXY2_RANDOM_BYTES]);

/* The second header: what the stream is used for. */
struct proxy2_use {
    bool local;                           /* LOCAL: a pooled stream, no addresses */
    struct sockaddr_storage source, dest; /* PROXY: the visitor, and the address visited; IPv4 or IPv6 */
    struct str item;                      /* "domain:NAME" or "tcp:NAME" */
    struct str route;                     /* route path as claimed; empty: the domain's service */
    struct str sni;                       /* passthrough only; empty otherwise */
    bool http2;                           /* HTTP/2 will be spoken on it (PP2_TYPE_ALPN = h2) */
};

/* v4-mapped addresses are sent as IPv4; where only one of the two is IPv4, both as IPv6. item is needed, and no text
 * is longer than PROXY2_TEXT_BYTES. */
void proxy2_use_write(struct buf *out, const struct proxy2_use *use);
/* Length of the header once it is whole, with texts pointing into `in`; 0 when it needs more; -1 when it is none, at
 * the first byte that shows it. Bytes behind the header are the visitor's. */
must_check ssize_t proxy2_use_read(struct proxy2_use *use, const unsigned char *in, size_t n, struct err *e);
#endif
