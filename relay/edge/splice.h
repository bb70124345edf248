/* relay/edge/splice.h - SSH on the visitors' port: a connection that begins with "SSH-" is joined to the local sshd.
 *
 * Alive on a worker's loop. For sshd it comes from an address in 127.64.0.0/10 that is made of the visitor's own, so that
 * sshd's penalties hit that visitor alone, and the drop-in can admit agents only. */
#ifndef RELAY_EDGE_SPLICE_H
#define RELAY_EDGE_SPLICE_H
#include "relay/edge/places.h"
#include "shared/buf.h"
#include "shared/loop.h"
#include "shared/stream.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct splice;

struct splice_events {
    /* It stands, or has ended: sshd sees the visitor as this address and port of ours. */
    void (*joined)(void *user, const struct sockaddr_in *ours, const struct sockaddr_storage *visitor);
    void (*parted)(void *user, const struct sockaddr_in *ours);
    void (*ended)(void *user, struct splice *s); /* last */
};

/* Takes the visitor's stream, borrows the bytes that have come, and the places until `ended`. NULL when there is no
 * place: the visitor's connection is closed then. */
struct splice *splice_start(struct loop *loop, struct places *places, struct stream *visitor,
                            const struct sockaddr_storage *addr, const char *bytes, size_t n,
                            uint16_t ssh_port, const struct splice_events *events, void *user);
void splice_stop(struct splice *s);

/* 127.64.0.0/10, and what the visitor's address makes of the other 22 bits; of an IPv6 one its /64. Pure. */
struct sockaddr_in splice_address(const struct sockaddr_storage *visitor);
#endif
