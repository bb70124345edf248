#include "relay/edge/guard.h"

#include "shared/source.h"

#include <openssl/sha.h>
#include <string.h>

const struct snap_guard *guard_new(const char *site, const struct policy *policy, struct arena *arena)
{
    struct snap_guard *guard;
    unsigned char digest[SHA256_DIGEST_LENGTH];

    if (policy->allow.n + policy->deny.n + policy->rate.times == 0 && !policy->passwords)
        return NULL;
    guard = arena_get(arena, sizeof *guard);
    SHA256((const unsigned char *)site, strlen(site), digest);
    memcpy(&guard->id, digest, sizeof guard->id);
    if (policy->passwords)
        SHA256((const unsigned char *)policy->passwords, strlen(policy->passwords), guard->list);
    return guard;
}

enum guard_says guard_look(const struct snap_guard *guard, const struct policy *policy, struct limiter *rates,
                           const struct sockaddr_storage *addr, uint64_t now_ns, unsigned *retry_s)
{
    uint64_t wait_ns;

    if (cidrs_have(&policy->deny, addr) || (policy->allow.n > 0 && !cidrs_have(&policy->allow, addr)))
        return GUARD_FORBIDS;
    if (policy->rate.times == 0 ||
        limiter_take(rates, guard->id, source_key(addr), &policy->rate, now_ns, &wait_ns))
        return GUARD_LETS_IN;
    *retry_s = limiter_wait_s(wait_ns);
    return GUARD_TOO_OFTEN;
}
