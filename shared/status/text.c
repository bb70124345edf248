#include "shared/status/text.h"

#include <stdio.h>

const char *status_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

void status_duration(int64_t seconds, char *out, size_t room)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    size_t i = 0;

    while (i < 3 && seconds < units[i].seconds)
        i++;
    if (i < 3)
        snprintf(out, room, "%lld%c %lld%c", (long long)(seconds / units[i].seconds), units[i].unit,
                 (long long)(seconds % units[i].seconds / units[i + 1].seconds), units[i + 1].unit);
    else
        snprintf(out, room, "%llds", (long long)seconds);
}

void status_bytes(double bytes, char *out, size_t room)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    size_t i = 0;

    for (; bytes >= 1000 && i < 4; i++)
        bytes /= 1000;
    snprintf(out, room, i > 0 && bytes < 10 ? "%.1f %s" : "%.0f %s", bytes, units[i]);
}
