/* relay/certs/patience.h - waiting for a CA that is at work: as long as it says, else longer each time, and never beyond a
 * moment that was set. A value, embedded; blocking: for job threads. */
#ifndef RELAY_CERTS_PATIENCE_H
#define RELAY_CERTS_PATIENCE_H
#include "relay/certs/acme_problem.h"
#include "shared/job.h"

enum { PATIENCE_FIRST_MS = 500, PATIENCE_MOST_MS = 15000, PATIENCE_FAILURES = 5 };

struct patience {
    struct job *job;
    uint64_t until_ms; /* of uv_hrtime */
    unsigned waits, failures;
};

void patience_init(struct patience *p, struct job *job, int64_t for_ms);
/* The next thing to wait for: waits are short again. */
void patience_renew(struct patience *p);
/* retry_after_ms: -1 when nothing was said. -1: ACME_STOPPED, or ACME_LATER when it would take too long. */
must_check int patience_wait(struct patience *p, int64_t retry_after_ms, struct acme_why *why);
/* After a failure: 0 when it may pass by itself, and it was waited for; else -1, and why stays. */
must_check int patience_retry(struct patience *p, struct acme_why *why);
#endif
