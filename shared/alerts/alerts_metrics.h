/* shared/alerts/alerts_metrics.h - how alerts are delivered, for Prometheus: by a webhook, by a hook (a program). Pure. */
#ifndef SHARED_ALERTS_ALERTS_METRICS_H
#define SHARED_ALERTS_ALERTS_METRICS_H
#include "shared/metrics.h"

#include <jansson.h>

/* alerts: as a status has them. A way that is not used has no samples. */
void alerts_metrics_add(struct metrics *m, const json_t *alerts);
#endif
