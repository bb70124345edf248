/* relay/edge/snapshot_bans.h - who is refused, in a snapshot: by the relay itself, everywhere; by an agent, at its own
 * sites and ports. Proxies that are trusted, and this machine itself, never are. */
#ifndef RELAY_EDGE_SNAPSHOT_BANS_H
#define RELAY_EDGE_SNAPSHOT_BANS_H
#include "relay/edge/banned.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/snapshot_ports.h"

/* While building. The sets get references of their own, names are copied. */
void snapshot_set_bans(struct snapshot *s, struct banned *bans);
void snapshot_add_agent_bans(struct snapshot *s, const char *agent, struct banned *bans);
void snapshot_set_agent(struct snapshot *s, struct snap_site *site,
                        const char *agent); /* that had it first */

/* For who has just come, and for the visitor whom a proxy names. Each yes is counted. */
bool snapshot_bans(const struct snapshot *s, const struct sockaddr_storage *addr);
bool snapshot_site_bans(const struct snapshot *s, const struct snap_site *site,
                        const struct sockaddr_storage *addr);
bool snapshot_port_bans(const struct snapshot *s, const struct snap_port *port,
                        const struct sockaddr_storage *addr);
#endif
