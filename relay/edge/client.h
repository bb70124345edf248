/* relay/edge/client.h - one visitor's connection.
 *
 * Alive on a worker's loop, from accept to the last closed handle. */
#ifndef RELAY_EDGE_CLIENT_H
#define RELAY_EDGE_CLIENT_H
#include "relay/edge/access_log.h"
#include "relay/edge/doorman.h"
#include "relay/edge/headers.h"
#include "relay/edge/first.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/parking.h"
#include "relay/edge/pool.h"
#include "relay/edge/round.h"
#include "relay/edge/tally.h"
#include "shared/stream.h"

struct client;

/* What a connection uses of its worker. */
struct client_host {
    SSL_CTX *tls_begin;  /* the current snapshot's */
    struct buf *sealed;  /* what TLS makes, on its way to the socket; empty while no connection is at work */
    uint16_t https_port; /* where visitors find us over TLS; 0: nowhere */
    struct pool *pool;
    struct parking *parking;
    struct round *round;
    struct request_ids *ids;
    struct access_log *access_log;
    struct tally *tally;
    struct limiter *rates; /* of all workers */
    struct doorman *doorman;
    struct snapshot *(*snapshot)(void *user); /* the current one, borrowed */
    bool ssh; /* connections that begin with "SSH-" are handed over to `spliced` */
    /* Takes the stream. */
    void (*spliced)(void *user, struct stream *visitor, const struct sockaddr_storage *addr,
                    const char *bytes, size_t n);
    /* The same, for a site that ends the TLS of its visitors itself. */
    void (*passed)(void *user, struct client *client, struct stream *visitor, const struct origin *from,
                   const struct hello *hello, const char *bytes, size_t n);
    void (*ended)(void *user, struct client *client);
    void *user;
};

/* Takes a visitor's socket; closes it also when it fails. */
struct client *client_accept(struct loop *loop, int fd, const struct client_host *host,
                             struct entrance entrance, struct err *e);
void client_drain(struct client *c);       /* ends behind the request in progress, or at once */
void client_drain_http2(struct client *c); /* the same, of those that speak HTTP/2 */
void client_stop(struct client *c);
bool client_is_endless(const struct client *c); /* what is in progress has no end that could be waited for */

/* ---- for the exchange ---- */

void client_send(struct client *c, const void *bytes,
                 size_t n);                                    /* plain; goes out by the end of client_run */
struct buf *client_output(struct client *c);                   /* where client_send puts it */
void client_end(struct client *c);                             /* half-close, behind what was sent */
struct stream *client_stream(struct client *c);                /* for backpressure */
uint64_t client_held(const struct client *c, uint64_t *moved); /* see upstream_events */
bool client_has_ended(const struct client *c);                 /* the visitor has said all that he will say */
bool client_has_left(
    const struct client *c);                 /* has ended his side, and does not show that he still listens */
bool client_is_gone(const struct client *c); /* has reset the connection, though we do not read it now */
const char *client_tls_version(const struct client *c); /* "": there is no TLS */
void client_run(struct client *c);                      /* something happened; c may be gone afterwards */
#endif
