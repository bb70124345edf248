#include "relay/certs/patience.h"

#include <inttypes.h>
#include <uv.h>

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

void patience_init(struct patience *p, struct job *job, int64_t for_ms)
{
    *p = (struct patience){ .job = job, .until_ms = now_ms() + (uint64_t)for_ms };
}

void patience_renew(struct patience *p)
{
    p->waits = p->failures = 0;
}

static int64_t next_ms(const struct patience *p, int64_t retry_after_ms)
{
    int64_t ms = PATIENCE_FIRST_MS;

    if (retry_after_ms >= 0)
        return retry_after_ms > PATIENCE_FIRST_MS ? retry_after_ms : PATIENCE_FIRST_MS;
    for (unsigned i = 0; i < p->waits && ms < PATIENCE_MOST_MS; i++)
        ms *= 2;
    return ms < PATIENCE_MOST_MS ? ms : PATIENCE_MOST_MS;
}

int patience_wait(struct patience *p, int64_t retry_after_ms, struct acme_why *why)
{
    int64_t ms = next_ms(p, retry_after_ms);

    if (now_ms() + (uint64_t)ms > p->until_ms) {
        why->retry_after_ms = retry_after_ms;
        return acme_fail(why, ACME_LATER,
                         "the CA is not done yet, and would have us wait for %" PRId64
                         " s more; it is asked again later",
                         ms / 1000);
    }
    p->waits++;
    return job_sleep(p->job, ms) ? 0 : acme_fail(why, ACME_STOPPED, "the order was given up, as asked");
}

int patience_retry(struct patience *p, struct acme_why *why)
{
    int64_t retry_after_ms = why->retry_after_ms;
    struct acme_why late;

    acme_why_init(&late);
    if (why->class != ACME_LATER || ++p->failures > PATIENCE_FAILURES)
        return -1;
    if (patience_wait(p, retry_after_ms, &late) != 0) {
        why->class = late.class;
        return -1;
    }
    acme_why_free(why);
    return 0;
}
