/* shared/admin.h - the admin listener of both daemons: the status page, /metrics, /healthz, /readyz.
 *
 * Alive on the loop. It only tells: GET and HEAD, and nothing that changes anything. A port that somebody else holds is no
 * reason not to serve visitors: then it is tried again, and status names the holder. */
#ifndef SHARED_ADMIN_H
#define SHARED_ADMIN_H
#include "shared/buf.h"
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/notify.h"
#include "shared/opt.h"
#include "shared/page/live.h"

#include <jansson.h>
#include <stdbool.h>

struct admin;

/* What the answers are made of; asked for at each request. */
struct admin_functions {
    void (*add_metrics)(void *user, struct buf *out);
    struct live_functions live; /* of the page; and /readyz asks them, too */
};

struct admin_conf {
    const struct opt_addresses *listen; /* one, or none: off */
    const char *password_file;
};

/* Borrows functions and user until `ended`. An inherited socket is used where one matches. NULL with the reason: its
 * password cannot be read. */
struct admin *admin_start(struct loop *loop, const struct admin_conf *conf, struct inherited *inherited,
                          const struct admin_functions *functions, void *user, void (*ended)(void *user),
                          struct err *e);
/* {listen, state (off|up|waiting), last_error}; of one that has ended (NULL): off. */
json_t *admin_status(const struct admin *a);
/* A reload: prepare, then one of the others. *key is the option that the error is about. */
must_check int admin_prepare(struct admin *a, const struct admin_conf *next, const char **key, struct err *e);
void admin_commit(struct admin *a);
void admin_abandon(struct admin *a);
void admin_drain(struct admin *a); /* finishes what has begun, then ends */
void admin_stop(struct admin *a);  /* ends at once */

/* For --check: what is wrong with admin_listen and admin_password_file of [kind]. */
void admin_check(const struct opt_conf *conf, const char *kind, const struct admin_conf *admin,
                 struct opt_errors *errors);
#endif
