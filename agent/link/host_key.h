/* agent/link/host_key.h - is the machine that answers the one that was meant? */
#ifndef AGENT_LINK_HOST_KEY_H
#define AGENT_LINK_HOST_KEY_H
#include "agent/link/session.h"
#include "agent/link/ssh_pipe.h"

/* After the handshake. Reads known_hosts_file anew each time; that it is another machine, that nobody can tell, and that
 * the file cannot be read are all -1. */
must_check int host_key_check(const struct session_conf *conf, struct ssh_pipe *pipe, struct err *e);
#endif
