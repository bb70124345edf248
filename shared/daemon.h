/* shared/daemon.h - what both daemons do alike: arguments, configuration, log, state folder, control socket, signals.
 *
 * A program fills struct daemon_program with its own parts and calls daemon_main. */
#ifndef SHARED_DAEMON_H
#define SHARED_DAEMON_H
#include "shared/alerts/damping.h"
#include "shared/daemon_conf.h"
#include "shared/err.h"
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/metrics.h"
#include "shared/notify.h"
#include "shared/opt.h"
#include "shared/page/history.h"

#include <jansson.h>

/* What a program's parts may call. */
struct daemon_parts_host {
    void (*add_status)(void *user,
                       json_t *status); /* the whole of it, as /v1/status has it, but for role and version */
    void (*ended)(void *user);
    void *user;
};

/* Where a program writes beside its state folder and what struct daemon_conf says; NULL: nowhere. */
struct daemon_paths {
    const char *socket, *log;
};

struct daemon_program {
    const char *role; /* "relay" or "agent": the kind of the section that begins with struct daemon_conf */
    const struct opt_schema *schema;
    /* The program's own parts, alive on the loop until they call the host's `ended`, once, last, from the loop. They copy host. conf
     * stays valid until reload returns with the next one. NULL with the reason when they cannot start. */
    void *(*start)(struct loop *loop, const struct opt_conf *conf, struct inherited *inherited,
                   const struct daemon_parts_host *host, struct err *e);
    /* In front of a reload: everything that can fail, adding to the errors; without any, reload follows. May be NULL. */
    void (*prepare)(void *parts, const struct opt_conf *next, struct opt_errors *errors);
    void (*reload)(void *parts, const struct opt_conf *conf); /* cannot fail */
    /* Members of /v1/status beyond role, version and name; all of them also for parts that are NULL, which have ended
     * while a request was still on its way. */
    void (*add_status)(void *parts, json_t *status);
    /* What /metrics says beyond what holds for every process, and whether /readyz says yes; why not, goes to why. Parts may be
     * NULL as above. */
    void (*add_metrics)(void *parts, struct metrics *m);
    bool (*ready)(void *parts, char *why, size_t room);
    void (*count)(void *parts, struct history_totals *totals); /* for the status page, every five seconds */
    /* What alerts look after, out of a status as add_status makes it; the texts may be the status's. */
    void (*add_troubles)(const json_t *status, struct troubles *seen);
    /* What a supervisor is told beside that the daemon is ready: "" when there is nothing. NULL: never anything. */
    void (*state_text)(void *parts, char *text, size_t room);
    void (*drain)(void *parts);      /* finish what is in progress, take nothing new */
    void (*cut)(void *parts);        /* end at once */
    const struct http_route *routes; /* of the control socket, beyond those of shared/control.h */
    size_t routes_n;
    /* For a start by root, who may do what the owner of the state folder may not. NULL: no such paths. */
    void (*paths)(const struct opt_conf *conf, struct daemon_paths *paths);
    bool low_ports; /* it listens on ports below 1024, after its start, too */
    /* What --check prints besides, and ends with 0 nevertheless: what is wrong with it does not keep the program from its
     * start. NULL: nothing. */
    void (*add_doubts)(const struct opt_conf *conf, struct opt_errors *doubts);
    /* What --dump prints besides the configuration, from the state folder; NULL: nothing. */
    void (*add_dump)(struct buf *out, const struct opt_conf *conf);
};

/* Runs the program from its arguments to its exit code: 0 well, 1 it could not start, 2 wrong usage. */
int daemon_main(int argc, char **argv, const struct daemon_program *program);
#endif
