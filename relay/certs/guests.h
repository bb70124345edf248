/* relay/certs/guests.h - answers for a CA that asked another relay: agents that publish a name at several relays pass them on,
 * because the CA may come to any of these.
 *
 * An object of the control plane. What is put up is taken away when the agent says so, when
 * the name is not the agent's any more, and after an hour. */
#ifndef RELAY_CERTS_GUESTS_H
#define RELAY_CERTS_GUESTS_H
#include "relay/certs/board.h"
#include "shared/lane_types.h"

#include <stdbool.h>

enum { GUESTS_KEPT_MS = 3600 * 1000, GUESTS_OF_AGENT = 64 };

struct guests;

struct guests_host {
    /* A challenge_done for the agent, once for each guests_hear, now or later. */
    void (*answered)(void *user, const char *agent, const struct lane_msg *m);
    /* Whether the agent has that name in its claim. */
    bool (*serves)(void *user, const char *agent, const char *name);
    void *user;
};

/* Borrows both. */
struct guests *guests_new(struct board *board, const struct guests_host *host);
void guests_free(struct guests *g); /* NULL is fine; what is up goes with the board */
/* A challenge. */
void guests_hear(struct guests *g, const char *agent, const struct lane_msg *m, int64_t now_ms);
void guests_tick(struct guests *g, int64_t now_ms); /* now and then */
#endif
