/* agent/link/netwatch.h - tells when this machine's links, addresses or routes change.
 *
 * Alive on the loop. Several changes at once are told as one. Where the kernel has no netlink it says nothing. */
#ifndef AGENT_LINK_NETWATCH_H
#define AGENT_LINK_NETWATCH_H
#include "shared/loop.h"

struct netwatch;

struct netwatch *netwatch_start(struct loop *loop, void (*changed)(void *user), void (*ended)(void *user),
                                void *user);
void netwatch_stop(struct netwatch *w);
#endif
