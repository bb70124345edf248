/* agent/link/supervise.h - one relay of the configuration: how many lanes to it there are, or one plain forward.
 *
 * Alive on the loop until it calls `ended`, which it does only after supervise_stop or supervise_drain. It keeps `lanes`
 * of them, opens further ones, up to `max_lanes`, while those there are carry many streams, and closes them again when
 * they are no longer needed. */
#ifndef AGENT_LINK_SUPERVISE_H
#define AGENT_LINK_SUPERVISE_H
#include "agent/carry/limits.h"
#include "agent/carry/sites.h"
#include "agent/options.h"
#include "shared/loop.h"

#include <jansson.h>
#include <stdbool.h>

struct supervise;

/* Copies the configuration; key_file is its own or the default one. Borrows boot, sites and limits until `ended`. */
struct supervise *supervise_start(struct loop *loop, const char *name, const struct agent_relay_conf *conf,
                                  const char *key_file, const char *boot, struct sites *sites,
                                  struct limits *limits, void (*ended)(void *user, struct supervise *s),
                                  void *user);
void supervise_stop(struct supervise *s);  /* ends now */
void supervise_drain(struct supervise *s); /* ends with the last stream in use */
void supervise_claim(struct supervise *s); /* the names of the sites have changed */
/* To the relay, by one lane or by each. False: none is there by which it would hear it. */
enum supervise_by { SUPERVISE_ONE, SUPERVISE_EACH };
bool supervise_say(struct supervise *s, const struct lane_msg *m, enum supervise_by by);
void supervise_look(struct supervise *s); /* the network has changed */

bool supervise_is_up(const struct supervise *s); /* a lane is */
const char *supervise_relay(const struct supervise *s);

/* True when it was started with these very values, but for the number of lanes, which it then follows: a reload leaves
 * it alone. */
bool supervise_follow(struct supervise *s, const char *name, const struct agent_relay_conf *conf,
                      const char *key_file);
/* One of relays[] in /v1/status. A new reference. */
json_t *supervise_status(const struct supervise *s);
#endif
