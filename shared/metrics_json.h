/* shared/metrics_json.h - samples made of the objects that the status is made of, so that both say the same.
 *
 * A list of objects, such as sites, is a table; each column of it is a family. Of a long list the first METRICS_DOMAINS
 * objects have samples of their own; those behind them have one together, with "other" as their name: of counters the
 * sum, of gauges the least. */
#ifndef SHARED_METRICS_JSON_H
#define SHARED_METRICS_JSON_H
#include "shared/metrics.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct metrics_column {
    const char *name, *help;
    enum metrics_type type;
    const char *in, *key; /* in: the member that has the key, NULL: the object itself */
    const char *is; /* NULL: the number, or the time, that is there; or: 1 when it is this text, else 0 */
    double scale;   /* of the number; 0: as it is */
};

/* Labels: the first has the name of each object, the second, or NULL, further tells them apart. */
struct metrics_labels {
    const char *label, *key, *second, *second_key;
};

/* Objects without the member, or with null, have no sample. */
void metrics_put_table(struct metrics *m, const json_t *list, const struct metrics_labels *labels,
                       const struct metrics_column *columns, size_t n);
/* False where there is none. */
bool metrics_value_of(const json_t *object, const struct metrics_column *column, double *value);
const char *metrics_text(const json_t *object, const char *key); /* "" where there is none */
#endif
