/* relay/edge/tls.h - the server's side of TLS as a pure machine: bytes in, bytes out, no descriptor.
 *
 * An object. Encrypted bytes go in through tls_feed, and come out into a buffer that it borrows: connections may share
 * one, as long as it is sent and emptied before the next of them is called. */
#ifndef RELAY_EDGE_TLS_H
#define RELAY_EDGE_TLS_H
#include "relay/edge/tickets.h"
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <openssl/ssl.h>

struct tls;

/* Which context to show for a server name; called once, during tls_feed. NULL refuses the handshake. An empty name
 * means that the visitor sent none. validates: he offers acme-tls/1 alone, as who looks whether the name is ours
 * (RFC 8737); then it is one of tls_validation_context. */
typedef SSL_CTX *(*tls_pick_cb)(void *user, struct str server_name, bool validates);

/* Which versions are spoken, as in Mozilla's guideline of these names: 1.3 alone, or 1.2 as well. */
enum tls_profile { TLS_MODERN, TLS_INTERMEDIATE };

/* The context that connections begin with, before the server name is known. It holds the tickets. */
SSL_CTX *tls_begin_context(enum tls_profile profile, struct tickets *tickets);
/* The context that they go on with, for one site's certificate and key. */
SSL_CTX *tls_site_context(void);
/* The same for who validates a name: it speaks acme-tls/1 alone, and no session of it is ever resumed. */
SSL_CTX *tls_validation_context(void);

/* http2: it is offered, and preferred. */
struct tls *tls_new(SSL_CTX *begin, struct buf *out, bool http2, tls_pick_cb pick, void *user);
void tls_free(struct tls *t);

/* Takes all n bytes and adds what they decrypt to to plain. 1: the visitor has ended its side (close_notify). -1 with
 * the reason: refused; an alert may wait in the output. */
must_check int tls_feed(struct tls *t, const char *bytes, size_t n, struct buf *plain, struct err *e);
bool tls_established(const struct tls *t);
/* Encrypts into the output. Only once established. */
void tls_write(struct tls *t, const char *bytes, size_t n);
/* Adds to the output what a visitor reads and takes no notice of. False: this version of TLS has no such thing. */
must_check bool tls_probe(struct tls *t);
bool tls_resumed(const struct tls *t);            /* an earlier session; only once established */
bool tls_speaks_http2(const struct tls *t);       /* as was agreed; only once established */
bool tls_validates(const struct tls *t);          /* likewise: the handshake was all that was wanted */
void tls_end(struct tls *t);                      /* adds a close_notify to the output */
const char *tls_version(const struct tls *t);     /* "TLSv1.3"; only once established; a constant */
const char *tls_server_name(const struct tls *t); /* "" before it is known, or without one */
#endif
