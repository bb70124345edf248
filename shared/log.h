/* shared/log.h - one line per event: a constant message, then key=value pairs.
 *
 *   log_info("session up", kv_str("relay", host), kv_int("took_ms", ms));
 *   session up relay="relay.example.net" took_ms=184
 *
 * The message is a constant, so that it can be searched for; everything variable is a key, listed in CONTRIBUTING.md.
 * kv_str escapes, so no peer can forge a line. Under systemd each line carries journald's <N> prefix, elsewhere the
 * time and the level. Usable from any thread. The log is the one global of the process. */
#ifndef SHARED_LOG_H
#define SHARED_LOG_H
#include "shared/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct kv {
    const char *key;
    const char *text; /* NULL: the number counts */
    int64_t number;
};

static inline struct kv kv_str(const char *key, const char *text)
{
    return (struct kv){ key, text ? text : "", 0 };
}
static inline struct kv kv_int(const char *key, int64_t number)
{
    return (struct kv){ key, NULL, number };
}

/* error: needs a person. warn: we recovered. info: starts, ends, reloads. debug: every state change. */
#define log_error(message, ...)                LOG_AT(LOG_ERROR, NULL, message, ##__VA_ARGS__)
#define log_warn(message, ...)                 LOG_AT(LOG_WARN, NULL, message, ##__VA_ARGS__)
#define log_info(message, ...)                 LOG_AT(LOG_INFO, NULL, message, ##__VA_ARGS__)
#define log_debug(message, ...)                LOG_AT(LOG_DEBUG, NULL, message, ##__VA_ARGS__)
/* For what a peer can cause: at most 5 such lines per source and 10 s, then a count of those left out. */
#define log_warn_limited(source, message, ...) LOG_AT(LOG_WARN, source, message, ##__VA_ARGS__)
#define log_info_limited(source, message, ...) LOG_AT(LOG_INFO, source, message, ##__VA_ARGS__)

#define LOG_AT(level, source, message, ...)                                          \
    log_line(level, source, "" message, (const struct kv[]){ { 0 }, ##__VA_ARGS__ }, \
             sizeof((const struct kv[]){ { 0 }, ##__VA_ARGS__ }) / sizeof(struct kv))

void log_line(enum log_level level, const char *source, const char *message, const struct kv *kvs, size_t n);

void log_set_level(enum log_level level);
/* Where lines go: "stderr" or the path of a file, which is opened anew at each call (for log rotation). A failure
 * leaves the log as it was. Split in two for reloads: log_prepare can fail and changes nothing, log_commit cannot. */
must_check int log_prepare(const char *where, int *fd, struct err *e);
void log_commit(int fd);
void log_close(void);

/* Makes the text of one line, with a newline at its end, in out. Returns its length, at most room. */
size_t log_format(char *out, size_t room, const char *message, const struct kv *kvs, size_t n);
#endif
