/* relay/certs/challenge.h - what a certificate authority asks us to show, and the ways in which it can be shown.
 *
 * An order says what is to be shown; who implements a way (by the edge, by a DNS provider) shows it. Pure. */
#ifndef RELAY_CERTS_CHALLENGE_H
#define RELAY_CERTS_CHALLENGE_H
#include "shared/err.h"
#include "shared/job.h"

#include <stdbool.h>

/* The bits of a set of them are 1u << type. */
enum challenge_type { CHALLENGE_TLS_ALPN_01, CHALLENGE_HTTP_01, CHALLENGE_DNS_01, CHALLENGE_TYPES };

enum { CHALLENGE_TOKEN_MAX = 128, CHALLENGE_ANSWER_MAX = CHALLENGE_TOKEN_MAX + 1 + 43 };

/* The texts are the order's, and live until take_away has returned. */
struct challenge {
    enum challenge_type type;
    const char
        *name; /* a domain in lower-case punycode, without "*."; or an IP address as inet_ntop prints it */
    bool wildcard;                         /* the order is for *.name */
    const char *token, *key_authorization; /* checked: see challenge_init */
    char digest[44];                       /* base64url of its SHA-256: what a TXT record has to say */
    unsigned char sha256[32];
};

struct challenge_ways {
    /* On the job's thread. Returns when the CA may be told: whoever it asks then gets the answer. After -1 nothing is
     * left behind, and take_away is not called. */
    int (*put)(void *user, const struct challenge *c, struct job *job, struct err *e);
    /* On the job's thread, once for each successful put; also when the job was cancelled. */
    void (*take_away)(void *user, const struct challenge *c);
    void *user;
};

/* Borrows the texts, checks them, and computes both digests. Tokens come from outside, and become part of a path. */
must_check int challenge_init(struct challenge *c, enum challenge_type type, const char *name, bool wildcard,
                              const char *token, const char *key_authorization, struct err *e);

/* As RFC 8555 and RFC 8737 call them: "tls-alpn-01". */
const char *challenge_type_name(enum challenge_type type);
bool challenge_type_find(const char *name, enum challenge_type *type);
/* 1 to 128 characters, all of base64url's alphabet. */
bool challenge_token_is_valid(const char *token);
#endif
