/* relay/certs/acme.h - a conversation with one CA: its directory, nonces, signed requests, what it says. Blocking: for job
 * threads.
 *
 * One struct acme_ca for each CA, shared by all jobs: thread-safe. It lives until no job uses it any more. */
#ifndef RELAY_CERTS_ACME_H
#define RELAY_CERTS_ACME_H
#include "relay/certs/acme_msg.h"
#include "relay/certs/signer.h"
#include "shared/err.h"
#include "shared/http/fetch.h"
#include "shared/job.h"

#include <stdbool.h>
#include <stdint.h>

struct acme_conf {         /* text that may be missing is "" or NULL */
    const char *name;      /* of the issuer, for messages */
    const char *directory; /* https://… */
    const char *email;     /* to be told to the CA */
    const char *ca_file;   /* whom to trust for the CA's own TLS; "": the system's authorities */
    const char *eab_kid,
        *eab_key_file; /* external account binding: the id, and a file with the base64url key */
    const char
        *folder; /* STATE_DIR/acme/NAME: the account's key and what is known of it; made when missing */
};

struct acme_ca;

struct acme_ca *acme_ca_new(const struct acme_conf *conf); /* copies; touches neither disk nor network */
void acme_ca_free(struct acme_ca *ca);                     /* NULL is fine */
const struct acme_conf *acme_ca_conf(const struct acme_ca *ca);
/* How many seconds our clock is ahead of the CA's, as its last reply said; 0 when none did. */
int64_t acme_ca_clock_ahead_s(struct acme_ca *ca);

/* The directory, fetched when there is none, or it is a day old. The reference is the caller's: acme_directory_free. */
must_check int acme_directory_get(struct acme_ca *ca, struct job *job, struct acme_directory *out,
                                  struct acme_why *why);

/* Who signs a request: the account, or a key that stands in it. */
struct acme_by {
    const struct signer *key;
    const char *kid; /* NULL: by the key itself */
};

struct acme_reply {
    int status;
    json_t *json; /* of a 2xx reply with JSON; NULL for another kind of body */
    struct fetch_reply raw;
    int64_t retry_after_ms; /* -1: nothing said */
};

/* POSTs the payload, signed; NULL: POST-as-GET. 0: the status is 2xx. `accept` NULL: JSON. The nonce is tried anew when the CA
 * does not like it. The reply is all zero bytes before, and to be freed in any case. */
must_check int acme_post(struct acme_ca *ca, struct job *job, const struct acme_by *by, const char *url,
                         const json_t *payload, const char *accept, struct acme_reply *reply,
                         struct acme_why *why);
/* An unsigned GET, which may be redirected to another https:// URL. */
must_check int acme_get(struct acme_ca *ca, struct job *job, const char *url, struct acme_reply *reply,
                        struct acme_why *why);
void acme_reply_free(struct acme_reply *reply);
/* Location, as a copy that the caller frees. */
must_check int acme_location(const char *asked, const struct acme_reply *reply, char **url,
                             struct acme_why *why);
/* A URL that a reply has, as another server than ours may write it: an https:// one, or a path on the server that was asked at
 * base. NULL: it is neither. The caller frees it. */
char *acme_resolve(const char *base, struct str url);
#endif
