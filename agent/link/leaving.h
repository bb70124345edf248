/* agent/link/leaving.h - relays that the configuration no longer has, for as long as visitors may still come by them.
 *
 * A value, embedded; all zero bytes is an empty one. It holds relays until they have ended. */
#ifndef AGENT_LINK_LEAVING_H
#define AGENT_LINK_LEAVING_H
#include "agent/link/supervise.h"

struct leaving {
    struct leaver *list;
    size_t n;
};

/* Takes one with a lane that is up. */
void leaving_take(struct leaving *l, struct supervise *takes, int64_t now_ms);
/* Gives back the one that runs with exactly these values, if it carries visitors still; else NULL. */
struct supervise *leaving_give_back(struct leaving *l, const char *name, const struct agent_relay_conf *conf,
                                    const char *key_file);
/* Ends those that nobody needs any more. left_ms: for how long visitors may still come by that relay; < 0: not known yet. */
void leaving_tick(struct leaving *l, int64_t now_ms, int64_t drain_ms,
                  int64_t (*left_ms)(void *user, const char *relay), void *user);
void leaving_forget(struct leaving *l, const struct supervise *ended);
/* To the relay of this name, by one lane; one that leaves has answers due, too. False: none is there that would hear it. */
bool leaving_say(const struct leaving *l, const char *relay, const struct lane_msg *m);
void leaving_each(const struct leaving *l, void (*what)(struct supervise *s));
/* leaving[] of /v1/status. A new reference. */
json_t *leaving_status(const struct leaving *l);
void leaving_free(struct leaving *l);
#endif
