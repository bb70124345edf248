/* relay/certs/authorize.h - proving to a CA that names are ours: all authorizations of one order. Blocking: for job threads. */
#ifndef RELAY_CERTS_AUTHORIZE_H
#define RELAY_CERTS_AUTHORIZE_H
#include "relay/certs/jws.h"
#include "relay/certs/order.h"
#include "relay/certs/patience.h"

struct proof { /* what has been tried for one name, over several orders */
    const char *name;
    size_t next; /* of the ask's challenges */
    bool failed; /* there is nothing left to try */
    enum acme_class class;
    int64_t retry_after_ms;
    unsigned validations; /* that have failed */
    struct buf said;      /* what came of each challenge */
};

struct authorize {
    const struct order_ask *ask;
    struct proof *proofs; /* one for each name of the ask */
    char thumbprint[JWS_THUMBPRINT_BYTES];
    struct patience *patience;
};

enum authorized {
    AUTHORIZED_ALL,
    AUTHORIZED_AGAIN, /* a challenge has failed, and there is another: in a new order, because this one is dead */
    AUTHORIZED_FAILED, /* names have failed for good, as their proofs say; the order is dead */
    AUTHORIZED_NOT_YET /* see why; the order may be carried on with later */
};

void authorize_init(struct authorize *z, const struct order_ask *ask, struct patience *patience);
void authorize_free(struct authorize *z);
/* urls: of the order's authorizations. Those that are left pending in a dead order are deactivated. */
enum authorized authorize_all(struct authorize *z, const json_t *urls, struct acme_why *why);
#endif
