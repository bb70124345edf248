/* shared/port_holder.h - which process listens on a TCP port of this machine. */
#ifndef SHARED_PORT_HOLDER_H
#define SHARED_PORT_HOLDER_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* "pid 812 (nginx)": who keeps others from this address, or with `any` from its port. False when the kernel shows us nobody:
 * only root sees the sockets of other users' processes. */
bool port_holder(const struct sockaddr_storage *addr, bool any, char *out, size_t room);
/* Who listens on this port, at whichever address. 0: nobody; -1: somebody whom only root can see. */
pid_t port_holder_pid(unsigned port);
#endif
