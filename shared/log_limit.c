#include "shared/log_limit.h"

#include <stdio.h>
#include <string.h>

enum { OTHERS = LOG_LIMIT_SOURCES - 1 };

static bool is_over(const struct log_source *s, int64_t now_ms)
{
    return now_ms - s->since_ms >= LOG_LIMIT_WINDOW_MS;
}

static struct log_source *find(struct log_limit *l, const char *message, const char *source)
{
    for (int i = 0; i < LOG_LIMIT_SOURCES; i++) {
        struct log_source *s = &l->sources[i];

        if (s->message && strcmp(s->message, message) == 0 &&
            strncmp(s->source, source, sizeof s->source - 1) == 0)
            return s;
    }
    return NULL;
}

static struct log_source *find_free(struct log_limit *l)
{
    for (int i = 0; i < OTHERS; i++)
        if (!l->sources[i].message)
            return &l->sources[i];
    return NULL;
}

/* More sources than places: the rest are only counted, together. */
static bool count_other(struct log_limit *l, int64_t now_ms)
{
    struct log_source *s = &l->sources[OTHERS];

    if (!s->message)
        *s = (struct log_source){ "any", "others", now_ms, LOG_LIMIT_LINES };
    s->lines++;
    return false;
}

bool log_limit_pass(struct log_limit *l, const char *message, const char *source, int64_t now_ms)
{
    struct log_source *s = find(l, message, source);

    if (s && is_over(s, now_ms) && s->lines <= LOG_LIMIT_LINES)
        s->message = NULL; /* a window without loss ends silently */
    if (!s || !s->message) {
        s = find_free(l);
        if (!s)
            return count_other(l, now_ms);
        *s = (struct log_source){ .message = message, .since_ms = now_ms };
        snprintf(s->source, sizeof s->source, "%s", source);
    }
    s->lines++;
    return s->lines <= LOG_LIMIT_LINES;
}

bool log_limit_left_out(struct log_limit *l, int64_t now_ms, struct log_source *left, uint64_t *left_out)
{
    for (int i = 0; i < LOG_LIMIT_SOURCES; i++) {
        struct log_source *s = &l->sources[i];

        if (!s->message || !is_over(s, now_ms))
            continue;
        *left = *s;
        s->message = NULL;
        if (left->lines > LOG_LIMIT_LINES) {
            *left_out = left->lines - LOG_LIMIT_LINES;
            return true;
        }
    }
    return false;
}
