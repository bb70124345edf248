/* relay/lanes/fixed.h - what no agent serves: sites, [domain NAME] upstream = HOST:PORT in relay.ini, and paths of any site,
 * route /PATH = HOST:PORT.
 *
 * An object. Each has a plain lane of its own, with an id that it keeps as long as its address is the same. */
#ifndef RELAY_LANES_FIXED_H
#define RELAY_LANES_FIXED_H
#include "relay/edge/snapshot.h"
#include "relay/lanes/lanes.h"
#include "relay/options.h"

#include <jansson.h>

struct fixed;

struct fixed *fixed_new(const struct opt_conf *conf);
void fixed_free(struct fixed *f); /* NULL is fine */
void fixed_reload(struct fixed *f, const struct opt_conf *conf);

/* As lanes_each_site and lanes_add_to_snapshot do it for the sites of agents; in the order of relay.ini. Adds to a
 * snapshot before the lanes of agents are added. */
void fixed_each_site(const struct fixed *f, void (*each)(void *user, const struct lanes_site *site),
                     void *user);
/* Domains that have routes here and no upstream: sites of agents, or, where no agent serves them, these paths alone. */
void fixed_each_routed(const struct fixed *f, void (*each)(void *user, const struct lanes_site *site),
                       void *user);
void fixed_add_to_snapshot(const struct fixed *f, struct snapshot *s);
/* One domain's {agents, upstream} in /v1/status, or NULL: it has no upstream here. A new reference. */
json_t *fixed_site_status(const struct fixed *f, const char *name);
#endif
