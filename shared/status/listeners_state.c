#include "shared/status/listeners_state.h"

#include "shared/mem.h"
#include "shared/status/text.h"
#include "shared/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool listeners_state_of_one(const json_t *listener)
{
    return strcmp(status_text(listener, "state"), "up") == 0;
}

bool listeners_state_is_well(const json_t *status)
{
    const json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(status, "listeners"), i,
                       listener) if (!listeners_state_of_one(listener)) return false;
    return true;
}

/* A program chooses its own name, with any control characters in it. */
void listeners_state_add_reason(struct buf *out, const json_t *listener)
{
    struct tm utc = { 0 };
    char since[48] = "", *line;

    if (strptime(status_text(listener, "since"), "%Y-%m-%dT%H:%M:%SZ", &utc)) {
        int64_t seconds = (int64_t)(time(NULL) - timegm(&utc));
        char duration[32];

        status_duration(seconds < 0 ? 0 : seconds, duration, sizeof duration);
        snprintf(since, sizeof since, " for %s", duration);
    }
    line = mem_format("%s (%s) is not served%s: %s; the relay takes it as soon as it is free",
                      status_text(listener, "listen"), status_text(listener, "kind"), since,
                      status_text(listener, "last_error"));
    buf_add_text(out, "  ");
    value_show(out, str_of(line), 0);
    buf_add_text(out, "\n");
    free(line);
}
