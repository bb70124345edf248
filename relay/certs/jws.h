/* relay/certs/jws.h - signed messages as ACME has them: base64url, thumbprints, flattened JWS (RFC 7515, 7517, 7638, 8555).
 * Pure. */
#ifndef RELAY_CERTS_JWS_H
#define RELAY_CERTS_JWS_H
#include "relay/certs/signer.h"
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/secret.h"
#include "shared/str.h"

#include <stddef.h>

enum { JWS_THUMBPRINT_BYTES = 44 }; /* with its NUL; also what the base64url of any SHA-256 takes */

void base64url_add(struct buf *out, const void *bytes, size_t n); /* without padding */
/* Strict: no padding, no other letters, no bits left over. Adds to out. */
must_check int base64url_read(struct str text, struct buf *out, struct err *e);

/* base64url of the SHA-256 of bytes. */
void jws_digest(const void *bytes, size_t n, char out[JWS_THUMBPRINT_BYTES]);
must_check int jws_thumbprint(const struct signer *key, char out[JWS_THUMBPRINT_BYTES], struct err *e);

struct jws {
    const struct signer *key;
    const char *kid;   /* NULL: the key itself stands in it */
    const char *nonce; /* NULL: none, as in the inner message of a key change */
    const char *url;
    const char *payload; /* "": POST-as-GET */
};

/* The message as JSON text. */
must_check int jws_make(const struct jws *jws, struct buf *out, struct err *e);
/* External account binding: the account's public key, signed by the CA's key for us with HS256. `key` is the decoded key. */
must_check int jws_bind(const struct signer *account, const char *kid, const struct buf *key, const char *url,
                        struct buf *out, struct err *e);
#endif
