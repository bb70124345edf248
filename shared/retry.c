#include "shared/retry.h"

void retry_init(struct retry *r, uint32_t first_ms, uint32_t max_ms)
{
    *r = (struct retry){ first_ms, max_ms, 0 };
}

void retry_succeeded(struct retry *r)
{
    r->failures = 0;
}

uint32_t retry_failed(struct retry *r, uint32_t random)
{
    uint64_t wait_ms = r->max_ms;

    /* 31 doublings pass any max_ms; a larger shift would be undefined. */
    if (r->failures < 31 && ((uint64_t)r->first_ms << r->failures) < r->max_ms)
        wait_ms = (uint64_t)r->first_ms << r->failures;
    if (r->failures < UINT32_MAX)
        r->failures++;
    return (uint32_t)(wait_ms - wait_ms * (random % 1024) / 4096);
}
