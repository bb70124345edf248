/* shared/log_limit.h - how many lines one source may cause. Pure: the clock is an argument. */
#ifndef SHARED_LOG_LIMIT_H
#define SHARED_LOG_LIMIT_H
#include <stdbool.h>
#include <stdint.h>

enum { LOG_LIMIT_LINES = 5, LOG_LIMIT_WINDOW_MS = 10000, LOG_LIMIT_SOURCES = 64 };

struct log_source {
    const char *message; /* a constant; NULL: this place is free */
    char source[48];
    int64_t since_ms;
    uint64_t lines; /* in this window, those left out included */
};

struct log_limit {
    struct log_source sources[LOG_LIMIT_SOURCES];
};

/* True when a line with this message from this source may be written now. */
bool log_limit_pass(struct log_limit *l, const char *message, const char *source, int64_t now_ms);
/* Frees a place whose window is over. True when it left lines out: *left is a copy of it, *left_out their number.
 * Call until it says false. */
bool log_limit_left_out(struct log_limit *l, int64_t now_ms, struct log_source *left, uint64_t *left_out);
#endif
