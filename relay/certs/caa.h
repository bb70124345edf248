/* relay/certs/caa.h - CAA records (RFC 8659): which CAs a domain's owner lets issue. Advice before an order; the CA looks itself. */
#ifndef RELAY_CERTS_CAA_H
#define RELAY_CERTS_CAA_H
#include "shared/dns/lookup.h"
#include "shared/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { CAA_VALUES = 16, CAA_VALUE_BYTES = 256 };

/* The records of one name. */
struct caa {
    char at
        [DOMAIN_BYTES]; /* whose they are: the name's, or those of the first one above it that has any; "" nobody's */
    struct {
        bool critical;
        char tag[16], value[CAA_VALUE_BYTES];
    } list[CAA_VALUES];
    size_t n;
};

/* One record's data. False when it is not well-formed. Pure. */
must_check bool caa_read(struct caa *c, const unsigned char *rdata, size_t n);
/* The first critical tag that no CA has to know, and so none may issue (RFC 8659, 4.1); NULL: there is none. Pure. */
const char *caa_unknown(const struct caa *c);
/* Whether one of the CA's names may issue for it, as far as the other tags go. Pure. */
bool caa_admits(const struct caa *c, bool wildcard, const char *const *cas, size_t cas_n);
/* Blocking: for job threads. */
must_check int caa_find(struct caa *c, const struct lookup *l, const char *name, struct err *e);
#endif
