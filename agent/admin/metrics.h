/* agent/admin/metrics.h - what the agent tells Prometheus, made of its status. */
#ifndef AGENT_ADMIN_METRICS_H
#define AGENT_ADMIN_METRICS_H
#include "shared/metrics.h"

#include <jansson.h>

/* status: as /v1/status has it, with relays, domains and tcp; and with dns_updates, as outcomes_status has it. */
void agent_metrics_add(struct metrics *m, const json_t *status);
#endif
