/* agent/link/plain.h - the duty of a session with any SSH server, as `ssh -R` has it: a forward from a port there to one
 * service here. */
#ifndef AGENT_LINK_PLAIN_H
#define AGENT_LINK_PLAIN_H
#include "agent/link/duty.h"

/* Borrows what conf holds, and remote_address and sites of its session. */
struct duty *plain_new(const struct duty_conf *conf);
#endif
