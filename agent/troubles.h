/* agent/troubles.h - what alerts of the agent look after, out of its status: relays, DNS records and services. Pure. */
#ifndef AGENT_TROUBLES_H
#define AGENT_TROUBLES_H
#include "shared/alerts/damping.h"

/* For struct daemon_program. */
void agent_add_troubles(const json_t *status, struct troubles *seen);
#endif
