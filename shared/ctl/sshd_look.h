/* shared/ctl/sshd_look.h - this machine's sshd: where it listens, with which settings for one user, and that user's account.
 *
 * Most of it only root can see. */
#ifndef SHARED_CTL_SSHD_LOOK_H
#define SHARED_CTL_SSHD_LOOK_H
#include <jansson.h>

/* Facts for shared/doctor/sshd.h: a new reference. state_dir: the relay's. addresses: where agents are known to come from, or
 * NULL. */
json_t *sshd_look(const char *user, unsigned port, const char *state_dir, const json_t *addresses);
#endif
