/* relay/certs/kept.h - a certificate that was issued, and that our own disk does not take: it is served from memory until it
 * does. A value. All zero bytes is none. */
#ifndef RELAY_CERTS_KEPT_H
#define RELAY_CERTS_KEPT_H
#include "relay/certs/signer.h"

struct kept {
    char *chain_pem;
    struct signer *key;
    char *issuer; /* name of the [acme] section */
    enum key_type type;
};

void kept_free(struct kept *k); /* leaves none */
/* A TLS context with it; NULL with the reason. */
SSL_CTX *kept_context(const struct kept *k, struct err *e);
#endif
