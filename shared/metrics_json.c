#include "shared/metrics_json.h"

#include "shared/json.h"

#include <stdio.h>
#include <string.h>

const char *metrics_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

bool metrics_value_of(const json_t *object, const struct metrics_column *column, double *value)
{
    const json_t *in = column->in ? json_object_get(object, column->in) : object;
    const json_t *member = json_object_get(in, column->key);
    int64_t at;

    if (!member || json_is_null(member))
        return false;
    if (column->is)
        *value = strcmp(metrics_text(in, column->key), column->is) == 0;
    else if (json_is_number(member))
        *value = json_number_value(member) * (column->scale != 0 ? column->scale : 1);
    else if (json_get_time(in, column->key, &at, NULL) == 0)
        *value = (double)at;
    else
        return false;
    return true;
}

static const char *label_text(const json_t *object, const char *key, char *room, size_t size)
{
    const json_t *member = json_object_get(object, key);

    if (!json_is_integer(member))
        return metrics_text(object, key);
    snprintf(room, size, "%" JSON_INTEGER_FORMAT, json_integer_value(member));
    return room;
}

struct others {
    size_t n;
    double value;
};

static void add_other(struct others *others, enum metrics_type type, double value)
{
    if (type == METRICS_COUNTER)
        others->value += value;
    else if (others->n == 0 || value < others->value)
        others->value = value;
    others->n++;
}

static void put_column(struct metrics *m, const json_t *list, const struct metrics_labels *labels,
                       const struct metrics_column *column)
{
    struct others others = { 0 };
    char first[24], second[24];
    const json_t *object;
    double value;
    size_t i;

    metrics_family(m, column->name, column->type, column->help);
    json_array_foreach(list, i, object)
    {
        if (!metrics_value_of(object, column, &value))
            continue;
        if (i >= METRICS_DOMAINS)
            add_other(&others, column->type, value);
        else if (labels->second)
            metrics_put(m, value, labels->label, label_text(object, labels->key, first, sizeof first),
                        labels->second, label_text(object, labels->second_key, second, sizeof second));
        else
            metrics_put(m, value, labels->label, label_text(object, labels->key, first, sizeof first));
    }
    if (others.n > 0 && labels->second)
        metrics_put(m, others.value, labels->label, "other", labels->second, "other");
    else if (others.n > 0)
        metrics_put(m, others.value, labels->label, "other");
}

void metrics_put_table(struct metrics *m, const json_t *list, const struct metrics_labels *labels,
                       const struct metrics_column *columns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_column(m, list, labels, &columns[i]);
}
