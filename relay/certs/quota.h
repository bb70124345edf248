/* relay/certs/quota.h - what authorities allow (limits.h), for jobs: counted by all of them together, and kept on disk.
 *
 * Thread-safe. What is ordered is on disk before it is asked for, so that no restart forgets it. */
#ifndef RELAY_CERTS_QUOTA_H
#define RELAY_CERTS_QUOTA_H
#include "relay/certs/limits.h"

struct quota;

struct quota *quota_open(const char *state_dir, struct err *e); /* NULL with the reason */
void quota_free(struct quota *q);                               /* NULL is fine */

/* Counts one order. -1 with ERR_LIMIT: not now, *free_at is when. -1 with another code: it could not be written. */
must_check int quota_order(struct quota *q, const struct limits_order *o, int64_t *free_at, struct err *e);
void quota_issued(struct quota *q, const struct limits_order *o, int64_t life_s);
void quota_validation_failed(struct quota *q, const char *directory, const char *name);
#endif
