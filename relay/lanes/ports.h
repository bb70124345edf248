/* relay/lanes/ports.h - the listening sockets that claims open and close.
 *
 * An object of the control plane. Whoever settles the claims says which ports are wanted, one after another, and then that
 * this was all. A port below 1024 that some agent may claim is bound as long as the relay runs, from a time when it may
 * bind such a port, and refuses visitors until somebody claims it. */
#ifndef RELAY_LANES_PORTS_H
#define RELAY_LANES_PORTS_H
#include "relay/edge/port.h"
#include "relay/lanes/roster.h"

struct ports;

struct ports *ports_new(unsigned workers);
void ports_free(struct ports *p); /* NULL is fine */
/* What the relay listens on itself, and which ports may be claimed. Borrows nothing. */
void ports_follow(struct ports *p, const struct opt_conf *conf, const struct roster *roster);
/* False, and why it cannot be had. */
bool ports_want(struct ports *p, const struct opt_address *at, char *why, size_t room);
void ports_settled(struct ports *p); /* closes all that were not wanted since the last time */
/* The socket that is open there; NULL: none is. Borrowed. */
struct port *ports_find(const struct ports *p, const struct opt_address *at);
bool ports_have(const struct ports *p, unsigned port); /* any of its sockets has this port */
void ports_close(struct ports *p);                     /* all, for good: visitors are refused from now on */
#endif
