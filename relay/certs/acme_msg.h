/* relay/certs/acme_msg.h - what a CA says, read and checked: directory, account, order, authorization, problem, renewal
 * information (RFC 8555, RFC 9773). Pure.
 *
 * Unknown members are ignored. Text is borrowed from the JSON that a message was read from, which it keeps a reference of. */
#ifndef RELAY_CERTS_ACME_MSG_H
#define RELAY_CERTS_ACME_MSG_H
#include "relay/certs/acme_class.h"
#include "shared/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { ACME_MAX_BYTES = 1 << 20, ACME_MAX_DEPTH = 16, ACME_MAX_NAMES = 1000, ACME_MAX_CHALLENGES = 32 };

/* Why something failed, in the CA's words and ours. A value; `problem` is freed by acme_why_free. */
struct acme_why {
    enum acme_class class;
    int64_t retry_after_ms; /* -1: nothing said */
    int status;             /* of the reply; 0: there was none */
    struct err err;
    json_t *problem; /* what the CA sent, or NULL */
};

void acme_why_init(struct acme_why *why);
void acme_why_free(struct acme_why *why);
/* Sets class and text; returns -1. */
int acme_fail(struct acme_why *why, enum acme_class class, const char *fmt, ...) printf_like(3, 4);

/* One JSON object, of bounded size and depth. A new reference, or NULL. */
json_t *acme_json(const char *bytes, size_t n, struct err *e);

/* ---- problems (RFC 7807) ---- */

/* The type without its urn: "rateLimited"; "" when there is none. */
const char *acme_problem_type(const json_t *problem);
enum acme_class acme_problem_class(const json_t *problem, int status);
/* What it says, with every subproblem and link, as it may be shown. */
void acme_problem_show(const json_t *problem, char *out, size_t room);
/* The identifier of subproblem i; NULL behind the last. *sub is borrowed. "" when it names none. */
const char *acme_subproblem(const json_t *problem, size_t i, const json_t **sub);

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
/* False when the CA has profiles, or none at all, and this is not one of them. */
bool acme_has_profile(const struct acme_directory *d, const char *profile);

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
must_check int acme_account_read(const json_t *json, enum acme_status *status, struct err *e);

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
    const char *type, *url, *token;
    enum acme_status status;
    const json_t *error; /* a problem, or NULL */
};

struct acme_authorization {
    json_t *json;
    enum acme_status status;
    time_t expires_at;
    bool wildcard;
    const char *name;                                      /* without "*." */
    struct acme_challenge challenges[ACME_MAX_CHALLENGES]; /* only those with a token, as we know them */
    size_t challenges_n;
};

must_check int acme_authorization_read(json_t *json, struct acme_authorization *out, struct err *e);
void acme_authorization_free(struct acme_authorization *a);

/* {"type":"dns","value":name}, or "ip" for an address. A new reference. */
json_t *acme_identifier(const char *name);

/* ---- renewal information ---- */

struct acme_window {
    time_t start, end;
    char explanation[256]; /* a URL for people, or "" */
};

must_check int acme_window_read(const json_t *json, struct acme_window *out, struct err *e);
/* RFC 3339, with a fraction or not, with Z or an offset. */
must_check int acme_time_read(const char *text, time_t *at, struct err *e);
#endif
