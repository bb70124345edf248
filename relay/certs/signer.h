/* relay/certs/signer.h - the only door to private keys: they are made, kept and used behind it, and never handed out. */
#ifndef RELAY_CERTS_SIGNER_H
#define RELAY_CERTS_SIGNER_H
#include "shared/err.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

struct signer;

struct signer *signer_new(void); /* a new P-256 key, in memory alone */
/* The key in this file (PEM, 0600), which is made when it does not exist. NULL with the reason. */
struct signer *signer_open(const char *path, struct err *e);
/* The first key in a file that somebody else keeps, with what else is in it, such as certificates. */
struct signer *signer_load(const char *path, struct err *e);
void signer_free(struct signer *s); /* NULL is fine */

void signer_put_public(const struct signer *s, X509 *cert);
/* Signs a certificate, its own or another's. */
must_check int signer_sign(const struct signer *s, X509 *cert, struct err *e);
must_check int signer_matches(const struct signer *s, X509 *cert, struct err *e);
/* Lets TLS connections of ctx use the key, which stays alive as long as ctx. */
must_check int signer_use(const struct signer *s, SSL_CTX *ctx, struct err *e);
#endif
