/* agent/certs/passing.h - an answer for a CA, passed on from the relay that orders to the others: the CA may ask any of them.
 *
 * A value, embedded; on the loop. The relay that asked is told when all others have it. */
#ifndef AGENT_CERTS_PASSING_H
#define AGENT_CERTS_PASSING_H
#include "shared/lane_types.h"

#include <stdbool.h>
#include <stdint.h>

enum { PASSING_PATIENCE_MS = 8000, PASSING_MAX = 64 };

struct passing_host {
    /* Relay number i of the configuration, and whether it is connected. False at the end. */
    bool (*relay)(void *user, size_t i, const char **name, bool *up);
    bool (*say)(void *user, const char *relay, const struct lane_msg *m);
    bool (*claims)(void *user, const char *relay, const char *name); /* whether it serves that name for us */
    void *user;
};

struct passing {
    const struct passing_host *host;
    struct passed *list;
    int64_t last_id;
};

/* Borrows host. */
void passing_init(struct passing *p, const struct passing_host *host);
void passing_free(struct passing *p);

/* A challenge; `why` is "", or what is against it. */
void passing_hear(struct passing *p, const char *relay, const struct lane_msg *m, const char *why,
                  int64_t now_ms);
void passing_done(struct passing *p, const char *relay, const struct lane_msg *m); /* a challenge_done */
void passing_tick(struct passing *p, int64_t now_ms);                              /* once a second */
#endif
