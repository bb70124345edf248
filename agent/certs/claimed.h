/* agent/certs/claimed.h - what is claimed where: a relay is heard about those names alone that it serves for us. Pure. */
#ifndef AGENT_CERTS_CLAIMED_H
#define AGENT_CERTS_CLAIMED_H
#include "shared/opt.h"

#include <stdbool.h>

/* Whether a site with this name, an alias of it or a wildcard over it is claimed at this [relay]. */
bool claimed_at(const struct opt_conf *conf, const char *relay, const char *name);
#endif
