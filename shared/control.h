/* shared/control.h - the control socket's answers that both daemons give: version, status, config, events, reload. */
#ifndef SHARED_CONTROL_H
#define SHARED_CONTROL_H
#include "shared/alerts/alerts.h"
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/opt.h"

#include <jansson.h>

struct control;

/* What the answers are made of; asked for at each request. */
struct control_functions {
    const struct opt_conf *(*conf)(void *user);
    const char *(*conf_path)(void *user);
    void (*add_status)(void *user, json_t *status);
    int (*reload)(void *user, struct opt_errors *errors); /* -1: refused, and errors says why */
    /* What `alerts` answers; NULL once it has ended. */
    struct alerts *(*alerts)(void *user);
};

/* What a status begins with: role and version. A new reference. */
json_t *control_common(const char *role);

/* Takes a listening Unix socket, also when it fails. Borrows the rest until `ended`. */
struct control *control_start(struct loop *loop, int fd, const char *program, const char *role,
                              const struct control_functions *functions, void *user,
                              void (*ended)(void *user), struct err *e);
/* The program's own answers; their functions get parts. NULL and 0 take them back. */
void control_more_routes(struct control *c, const struct http_route *more, size_t n, void *parts);
void control_drain(struct control *c); /* finishes what has begun, takes nothing new, then ends */
void control_stop(struct control *c);  /* ends at once */
#endif
