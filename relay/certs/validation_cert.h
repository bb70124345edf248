/* relay/certs/validation_cert.h - what tls-alpn-01 wants to see (RFC 8737): a certificate for one name alone, signed by itself,
 * whose critical extension acmeIdentifier holds the digest of the key authorization. Pure. */
#ifndef RELAY_CERTS_VALIDATION_CERT_H
#define RELAY_CERTS_VALIDATION_CERT_H
#include "relay/certs/challenge.h"
#include "shared/domain.h"

#include <openssl/ssl.h>
#include <time.h>

/* A context with it and with a key of its own, which speaks acme-tls/1 alone. NULL with the reason. */
SSL_CTX *validation_context(const struct challenge *c, time_t now, struct err *e);
/* By which it is asked for: the name itself, for an address its name below in-addr.arpa or ip6.arpa (RFC 8738). */
void validation_server_name(const char *name, char out[DOMAIN_BYTES]);
#endif
