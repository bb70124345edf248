/* relay/certs/own_cert.h - certificates that we make ourselves, in parts. Pure. */
#ifndef RELAY_CERTS_OWN_CERT_H
#define RELAY_CERTS_OWN_CERT_H
#include "relay/certs/signer.h"

#include <openssl/x509.h>
#include <stddef.h>
#include <time.h>

/* With a random serial number, for this key, valid from an hour ago (visitors' clocks are a little wrong) for so many days. */
X509 *own_cert_new(const struct signer *key, time_t now, int days);
/* From when until when it is valid, instead. */
void own_cert_put_times(X509 *cert, time_t from, time_t to);
/* By OpenSSL's names: NID_key_usage, "critical,digitalSignature". issuer may be cert itself. */
must_check int own_cert_extend(X509 *cert, X509 *issuer, int nid, const char *value, struct err *e);
/* Names of hosts, with wildcards, and addresses. prefix: "critical,", or "". */
must_check int own_cert_extend_names(X509 *cert, const char *prefix, const char *const *names, size_t n,
                                     struct err *e);
/* -1 with this, in words; the library's own reasons are dropped. */
int own_cert_refuse(struct err *e, const char *what);
#endif
