/* relay/edge/listeners.h - where visitors are served: the listening sockets, and the ports that another program holds.
 *
 * Alive on the control plane's loop. A port that cannot be had because somebody listens there is waited for, and taken as
 * soon as it is free; whatever else goes wrong is an error of the start. */
#ifndef RELAY_EDGE_LISTENERS_H
#define RELAY_EDGE_LISTENERS_H
#include "relay/edge/first.h"
#include "shared/loop.h"
#include "shared/notify.h"
#include "shared/opt.h"

#include <jansson.h>

struct listeners_conf {
    const struct opt_addresses *https, *http; /* copied */
    const struct opt_addresses *proxied;      /* which of them begin with a PROXY header; copied */
    unsigned sockets;                         /* for each: one for each worker */
};

struct listeners_host {
    /* Takes the sockets of one listener. -1: they are closed, and the start fails; later that is the host's to tell. */
    int (*opened)(void *user, const int *fds, struct entrance entrance, struct err *e);
    void (*changed)(void *user); /* a port that was waited for is had */
    void *user;
};

struct listeners;

/* Listens wherever it can (an inherited socket is used where one matches), and waits for the rest. NULL with the reason. */
struct listeners *listeners_start(struct loop *loop, const struct listeners_conf *conf,
                                  struct inherited *inherited, const struct listeners_host *host,
                                  struct err *e);
void listeners_stop(struct listeners *l); /* waits for nothing any more; it is gone once the loop has run */
/* For each: {listen, kind, state (up|held), since, holder, last_error}. A new reference; of NULL an empty list. */
json_t *listeners_status(const struct listeners *l);
/* What a supervisor is told of those that are held: "" when none is. */
void listeners_text(const struct listeners *l, char *text, size_t room);
#endif
