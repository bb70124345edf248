/* relay/certs/account.h - our account at a CA: made once, kept in the CA's folder, used by every order. Blocking: for job
 * threads; thread-safe.
 *
 * Folder: account.key (0600), account.json (directory, kid, state, when accounts were made). While the key is changed,
 * account.key.next is the one that may be the new one; whichever the CA knows is found out at the next use. */
#ifndef RELAY_CERTS_ACCOUNT_H
#define RELAY_CERTS_ACCOUNT_H
#include "relay/certs/acme.h"

/* How many accounts are made at most in three hours, whatever happens. */
enum { ACCOUNT_MADE_AT_MOST = 5, ACCOUNT_MADE_IN_S = 3 * 3600 };

/* Sees to it that there is an account. */
must_check int account_ready(struct acme_ca *ca, struct job *job, struct acme_why *why);
/* acme_post by the account, which is made when there is none, and once more when the CA has lost it. */
must_check int account_post(struct acme_ca *ca, struct job *job, const char *url, const json_t *payload,
                            const char *accept, struct acme_reply *reply, struct acme_why *why);
/* The thumbprint of its key (RFC 7638), with a NUL. */
must_check int account_thumbprint(struct acme_ca *ca, struct job *job, char out[44], struct acme_why *why);
/* The account's URL, for CAA's accounturi and for people, as a copy; the account is made when there is none. */
must_check int account_url(struct acme_ca *ca, struct job *job, char **url, struct acme_why *why);

/* A new key for the account. Orders under way may fail, because their challenges show the old one. */
must_check int account_rollover(struct acme_ca *ca, struct job *job, struct acme_why *why);
/* For good: no order can be made with it any more, and no other account is made until the folder is moved away. */
must_check int account_deactivate(struct acme_ca *ca, struct job *job, struct acme_why *why);
#endif
