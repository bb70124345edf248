/* relay/troubles.h - what alerts of the relay look after, out of its status: agents, and the sites' certificates. Pure. */
#ifndef RELAY_TROUBLES_H
#define RELAY_TROUBLES_H
#include "shared/alerts/damping.h"

#include <time.h>

/* For struct daemon_program. */
void relay_add_troubles(const json_t *status, struct troubles *seen);
/* The same at a time of one's own. */
void relay_add_troubles_at(const json_t *status, time_t now, struct troubles *seen);
#endif
