/* relay/certs/revoke.h - takes a certificate back (RFC 8555, section 7.6). Blocking: for job threads. */
#ifndef RELAY_CERTS_REVOKE_H
#define RELAY_CERTS_REVOKE_H
#include "relay/certs/acme.h"

enum revoke_reason {
    REVOKE_UNSPECIFIED = 0,
    REVOKE_KEY_COMPROMISE = 1,
    REVOKE_SUPERSEDED = 4,
    REVOKE_CEASED = 5
};

/* By the account; by the certificate's own key where the CA does not take the account's word (key may be NULL). A certificate
 * that is revoked already is no failure. The leaf is the first of chain_pem. */
must_check int revoke_run(struct acme_ca *ca, struct job *job, const char *chain_pem,
                          const struct signer *key, enum revoke_reason reason, struct acme_why *why);
/* By the certificate's own key alone: it was ordered by another account than ours. */
must_check int revoke_by_key(struct acme_ca *ca, struct job *job, const char *chain_pem,
                             const struct signer *key, enum revoke_reason reason, struct acme_why *why);
#endif
