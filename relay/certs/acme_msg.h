/* relay/certs/acme_msg.h - what a CA says, read and checked: directory, account, order, authorization, renewal
 * information (RFC 8555, RFC 9773). Pure.
 *
 * Unknown members are ignored. A reader takes the JSON, also when it fails; its texts are borrowed from that. */
#ifndef RELAY_CERTS_ACME_MSG_H
#define RELAY_CERTS_ACME_MSG_H
#include "relay/certs/acme_problem.h"
#include "relay/certs/challenge.h"
#include "shared/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { ACME_MAX_BYTES = 1 << 20, ACME_MAX_DEPTH = 16, ACME_MAX_NAMES = 1000, ACME_MAX_CHALLENGES = 32 };

/* One JSON object, of bounded size and depth. A new reference, or NULL. */
json_t *acme_json(const char *bytes, size_t n, struct err *e);

/* ---- directory ---- */

struct acme_directory {
    json_t *json;
    const char *new_nonce, *new_account, *new_order, *revoke_cert; /* https:// URLs */
    const char *key_change, *renewal_info;                         /* or NULL */
    const char *terms;                                             /* or "" */
    bool eab_required;
};

must_check int acme_directory_read(json_t *json, struct acme_directory *out, struct err *e);
void acme_directory_free(struct acme_directory *d);
/* The CA's profiles, its default apart; the error lists them when this is none of them. */
must_check int acme_profile_check(const struct acme_directory *d, const char *profile, struct err *e);

/* ---- account, order, authorization ---- */

enum acme_status {
    ACME_PENDING,
    ACME_READY,
    ACME_PROCESSING,
    ACME_VALID,
    ACME_INVALID,
    ACME_DEACTIVATED,
    ACME_EXPIRED,
    ACME_REVOKED,
};

const char *acme_status_text(enum acme_status status);
must_check int acme_account_read(const json_t *borrowed, enum acme_status *status, struct err *e);

struct acme_order {
    json_t *json;
    enum acme_status status;
    time_t expires_at;                  /* 0: not said */
    const json_t *identifiers;          /* objects, checked: acme_identifier */
    const json_t *authorizations;       /* https:// URLs, checked */
    const char *finalize, *certificate; /* certificate: NULL until it is valid */
    const json_t *error;                /* a problem, or NULL */
};

must_check int acme_order_read(json_t *json, struct acme_order *out, struct err *e);
void acme_order_free(struct acme_order *o);

struct acme_challenge {
    enum challenge_type type;
    const char *url, *token; /* the token is checked: challenge_token_is_valid */
    enum acme_status status;
    const json_t *error; /* a problem, or NULL */
};

struct acme_authorization {
    json_t *json;
    enum acme_status status;
    time_t expires_at;
    bool wildcard;
    const char *name;                                      /* without "*." */
    struct acme_challenge challenges[ACME_MAX_CHALLENGES]; /* of the types that we know */
    size_t challenges_n;
};

must_check int acme_authorization_read(json_t *json, struct acme_authorization *out, struct err *e);
void acme_authorization_free(struct acme_authorization *a);

/* {"type":"dns","value":name}, or "ip" for an address. A new reference. */
json_t *acme_identifier(const char *name);
bool acme_is_address(const char *name);
/* Without regard to case, and to how an address is written. */
bool acme_same_name(const char *a, const char *b);

/* ---- renewal information ---- */

struct acme_window {
    time_t start, end;
    char explanation[256]; /* a URL for people, or "" */
};

must_check int acme_window_read(const json_t *borrowed, struct acme_window *out, struct err *e);
/* RFC 3339, with a fraction or not, with Z or an offset. */
must_check int acme_time_read(const char *text, time_t *at, struct err *e);
#endif
