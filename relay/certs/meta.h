/* relay/certs/meta.h - what is known of one name's certificates: meta.json in its folder of the store. Pure.
 *
 * A value: meta_init, meta_free. Texts are its own: meta_set. What a certificate says of itself (facts) is written to
 * the file for people, and read from the certificate. */
#ifndef RELAY_CERTS_META_H
#define RELAY_CERTS_META_H
#include "relay/certs/facts.h"
#include "relay/certs/renewal.h"

#include <jansson.h>

enum meta_slot { META_ECDSA, META_RSA, META_SLOTS };

/* One certificate. there: false, and everything zero, when there is none of this kind of key. */
struct meta_cert {
    bool there;
    struct facts facts;
    char *issuer;                     /* name of the [acme] section; "import": somebody else ordered it */
    char *directory;                  /* URL of the authority; NULL: not known */
    char *profile;                    /* that was asked for; NULL: none */
    char *origin;                     /* "ordered", or which file it was imported from */
    int64_t installed_at, revoked_at; /* 0: not */
    struct renewal renewal;
    int64_t ari_next_look; /* 0: not looked at yet */
    char *ari_url;         /* the authority's explanation of its suggestion */
};

/* An order that has begun: its URL is known from newOrder's reply alone. url NULL: there is none. */
struct meta_order {
    char *url, *issuer, *key_type;
    int64_t at;
};

/* An alias that is left out of the certificate, so that the others have one. */
struct meta_left_out {
    char *name, *why;
    int64_t since;
};

/* How an authority has done for this name, for falling back to the next. */
struct meta_issuer {
    char *issuer, *last_error;
    uint32_t failures; /* in a row */
    int64_t last_try;
};

enum { META_LEFT_OUT = 100, META_ISSUERS = 16 };

struct meta {
    char *name;
    struct meta_cert certs[META_SLOTS];
    struct renewal_retry retry;
    char *last_error;      /* NULL: nothing went wrong last time */
    int64_t failing_since; /* the first of the tries in a row that did; 0: none */
    char *dns; /* what it said of the names when that was looked at last, while tries fail: a digest */
    int64_t held_since; /* a first order by a look beforehand; 0: it is not */
    struct meta_order order;
    char *configured;     /* what failures were counted for; another text resets them. The manager's own */
    char *staging_passed; /* the `configured` with which staging has succeeded */
    struct meta_left_out left_out[META_LEFT_OUT];
    size_t left_out_n;
    struct meta_issuer issuers[META_ISSUERS];
    size_t issuers_n;
};

void meta_init(struct meta *m, const char *name);
void meta_free(struct meta *m);
void meta_set(char **text, const char *value); /* copies; NULL clears */
void meta_failed(struct meta *m, const char *why, int64_t now);
void meta_went_well(struct meta *m);
void meta_cert_free(struct meta_cert *cert); /* leaves none */

/* There is one, it was not revoked, and has not ended. */
bool meta_is_good(const struct meta *m, enum meta_slot slot, int64_t now);

/* What is written says all; what is read lacks facts and `there`, which come from the files. */
json_t *meta_write(const struct meta *m); /* a new reference */
must_check int meta_read(struct meta *m, const json_t *doc, struct err *e);

void meta_order_began(struct meta *m, const char *url, const char *issuer, const char *key_type, int64_t now);
void meta_order_ended(struct meta *m);
/* False when there is no room for another. A long reason is cut. */
bool meta_leave_out(struct meta *m, const char *name, const char *why, int64_t now);
void meta_take_back(struct meta *m, const char *name);                  /* NULL: all */
struct meta_issuer *meta_issuer_of(struct meta *m, const char *issuer); /* made when there is none */
#endif
