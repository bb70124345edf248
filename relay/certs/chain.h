/* relay/certs/chain.h - a certificate with its chain, as a CA delivers it, and whether it is what was asked for. Pure. */
#ifndef RELAY_CERTS_CHAIN_H
#define RELAY_CERTS_CHAIN_H
#include "relay/certs/signer.h"
#include "shared/buf.h"
#include "shared/err.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum { CHAIN_MAX = 16, CHAIN_MAX_BYTES = 256 * 1024, CHAIN_CLOCK_SLACK_S = 300 };

struct chain {
    X509 *certs[CHAIN_MAX]; /* leaf first */
    size_t n;
};

/* Certificates in PEM form and nothing else but blank lines and comments. The chain is all zero bytes before. */
must_check int chain_read(const char *bytes, size_t n, struct chain *out, struct err *e);
void chain_free(struct chain *c); /* leaves an empty one */
/* It is what was asked for: the key is its leaf's, every name is in it, each certificate is signed by the next. */
must_check int chain_check_content(const struct chain *c, const struct signer *key, const char *const *names,
                                   size_t names_n, struct err *e);
must_check int chain_check_times(const struct chain *c, time_t now, struct err *e); /* it is valid now */
must_check int chain_check(const struct chain *c, const struct signer *key, const char *const *names,
                           size_t names_n, time_t now, struct err *e); /* both */
bool chain_has_name(const struct chain *c, const char *name);          /* host name, "*.NAME", address */
void chain_write(const struct chain *c, struct buf *pem);
/* Part of the common name of whom the topmost certificate is issued by; without regard to case. */
bool chain_is_issued_by(const struct chain *c, const char *part);
time_t chain_begins(const struct chain *c), chain_ends(const struct chain *c); /* of the leaf */
#endif
