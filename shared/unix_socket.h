/* shared/unix_socket.h - Unix sockets in the file system: taking a path, asking who holds it, connecting to it. */
#ifndef SHARED_UNIX_SOCKET_H
#define SHARED_UNIX_SOCKET_H
#include "shared/err.h"

#include <sys/stat.h>

struct unix_listener {
    int fd; /* -1: none */
    char path[108];
    dev_t device;
    ino_t inode; /* of the file, 0 when it is not ours to remove */
};

/* Listens on path. A file that a dead process left is taken over; ERR_TAKEN says who lives there. The file gets
 * this mode, and this group when it is not NULL; where the machine has no such group or does not let us, the mode is
 * 0600. */
must_check int unix_listen(struct unix_listener *l, const char *path, const char *group, mode_t mode,
                           struct err *e);
/* Removes the file, if it is still the one that unix_listen made. The descriptor is its user's to close. */
void unix_listener_remove(struct unix_listener *l);

/* Whether a socket can have this path at all. */
must_check int unix_check_path(const char *path, struct err *e);
/* A connected, blocking socket, or -1. ERR_MISSING: nobody listens there. */
must_check int unix_connect(const char *path, struct err *e);
#endif
