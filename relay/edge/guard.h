/* relay/edge/guard.h - whom a site lets in, and how often: what of it can be said at once. */
#ifndef RELAY_EDGE_GUARD_H
#define RELAY_EDGE_GUARD_H
#include "shared/limiter.h"
#include "shared/verified.h"
#include "shared/policy.h"

#include <sys/socket.h>

/* Of a site that does not let everybody in; the policy says the rest. */
struct snap_guard {
    uint64_t id;                            /* the same in every snapshot */
    unsigned char list[VERIFIED_KEY_BYTES]; /* a hash of its passwords */
};

enum guard_says { GUARD_LETS_IN, GUARD_FORBIDS, GUARD_TOO_OFTEN };

/* In the arena; NULL: everybody comes in. */
const struct snap_guard *guard_new(const char *site, const struct policy *policy, struct arena *arena);
/* Takes a token of the source's. retry_s: of GUARD_TOO_OFTEN. */
enum guard_says guard_look(const struct snap_guard *guard, const struct policy *policy, struct limiter *rates,
                           const struct sockaddr_storage *addr, uint64_t now_ns, unsigned *retry_s);
#endif
