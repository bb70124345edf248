/* relay/admin/metrics.h - what the relay tells Prometheus, made of its status and of what its workers have counted. */
#ifndef RELAY_ADMIN_METRICS_H
#define RELAY_ADMIN_METRICS_H
#include "relay/certs/manager.h"
#include "relay/edge/tally.h"
#include "shared/metrics.h"

#include <jansson.h>

struct relay_counted {
    struct tally_sum tally;
    struct manager_counts orders;
};

/* status: as /v1/status has it, with lanes, domains and tcp. now: the wall clock. */
void relay_metrics_add(struct metrics *m, const json_t *status, const struct relay_counted *counted,
                       int64_t now);
#endif
