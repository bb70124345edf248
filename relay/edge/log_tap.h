/* relay/edge/log_tap.h - the access log as it happens, for whoever watches it by the control socket; and its last lines.
 *
 * Workers add lines and never wait: what a watcher does not take in time is left out, and he is told how many. Costs
 * nothing while nobody watches. Its watchers live on the control plane's loop; add, last and on may be called from any
 * thread. */
#ifndef RELAY_EDGE_LOG_TAP_H
#define RELAY_EDGE_LOG_TAP_H
#include "relay/edge/access_line.h"
#include "shared/http/server.h"
#include "shared/loop.h"

enum {
    LOG_TAP_WATCHERS = 8,
    LOG_TAP_QUEUED = 256 * 1024, /* bytes on their way from workers to watchers */
    LOG_TAP_LAST = 64 * 1024,    /* of the last lines, at least half of it */
};

struct log_tap;

/* Until `closed`, which comes once, last, after log_tap_close. */
struct log_tap *log_tap_start(struct loop *loop, void (*closed)(void *user), void *user);
void log_tap_close(struct log_tap *t); /* ends what is watched; lines may still be added, and are dropped */

bool log_tap_on(const struct log_tap *t); /* NULL is fine: nobody */
void log_tap_add(struct log_tap *t, const struct access_entry *entry);
/* A line as it stands in the file, for those who ask what was. */
void log_tap_keep(struct log_tap *t, const char *line, size_t n);

/* GET /v1/log. logs: the access log is on. ?last: the last lines of the file, and that is all. */
void log_tap_answer(struct log_tap *t, bool logs, const struct http_request *request,
                    struct http_reply *reply);
#endif
