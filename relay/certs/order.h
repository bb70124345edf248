/* relay/certs/order.h - one certificate from a CA (RFC 8555), from the first question to the checked chain. Blocking: for job
 * threads; any number at once, also with one CA.
 *
 * An order's URL is told through `note` as soon as there is one: with it, a later call carries on where this one ended, and
 * no quota is spent twice. The certificate's key is made in key_file before the CA is asked to issue, because a resumed
 * order's certificate is worth nothing without it. */
#ifndef RELAY_CERTS_ORDER_H
#define RELAY_CERTS_ORDER_H
#include "relay/certs/acme.h"
#include "relay/certs/acme_class.h"
#include "relay/certs/challenge.h"
#include "relay/certs/signer.h"
#include "shared/err.h"
#include "shared/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_TIMEOUT_MS = 15 * 60 * 1000 };

struct order_ask { /* all borrowed while order_run runs; what may be missing is NULL or "" */
    struct acme_ca *ca;
    const char *const *names; /* host names, "*.NAME", IPv4 and IPv6 addresses; normalized, each once */
    size_t names_n;
    enum challenge_type challenges[CHALLENGE_TYPES]; /* tried in this order */
    size_t challenges_n;
    const struct challenge_ways *ways[CHALLENGE_TYPES]; /* indexed by challenge_type; NULL: not that way */
    const char *profile;                                /* of the CA's profiles; "" */
    const char *preferred_chain;                        /* part of the topmost issuer's common name; "" */
    const char *replaces; /* renewal id (RFC 9773) of the certificate that this one follows; "" */
    enum key_type key;
    const char *key_file;   /* the key made for this order, 0600; NULL: in memory alone */
    const char *resume_url; /* what note was told last; "" */
    int64_t timeout_ms;     /* for all of it; 0: ORDER_TIMEOUT_MS */
    struct job *job;        /* its cancellation ends all soon; NULL: nothing does */
    /* On the job's thread: a URL to be kept for resume_url, or NULL, when what was kept is of no use any more. */
    void (*note)(void *user, const char *order_url);
    void *user;
};

struct order_failure { /* of one name; the others may be ordered without it */
    char *name;
    enum acme_class class; /* ACME_OK: a challenge has failed, and another one has not */
    char *text;
    int64_t retry_after_ms; /* -1: the CA said nothing */
    unsigned validations;   /* how many the CA has counted as failed, for limits */
};

struct order_result {
    char *chain_pem; /* leaf first */
    struct signer *key;
    bool other_chain;      /* preferred_chain is not among those that the CA offers */
    bool without_replaces; /* the CA has seen `replaces` used before, and was asked without it */
    unsigned orders;       /* made at the CA by this call, for limits */
    /* When it failed: of the whole order. failures name names where some are to blame. */
    enum acme_class class;
    int64_t retry_after_ms; /* -1: the CA said nothing */
    struct order_failure *failures;
    size_t failures_n;
};

/* -1 with the reason, and class says what it means. The result is all zero bytes before, and to be freed in any case. */
must_check int order_run(const struct order_ask *ask, struct order_result *result, struct err *e);
void order_result_free(struct order_result *result);
#endif
