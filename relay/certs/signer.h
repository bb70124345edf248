/* relay/certs/signer.h - the only door to private keys: they are made, kept and used behind it, and never handed out. */
#ifndef RELAY_CERTS_SIGNER_H
#define RELAY_CERTS_SIGNER_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>

enum key_type { KEY_ECDSA /* P-256 */, KEY_P384, KEY_RSA2048, KEY_RSA3072, KEY_RSA4096 };

/* ecdsa, p384, rsa (which is rsa2048), rsa3072, rsa4096. */
must_check int key_type_read(struct str word, enum key_type *type, struct err *e);
const char *key_type_text(enum key_type type);

struct signer;

struct signer *signer_new(void); /* a new P-256 key, in memory alone */
/* A new key, in memory alone; a long RSA key takes seconds. */
struct signer *signer_make(enum key_type type);
/* The key in this file (PEM, 0600), which is made when it does not exist. NULL with the reason. */
struct signer *signer_open(const char *path, struct err *e);
/* The first key in a file that somebody else keeps, with what else is in it, such as certificates. */
struct signer *signer_load(const char *path, struct err *e);
/* The first key in this text, which somebody brings. */
struct signer *signer_read(const char *pem, size_t n, struct err *e);
void signer_free(struct signer *s); /* NULL is fine */
/* For the store alone: the key as PEM, 0600. */
must_check int signer_save(const struct signer *s, const char *path, struct err *e);
bool signer_is(const struct signer *s, enum key_type type);
bool signer_same(const struct signer *a, const struct signer *b);

void signer_put_public(const struct signer *s, X509 *cert);
/* Signs a certificate, its own or another's. */
must_check int signer_sign(const struct signer *s, X509 *cert, struct err *e);
must_check int signer_matches(const struct signer *s, X509 *cert, struct err *e);
/* Lets TLS connections of ctx use the key, which stays alive as long as ctx. */
must_check int signer_use(const struct signer *s, SSL_CTX *ctx, struct err *e);

/* ---- for ACME ---- */

/* Signs a certificate request, in which it puts the public key. */
must_check int signer_request(const struct signer *s, X509_REQ *request, struct err *e);
/* Adds the public key as JSON: the members that must be there, in lexical order, without blanks (RFC 7638). */
must_check int signer_jwk(const struct signer *s, struct buf *out, struct err *e);
const char *signer_jws_alg(const struct signer *s); /* "ES256", "ES384" or "RS256" */
/* Adds the signature: r and s of fixed width for ECDSA. */
must_check int signer_jws_sign(const struct signer *s, const void *bytes, size_t n, struct buf *out,
                               struct err *e);
#endif
