/* shared/json.h - JSON that peers send and that we answer with; a thin layer over jansson.
 *
 * Reading is strict: one object, no repeated member, nothing behind it. Getters say which member is wrong and why. */
#ifndef SHARED_JSON_H
#define SHARED_JSON_H
#include "shared/buf.h"
#include "shared/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A new reference to one object, or NULL. */
json_t *json_read(const char *bytes, size_t n, struct err *e);
/* Compact, on one line, with a newline at the end. */
void json_write(struct buf *out, const json_t *value);

/* A member that must be there. Text is borrowed from the object and holds at most max_bytes bytes. */
must_check int json_get_text(const json_t *object, const char *key, size_t max_bytes, const char **text,
                             struct err *e);
must_check int json_get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *n,
                            struct err *e);
must_check int json_get_flag(const json_t *object, const char *key, bool *flag, struct err *e);
/* The array is borrowed from the object and holds at most max_items items. */
must_check int json_get_list(const json_t *object, const char *key, size_t max_items, const json_t **list,
                             struct err *e);
/* A time as json_time writes it, in seconds since 1970. */
must_check int json_get_time(const json_t *object, const char *key, int64_t *at, struct err *e);
/* Refuses members that are not among the names, a list with NULL at its end. */
must_check int json_only(const json_t *object, const char *const *names, struct err *e);

/* Text that may hold anything: what is not well-formed UTF-8 becomes '?'. A new reference. */
json_t *json_any_text(const char *text);
/* RFC 3339, UTC, whole seconds: 2026-11-21T03:24:25Z. A new reference. */
json_t *json_time(time_t at);
#endif
