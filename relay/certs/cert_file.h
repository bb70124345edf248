/* relay/certs/cert_file.h - a certificate with its chain, and its key, out of PEM files that somebody else keeps.
 *
 * Two files, or one that holds both. Nothing here is written. */
#ifndef RELAY_CERTS_CERT_FILE_H
#define RELAY_CERTS_CERT_FILE_H
#include "shared/buf.h"
#include "shared/err.h"

#include <openssl/ssl.h>
#include <time.h>

/* Reads and checks both: the key belongs to the certificate, which comes first in its file. NULL with the reason. */
SSL_CTX *cert_file_load(const char *cert, const char *key, struct err *e);
/* The same, for --check. */
must_check int cert_file_check(const char *cert, const char *key, struct err *e);

/* What is wrong with showing this certificate for these names, and what to do; "" when it is well. */
void cert_file_doubts(SSL_CTX *ctx, const char *const *names, size_t n, time_t now, struct buf *text);
time_t cert_file_ends(SSL_CTX *ctx);
/* When a renewed one should have been put in its place: a week before the end, of a short life the last fifth. */
time_t cert_file_late(SSL_CTX *ctx);
#endif
