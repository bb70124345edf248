/* relay/edge/forwarded.h - whom proxies in front of us name as the visitor: X-Forwarded-For, and Forwarded (RFC 7239).
 * Pure.
 *
 * For requests of a peer that is trusted itself. Each proxy adds, at the right, whom it was asked by; so what is right of
 * the rightmost untrusted address can be believed, and that address too. What is no address ("unknown", "_hidden", junk)
 * ends the chain: nothing left of it counts. */
#ifndef RELAY_EDGE_FORWARDED_H
#define RELAY_EDGE_FORWARDED_H
#include "shared/buf.h"
#include "shared/cidr.h"
#include "shared/http/h1.h"

#include <stdbool.h>
#include <sys/socket.h>

/* The rightmost untrusted address of X-Forwarded-For, or of Forwarded where there is none; when all are trusted, the
 * leftmost. False, and nothing changed, when nobody is named. */
bool forwarded_client(const struct h1_head *head, const struct cidrs *trusted,
                      struct sockaddr_storage *client);
/* Adds that address and those right of it, each with ", " behind: as in X-Forwarded-For, or as elements of Forwarded. */
void forwarded_add_chain(struct buf *out, const struct h1_head *head, const struct cidrs *trusted,
                         bool as_elements);
/* True when there is a Forwarded that is well formed and names the same client as forwarded_client finds: then an element
 * can be added behind it, and https is whether it says that he came by https://. A proxy that writes X-Forwarded-For alone
 * passes on what its visitor says there. */
bool forwarded_is_well(const struct h1_head *head, const struct cidrs *trusted, bool *https);

/* for=192.0.2.7, or for="[2001:db8::7]". */
void forwarded_add_node(struct buf *out, const struct sockaddr_storage *addr);
#endif
