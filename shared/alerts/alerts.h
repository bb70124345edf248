/* shared/alerts/alerts.h - who is told when something is in trouble, or well again: a webhook, a program, and whoever watches
 * GET /v1/events.
 *
 * Alive on the loop. Every few seconds it looks at what the status says. What must not be told twice, and what is yet to be
 * delivered, stands in STATE_DIR/alerts.json; it is delivered at least once. */
#ifndef SHARED_ALERTS_ALERTS_H
#define SHARED_ALERTS_ALERTS_H
#include "shared/alerts/damping.h"
#include "shared/daemon_conf.h"
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/opt.h"

struct alerts_host {
    void (*add_status)(void *user, json_t *status);
    void (*add_troubles)(const json_t *status, struct troubles *seen); /* out of that one, whose texts stay */
    void (*ended)(void *user);                                         /* once, last, behind alerts_stop */
    void *user;
};

enum { ALERTS_LOOK_MS = 5000, ALERTS_WATCHERS = 8, ALERTS_SHOWN = 100 };

/* Checks of these options, each well by itself. */
void alerts_check(const struct opt_conf *conf, const char *kind, const struct daemon_conf *own,
                  struct opt_errors *errors);

struct alerts;

/* Copies all. */
struct alerts *alerts_start(struct loop *loop, const char *role, const struct daemon_conf *own,
                            const struct alerts_host *host);
void alerts_reload(struct alerts *a, const struct daemon_conf *own);
/* With cut, a program that runs is killed; it is run again at the next start. */
void alerts_stop(struct alerts *a, bool cut);

/* `alerts` of /v1/status; NULL is fine. A new reference. */
json_t *alerts_status(const struct alerts *a);
/* GET /v1/events: the last ones, then each as it comes; with ?last the last ones alone. */
void alerts_answer_events(struct alerts *a, const struct http_request *request, struct http_reply *reply);
/* POST /v1/events/test */
void alerts_answer_test(struct alerts *a, const struct http_request *request, struct http_reply *reply);
#endif
