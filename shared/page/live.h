/* shared/page/live.h - the status page as the admin listener answers it: / the page, /events what changes of it.
 *
 * Alive on the loop. Nothing is made before somebody asks: until then there is only the traffic of the last ten minutes,
 * counted every five seconds. Whoever watches is sent what has changed every two seconds; one who reads too slowly is left
 * out for so long, then dropped, and is sent the whole when he is back. */
#ifndef SHARED_PAGE_LIVE_H
#define SHARED_PAGE_LIVE_H
#include "shared/http/server.h"
#include "shared/loop.h"
#include "shared/page/history.h"

#include <jansson.h>
#include <stdbool.h>

enum {
    LIVE_WATCHERS = 8,
    LIVE_EVERY_MS = 2000,
    LIVE_SKIPPED = 15, /* in a row: then a watcher is dropped */
};

/* What the page is made of; asked for at each request, and while somebody watches. */
struct live_functions {
    json_t *(*status)(void *user); /* a new reference, as /v1/status has it */
    void (*count)(void *user, struct history_totals *totals);
    bool (*ready)(void *user, char *why, size_t room); /* why not */
};

struct live;

enum { LIVE_ROUTES_N = 2 };
extern const struct http_route live_routes[LIVE_ROUTES_N]; /* their user is a struct live */

/* every_ms: how often whoever watches is told. Borrows functions, and user, who is theirs, until `ended`. */
struct live *live_start(struct loop *loop, uint64_t every_ms, const struct live_functions *functions,
                        void *user, void (*ended)(void *owner), void *owner);
/* Whether traffic is counted: there is a place where it can be seen. */
void live_set(struct live *l, bool on);
/* Whoever watches has to come again, and be let in. */
void live_send_away(struct live *l);
void live_stop(struct live *l);
#endif
