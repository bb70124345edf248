/* relay/certs/limits.h - what authorities allow, counted here, so that no mistake of ours uses it up.
 *
 * An object of the control plane, counting in memory; limits_load and limits_save know the file. Times are seconds since
 * 1970. Let's Encrypt's numbers hold for its directories; an unknown authority gets those that cannot be in the way of
 * a short-lived certificate. */
#ifndef RELAY_CERTS_LIMITS_H
#define RELAY_CERTS_LIMITS_H
#include "shared/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits;

struct limits *limits_new(void);
void limits_free(struct limits *l); /* NULL is fine */
/* STATE_DIR/acme/limits.json, whose folder is there; empty when there is no file. NULL with the reason when it cannot be read. */
struct limits *limits_load(const char *path, struct err *e);
must_check int limits_save(struct limits *l, const char *path, int64_t now, struct err *e);
/* The same as JSON; pure. */
must_check int limits_read(struct limits *l, const json_t *doc, struct err *e);
json_t *limits_write(const struct limits *l); /* a new reference */

/* What is asked of, or has happened at, one authority. Borrowed for the call. */
struct limits_order {
    const char *directory; /* its URL */
    const char *const *names;
    size_t names_n;    /* in any order */
    const char *agent; /* who claims the site; NULL: our own configuration */
    unsigned per_day;  /* orders that this agent may cause in a day; 0: any number */
    bool exempt;       /* a renewal with `replaces`, which Let's Encrypt counts towards none of its limits */
};

/* 0: go ahead. -1 with ERR_LIMIT: not now; *free_at is when, and e says which limit it is. */
must_check int limits_check(struct limits *l, const struct limits_order *o, int64_t now, int64_t *free_at,
                            struct err *e);
void limits_ordered(struct limits *l, const struct limits_order *o, int64_t now); /* newOrder was sent */
void limits_issued(struct limits *l, const struct limits_order *o, int64_t life_s, int64_t now);
void limits_validation_failed(struct limits *l, const char *directory, const char *name, int64_t now);
#endif
