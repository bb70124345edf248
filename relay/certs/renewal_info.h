/* relay/certs/renewal_info.h - when a CA would have a certificate renewed (RFC 9773). Blocking: for job threads. */
#ifndef RELAY_CERTS_RENEWAL_INFO_H
#define RELAY_CERTS_RENEWAL_INFO_H
#include "relay/certs/acme.h"

/* cert_id: base64url(AKI) "." base64url(serial). *again_ms: when to ask again, as the CA says; -1: it does not. ACME_REFUSED
 * with ERR_MISSING: this CA gives no such information. */
must_check int renewal_info_get(struct acme_ca *ca, struct job *job, const char *cert_id,
                                struct acme_window *out, int64_t *again_ms, struct acme_why *why);
#endif
