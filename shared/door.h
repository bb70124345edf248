/* shared/door.h - a listening socket: lets in who comes, while there are descriptors for it.
 *
 * Alive on the loop until door_close. When they run out, who comes waits in the kernel's queue, and is let in as soon as
 * others have gone. (libuv's own listeners hang up on them, or try without a pause.) */
#ifndef SHARED_DOOR_H
#define SHARED_DOOR_H
#include "shared/loop.h"

#include <stdbool.h>

struct door;

struct door_kind {
    const char *name; /* of who comes, for the log; a constant */
    /* Leaves the last quarter of the descriptors that the process may have to what those inside need. */
    bool leaves_some;
    /* The socket listens already, and whoever made it may end that under the door, which then stays shut. */
    bool anothers;
    /* Takes the connected socket, which does not block. May pause the door, but not close it; door_close itself may
     * let in a last one. */
    void (*came)(void *user, int fd);
};

/* Listens on fd, which it takes; closes it also when it fails. */
struct door *door_open(struct loop *loop, int fd, const struct door_kind *kind, void *user, struct err *e);
void door_pause(struct door *d); /* nobody is let in until door_resume */
void door_resume(struct door *d);
/* Nobody comes in any more; it is gone once the loop has run. NULL is fine. */
void door_close(struct door *d);
#endif
