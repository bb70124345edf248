/* relay/admin/metrics.h - what the relay tells Prometheus, made of its status and of what its workers have counted. */
#ifndef RELAY_ADMIN_METRICS_H
#define RELAY_ADMIN_METRICS_H
#include "shared/metrics.h"

#include <jansson.h>

/* status: as /v1/status has it, with lanes, domains and tcp. */
void relay_metrics_add(struct metrics *m, const json_t *status);
#endif
