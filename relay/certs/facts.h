/* relay/certs/facts.h - what a chain of certificates says of itself. Pure: bytes in, facts out. */
#ifndef RELAY_CERTS_FACTS_H
#define RELAY_CERTS_FACTS_H
#include "shared/err.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FACTS_CHAIN = 16, FACTS_NAMES = 1000, FACTS_PEM_BYTES = 256 * 1024 };

/* A value. All zero bytes is none: leaf is NULL then. */
struct facts {
    X509 *leaf;
    char **names; /* what it covers: host names in lower case, wildcards, addresses; in its own order */
    size_t names_n;
    int64_t not_before, not_after; /* seconds since 1970 */
    char *ca;                      /* who issued it, as the certificate calls it */
    char *serial;                  /* hex */
    char *ari_id;   /* what renewal information is asked for by (RFC 9773); NULL: it has none */
    char *key_type; /* "ecdsa-p256", "ecdsa-p384", "rsa-2048", …; a constant's copy */
    bool rsa;
    size_t chain_n; /* how many certificates, the leaf included */
};

/* The leaf comes first, as servers and authorities write it. What stands between certificates is skipped. */
must_check int facts_read(const char *pem, size_t n, struct facts *out, struct err *e);
void facts_free(struct facts *f); /* leaves none */
/* Names as sites have them: "a.com", "*.a.com" (by the same wildcard alone), an address. */
bool facts_cover(const struct facts *f, const char *name);
/* Who issued it says that nobody is to trust it: a staging environment. */
bool facts_is_staging(const struct facts *f);
#endif
