/* agent/link/keeper.h - one lane of a relay, kept alive over many SSH sessions.
 *
 * Where sshd's own port cannot be reached, or nobody speaks SSH there, it tries port 443 by turns, where the relay joins
 * SSH to sshd.
 *
 * Alive on the loop until it calls `ended`, which it does only after keeper_stop or keeper_drain. When a lane was lost, or
 * nobody is there to connect to, it is tried again after 0.2 s, then slower up to 1 s, so that a path that comes back is
 * found at once: this costs a relay nothing. What fails later, before we are welcome, sshd counts (PerSourcePenalties): up
 * to 30 s; a refused key waits 2, 5, 15, then 60 s, because a machine that starts refuses too; another host key, or a
 * relay that does not want us, 60 s; a second machine with our key 5 minutes. */
#ifndef AGENT_LINK_KEEPER_H
#define AGENT_LINK_KEEPER_H
#include "agent/link/session.h"

#include <jansson.h>

struct keeper;

/* Copies conf, but borrows what it points to until `ended`. */
struct keeper *keeper_start(struct loop *loop, const struct session_conf *conf,
                            void (*ended)(void *user, struct keeper *k), void *user);
void keeper_stop(struct keeper *k);                          /* ends now */
void keeper_drain(struct keeper *k);                         /* ends with the last stream in use */
void keeper_claim(struct keeper *k);                         /* the names of the sites have changed */
bool keeper_say(struct keeper *k, const struct lane_msg *m); /* see session_say */
void keeper_look(
    struct keeper *k); /* the network has changed: try now, or see whether the line is still there */

bool keeper_is_up(const struct keeper *k);
bool keeper_is_detoured(const struct keeper *k); /* it goes through 443 instead of sshd's own port */
bool keeper_is_leaving(const struct keeper *k);  /* stopped or drained */
int64_t keeper_lane(const struct keeper *k);
size_t keeper_streams(const struct keeper *k); /* in use */
/* One of lanes[] in /v1/status. A new reference. */
json_t *keeper_status(const struct keeper *k);
#endif
