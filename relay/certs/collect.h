/* relay/certs/collect.h - what a CA has issued: downloaded, checked, and of several chains the preferred one. Blocking: for job
 * threads. */
#ifndef RELAY_CERTS_COLLECT_H
#define RELAY_CERTS_COLLECT_H
#include "relay/certs/order.h"
#include "relay/certs/patience.h"
#include "shared/buf.h"

struct collect {
    const struct order_ask *ask;
    const struct signer *key;
    struct patience *patience;
    struct acme_why *why;
    /* What comes of it: */
    bool spent;       /* it will be of no use later either */
    bool other_chain; /* the preferred one is not among those that are offered */
};

must_check int collect_chain(struct collect *c, const char *url, struct buf *pem);

/* Cuts the next URL of the relation "alternate" off what a Link field says (RFC 8288), which may be several links; p is NULL
 * when there is none. */
struct str collect_next_alternate(struct str *field);
#endif
