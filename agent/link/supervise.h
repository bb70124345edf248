/* agent/link/supervise.h - one relay of the configuration: keeps a lane to it alive.
 *
 * Alive on the loop until it calls `ended`, which it does only after supervise_stop or supervise_drain. A broken line is
 * tried again after 0.2 s, then slower up to 30 s; a refused key after 2, 5, 15, then 60 s, because a machine that starts
 * refuses too; another host key, or a relay that does not want us, after 60 s. */
#ifndef AGENT_LINK_SUPERVISE_H
#define AGENT_LINK_SUPERVISE_H
#include "agent/carry/sites.h"
#include "agent/options.h"
#include "shared/loop.h"

#include <jansson.h>
#include <stdbool.h>

struct supervise;

/* Copies the configuration; key_file is its own or the default one. Borrows boot and sites until `ended`. */
struct supervise *supervise_start(struct loop *loop, const char *name, const struct agent_relay_conf *conf,
                                  const char *key_file, const char *boot, struct sites *sites,
                                  void (*ended)(void *user, struct supervise *s), void *user);
void supervise_stop(struct supervise *s);  /* ends now */
void supervise_drain(struct supervise *s); /* ends with the last stream in use */
void supervise_claim(struct supervise *s); /* the names of the sites have changed */

/* True when it was started with these very values: a reload leaves it alone. */
bool supervise_same(const struct supervise *s, const char *name, const struct agent_relay_conf *conf,
                    const char *key_file);
/* One of relays[] in /v1/status. A new reference. */
json_t *supervise_status(const struct supervise *s);
#endif
