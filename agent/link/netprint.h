/* agent/link/netprint.h - a machine's network as one number: its addresses, and from which it speaks to the internet.
 *
 * A value. Two of them are the same when nothing has changed that others could notice. */
#ifndef AGENT_LINK_NETPRINT_H
#define AGENT_LINK_NETPRINT_H
#include <stdbool.h>
#include <stdint.h>

struct netprint {
    uint64_t addresses;
    bool routes[2]; /* to the internet of IPv4, IPv6 */
};

void netprint_take(struct netprint *out); /* sends nothing */
bool netprint_same(const struct netprint *a, const struct netprint *b);
bool netprint_has_route(const struct netprint *p, int family); /* AF_INET or AF_INET6 */
#endif
