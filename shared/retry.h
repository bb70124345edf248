/* shared/retry.h - how long to wait before trying again.
 *
 * Plain data: embed it, nothing to free. Randomness is an argument, so tests need no luck. */
#ifndef SHARED_RETRY_H
#define SHARED_RETRY_H
#include <stdint.h>

struct retry {
    uint32_t first_ms, max_ms, failures; /* failures: in a row */
};

void retry_init(struct retry *r, uint32_t first_ms, uint32_t max_ms);
void retry_succeeded(struct retry *r);
/* Counts a failure. Returns ms to wait: doubling up to max_ms, less up to a quarter so that peers spread out. */
uint32_t retry_failed(struct retry *r, uint32_t random);
#endif
