/* shared/dns/tsig.h - signed DNS messages (RFC 8945) and the keys for them. Pure, but for OpenSSL's HMAC. */
#ifndef SHARED_DNS_TSIG_H
#define SHARED_DNS_TSIG_H
#include "shared/dns/message.h"
#include "shared/secret.h"
#include "shared/str.h"

enum { TSIG_MAC_BYTES = 64, TSIG_FUDGE_S = 300 };
enum tsig_error { TSIG_WELL = 0, TSIG_BADSIG = 16, TSIG_BADKEY = 17, TSIG_BADTIME = 18, TSIG_BADTRUNC = 22 };

struct tsig_key {
    char name[DOMAIN_BYTES]; /* without a trailing dot */
    int algorithm;           /* DNS_HMAC_… */
    struct secret bytes;
};

struct tsig_mac {
    unsigned char bytes[TSIG_MAC_BYTES];
    size_t n;
};

/* A key file: the base64 secret alone, or BIND's key "NAME" { algorithm NAME; secret "…"; }; with comments. Name and algorithm
 * stay as they are when the text has none. Takes nothing; the key is to be freed in any case. */
must_check int tsig_key_read(struct tsig_key *key, struct str text, struct err *e);
void tsig_key_free(struct tsig_key *key);

/* Adds the TSIG record. `request` is NULL for a request, whose MAC is put into *mac. */
must_check int tsig_sign(struct buf *message, const struct tsig_key *key, int64_t now_s,
                         const struct tsig_mac *request, struct tsig_mac *mac, struct err *e);

enum tsig_verdict {
    TSIG_GOOD,
    TSIG_UNSIGNED, /* there is no TSIG record */
    TSIG_REFUSED,  /* one without a valid MAC, that says why: error */
    TSIG_FORGED,   /* the MAC is wrong, or of another key */
    TSIG_OLD,      /* right, but of another time */
};
struct tsig_answer {
    enum tsig_verdict verdict;
    int error;        /* enum tsig_error, as the server says */
    int64_t server_s; /* its time, with TSIG_BADTIME; else 0 */
};
/* Judges the answer to a request that was signed with `request`. -1 when the message is not well-formed. */
must_check int tsig_verify(struct tsig_answer *answer, const void *bytes, size_t n,
                           const struct tsig_key *key, const struct tsig_mac *request, int64_t now_s,
                           struct err *e);
#endif
