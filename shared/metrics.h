/* shared/metrics.h - what Prometheus reads: families of samples, as text (exposition format 0.0.4).
 *
 *   metrics_family(&m, "lane_streams", METRICS_GAUGE, "Connections that a lane carries now.");
 *   metrics_put(&m, 3, "agent", "pi", "lane", "1");
 *
 * A family is written whole before the next one begins. Label values are escaped; no visitor's text becomes one. */
#ifndef SHARED_METRICS_H
#define SHARED_METRICS_H
#include "shared/buf.h"
#include "shared/histogram.h"

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

enum { METRICS_DOMAINS = 1000 }; /* labels for so many sites; those beyond are one, "other" */

struct metrics {
    struct buf *out;
    const char *role; /* what all names begin with: tunnel_ROLE_ */
    char family[120]; /* the name of the one being written */
};

void metrics_begin(struct metrics *m, struct buf *out, const char *role);
void metrics_family(struct metrics *m, const char *name, enum metrics_type type, const char *help);
/* One sample, and pairs of a label's name and value. */
#define metrics_put(m, value, ...) metrics_put_labels(m, value, ##__VA_ARGS__, (const char *)NULL)
void metrics_put_labels(struct metrics *m, double value, ...) __attribute__((sentinel));
void metrics_put_histogram(struct metrics *m, const struct histogram_sum *h);
/* A family with one sample, without labels. */
void metrics_one(struct metrics *m, const char *name, enum metrics_type type, const char *help, double value);
/* What holds for every process: build, start, processor time, memory, descriptors. */
void metrics_of_process(struct buf *out, const char *role);
#endif
