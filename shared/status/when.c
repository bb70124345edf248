#include "shared/status/when.h"

#include "shared/status/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *distance(const char *time_text, int sign, struct when *out)
{
    struct tm utc = { 0 };
    int64_t seconds;

    if (!strptime(time_text, "%Y-%m-%dT%H:%M:%SZ", &utc)) {
        snprintf(out->text, sizeof out->text, "-");
        return out->text;
    }
    seconds = sign * (int64_t)(time(NULL) - timegm(&utc));
    status_duration(seconds < 0 ? 0 : seconds, out->text, sizeof out->text);
    return out->text;
}

const char *when_ago(const char *time_text, struct when *out)
{
    return distance(time_text, 1, out);
}

const char *when_in(const char *time_text, struct when *out)
{
    return distance(time_text, -1, out);
}

const char *when_left(const char *time_text, struct when *out)
{
    struct when ago, in;
    bool over = strcmp(when_in(time_text, &in), "0s") == 0;

    snprintf(out->text, sizeof out->text, "%.24s %s", over ? when_ago(time_text, &ago) : in.text,
             over ? "ago" : "left");
    return out->text;
}
