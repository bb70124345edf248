/* relay/certs/issuers.h - the authorities of a configuration, as jobs use them.
 *
 * Immutable and counted: a reload makes another set, while jobs that have begun go on with theirs. An authority that has not
 * changed is the same conversation in both. */
#ifndef RELAY_CERTS_ISSUERS_H
#define RELAY_CERTS_ISSUERS_H
#include "relay/certs/acme.h"
#include "relay/certs/issuer_conf.h"

struct issuer {
    const char *name; /* of its section; "acme" for the one without */
    const char *directory;
    struct acme_ca *ca, *staging; /* staging: NULL when there is none to be tried first */
    const char *staging_directory;
    const struct issuer_conf *conf; /* a copy; what it holds is text, and lists of texts */
    enum challenge_type challenges[CHALLENGE_TYPES];
    size_t challenges_n;
    enum key_type key_types[ISSUER_KEY_TYPES];
    size_t key_types_n;
    const char *print; /* what of it another try could depend on, as text */
};

struct issuers;

/* The sections with issuer = acme, in their order. before: the set until now, or NULL. With one reference. */
struct issuers *issuers_new(const struct opt_conf *conf, const char *state_dir, const struct issuers *before);
struct issuers *issuers_hold(struct issuers *i);
void issuers_release(struct issuers *set); /* NULL is fine */

size_t issuers_count(const struct issuers *i); /* 0 of NULL */
const struct issuer *issuers_get(const struct issuers *i, size_t at);
/* "acme" is the first of all. NULL: there is none of this name. */
const struct issuer *issuers_find(const struct issuers *i, const char *name);
#endif
