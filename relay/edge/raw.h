/* relay/edge/raw.h - a visitor's connection whose bytes nobody here looks at, joined to a stream that serves him alone.
 *
 * Alive on a worker's loop until it calls `ended`, once, last. Half-closes and resets are passed on as they come, both
 * ways; it has no time limit, but who vanishes is found. While the house is away it waits, as requests do. */
#ifndef RELAY_EDGE_RAW_H
#define RELAY_EDGE_RAW_H
#include "relay/edge/access_log.h"
#include "relay/edge/parking.h"
#include "relay/edge/pool.h"
#include "relay/edge/tally.h"
#include "shared/stream.h"

struct raw;

/* What it uses of its worker; borrowed until `ended`. */
struct raw_host {
    struct loop *loop;
    struct pool *pool;
    struct parking *parking;
    struct access_log *access_log;
    struct snapshot *(*snapshot)(void *user); /* the current one, borrowed */
    void (*ended)(void *user, struct raw *r);
    void *user;
};

/* Who comes, and where to. Everything is copied. */
struct raw_visit {
    struct purpose_alone alone;
    /* Where it goes, looked up by this key in whichever snapshot is current; NULL: nowhere any more. */
    const char *key;
    parking_find_cb find;
    struct counts *counts; /* of what it goes to: requests, streams, bytes */
    int64_t park_ms;
    int refused;                /* he is not let in: the status that is logged; 0: he is */
    enum tally_refusal refusal; /* and why */
    bool
        repeatable; /* what has come of him does nothing by itself: while no answer is there it may be said again */
    struct str last_words; /* a constant: for who could not be served at all; "": he sees a reset */
    /* For the access log: "TCP", a claim's item, and the agent whose it is. logged: it gets a line. */
    bool logged;
    const char *method, *item, *agent;
};

/* Takes the visitor's stream, and borrows the bytes that have come already. */
struct raw *raw_start(const struct raw_host *host, struct stream *visitor, const struct raw_visit *visit,
                      const char *bytes, size_t n);
/* Who is not let in gets a line in the access log, too. */
void raw_refuse(const struct raw_host *host, const struct raw_visit *visit);
void raw_stop(struct raw *r); /* both sides see a reset */
#endif
