/* relay/certs/facts.h - what a certificate says of itself, in our words. Pure: bytes in, facts out. */
#ifndef RELAY_CERTS_FACTS_H
#define RELAY_CERTS_FACTS_H
#include "relay/certs/chain.h"
#include "shared/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value. All zero bytes is none. */
struct facts {
    struct chain chain; /* n: 0 when there is none */
    char **names; /* what the leaf covers: host names in lower case, wildcards, addresses; in its own order */
    size_t names_n;
    int64_t not_before, not_after; /* seconds since 1970 */
    char *ca;                      /* who issued it, as the certificate calls it */
    char *serial;                  /* hex */
    char *ari_id;   /* what renewal information is asked for by (RFC 9773); NULL: it has none */
    char *key_type; /* "ecdsa P-256", "rsa 2048", … */
    bool rsa;
};

/* PEM, the leaf first. */
must_check int facts_read(const char *pem, size_t n, struct facts *out, struct err *e);
void facts_free(struct facts *f); /* leaves none */
/* Who issued it says that nobody is to trust it: a staging environment. */
bool facts_is_staging(const struct facts *f);
#endif
