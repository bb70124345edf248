/* agent/link/probe.h - does an SSH server greet at this host and port? A connection says less: in some networks
 * something takes every connection, and lets nothing through.
 *
 * Alive on the loop until it calls `done`, once, from the loop; after that, or after probe_stop, it is gone for its user,
 * and tidies up by itself. */
#ifndef AGENT_LINK_PROBE_H
#define AGENT_LINK_PROBE_H
#include "shared/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct probe;

/* Copies host. */
struct probe *probe_start(struct loop *loop, const char *host, uint16_t port,
                          void (*done)(void *user, bool greeted), void *user);
void probe_stop(struct probe *p); /* no `done` comes */
#endif
