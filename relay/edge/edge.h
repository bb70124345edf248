/* relay/edge/edge.h - the data plane, as the control plane sees it.
 *
 * Alive on the control plane's loop; its workers are threads with loops of their own. Everything here is called from,
 * and calls back on, the control plane's thread. */
#ifndef RELAY_EDGE_EDGE_H
#define RELAY_EDGE_EDGE_H
#include "relay/edge/access_log.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/tally.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"
#include "shared/notify.h"
#include "shared/opt.h"

#include <jansson.h>

struct edge_events {
    void (*lane_proved)(void *user, uint64_t lane); /* a stream of it has been answered rightly */
    void (*lane_silent)(void *user, uint64_t lane); /* a stream of it has not been answered in time: busy */
    void (*stream_aborted)(void *user, uint64_t lane,
                           uint64_t stream); /* its visitor is gone: tell the agent */
    /* Every worker shows the challenges of a snapshot, of this serial or a later one. */
    void (*challenges_shown)(void *user, uint64_t serial);
    void (*listeners_changed)(void *user); /* a port that was waited for is had */
    void (*ended)(void *user);             /* every worker has ended; last */
};

struct edge;

struct edge_conf {
    const struct opt_addresses *listen_https, *listen_http;
    const struct opt_addresses
        *proxy_listeners;          /* those of them where trusted peers begin with a PROXY header */
    unsigned workers, max_streams; /* max_streams: of a lane */
    uint64_t max_buffered;
    struct access_log *access_log; /* each worker gets a reference */
    uint16_t ssh_port;             /* where the local sshd listens; 0: SSH on listen_https is refused */
};

/* Listens on all addresses (an inherited socket is used where one matches; what another program holds is waited for) and starts the workers, with a first
 * snapshot: nobody is to be told that a site is unknown only because he was early. */
struct edge *edge_start(struct loop *loop, const struct edge_conf *conf, struct inherited *inherited,
                        struct snapshot *takes, const struct edge_events *events, void *user, struct err *e);
void edge_publish(struct edge *edge, struct snapshot *takes);
/* What the agent tells of a stream: how it ended, and how much the service has taken. */
void edge_stream_ended(struct edge *edge, uint64_t lane, uint64_t stream, enum lane_how how);
void edge_stream_consumed(struct edge *edge, uint64_t lane, uint64_t stream, uint64_t total);
/* Whom sshd sees as this address and port of ours. False when that is nobody: then it is a real one. */
bool edge_real_address(const struct edge *edge, const char *address, unsigned port,
                       struct sockaddr_storage *real);
void edge_add_tally(const struct edge *edge, struct tally_sum *sum);
json_t *edge_listeners(const struct edge *edge); /* listeners[] of /v1/status; NULL: an empty list */
/* What a supervisor is told of ports that are waited for; "": none is. */
void edge_waiting_text(const struct edge *edge, char *text, size_t room);
void edge_drain(struct edge *edge); /* no new connection; requests in progress go on */
void edge_stop(struct edge *edge);  /* ends at once */
#endif
