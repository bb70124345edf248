/* relay/edge/port.h - a listening socket that a claim has opened, for all workers. Counted, from any thread.
 *
 * It is one socket and one queue: each worker takes a descriptor of it, and who queues is let in by whichever comes first.
 * That another worker closes its own costs nobody his place. */
#ifndef RELAY_EDGE_PORT_H
#define RELAY_EDGE_PORT_H
#include "shared/err.h"

struct port;

/* Borrows fd, which listens, and duplicates it for each of n workers; with one reference. */
struct port *port_new(int fd, unsigned n, struct err *e);
struct port *port_hold(struct port *p);
void port_release(struct port *p); /* NULL is fine; the last one closes what no worker has taken */
int port_take(struct port *p, unsigned worker); /* -1: it has taken its own before */
#endif
