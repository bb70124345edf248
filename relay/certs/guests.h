/* relay/certs/guests.h - answers for a CA that asked another relay: agents that publish a name at several relays pass them on,
 * because the CA may come to any of these.
 *
 * An object of the control plane. What is put up is taken away when the agent says so, and after an hour. */
#ifndef RELAY_CERTS_GUESTS_H
#define RELAY_CERTS_GUESTS_H
#include "relay/certs/board.h"
#include "shared/lane_types.h"

enum { GUESTS_KEPT_MS = 3600 * 1000, GUESTS_OF_AGENT = 64 };

struct guests;

/* Borrows board. answered: a challenge_done for the agent, once for each guests_hear, now or later. */
struct guests *guests_new(struct board *board,
                          void (*answered)(void *user, const char *agent, const struct lane_msg *m),
                          void *user);
void guests_free(struct guests *g); /* NULL is fine; what is up goes with the board */
/* A challenge. serves: whether the agent has that name in its claim. */
void guests_hear(struct guests *g, const char *agent, bool serves, const struct lane_msg *m, int64_t now_ms);
void guests_tick(struct guests *g, int64_t now_ms); /* now and then */
#endif
