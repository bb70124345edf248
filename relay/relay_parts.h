/* relay/relay_parts.h - what the files of the relay share: relay.c, relay_publish.c, relay_status.c. */
#ifndef RELAY_RELAY_PARTS_H
#define RELAY_RELAY_PARTS_H
#include "relay/certs/board.h"
#include "relay/certs/certs.h"
#include "relay/certs/files.h"
#include "relay/certs/guests.h"
#include "relay/certs/placeholders.h"
#include "relay/certs/ways.h"
#include "relay/edge/begin.h"
#include "relay/edge/edge.h"
#include "relay/lanes/fixed.h"
#include "relay/lanes/lanes.h"
#include "relay/ledger.h"
#include "relay/policies.h"
#include "relay/relay.h"

#include <uv.h>

struct relay {
    struct loop *loop;
    const struct opt_conf *conf;
    struct daemon_parts_ended ended;
    struct certs *certs;
    struct files *files;
    struct begin *begin;
    struct board *board;
    struct ways *ways;
    struct guests *guests;
    struct placeholders *placeholders;
    struct policies policies, next_policies; /* next: prepared, for the reload that follows */
    struct fixed *fixed;
    struct lanes *lanes; /* NULL: has ended, or never began */
    struct edge *edge;   /* likewise */
    struct access_log *access_log;
    int access_log_fd; /* prepared, for the reload that follows */
    struct ledger ledger;
    uv_timer_t publish, renewal, look;
    int64_t renewed_ms; /* when it was tried last */
    int pending;        /* handles that libuv still holds */
    bool ending, failed, root_told;
};

/* relay_publish.c */
void relay_publish_soon(struct relay *r); /* several changes within one round of the loop make one snapshot */
struct snapshot *relay_make_snapshot(struct relay *r);
struct ledger_entry *relay_entry_of_port(struct relay *r, const char *agent, const char *item);

/* relay_status.c */
void relay_add_status(void *parts, json_t *status);
enum { RELAY_ROUTES_N = 4 };
extern const struct http_route relay_routes[RELAY_ROUTES_N];
#endif
