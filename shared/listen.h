/* shared/listen.h - listening TCP sockets, and who holds a port that we cannot have. */
#ifndef SHARED_LISTEN_H
#define SHARED_LISTEN_H
#include "shared/notify.h"
#include "shared/opt.h"

#include <stdbool.h>

/* One listening socket for each of n workers: duplicates of an inherited one, or sockets of our own with SO_REUSEPORT.
 * -1 with the reason, which names the holder of a taken port where the kernel shows it; then nothing is open. */
must_check int listen_sockets(const struct opt_address *addr, struct inherited *inherited, unsigned n,
                              int *fds, struct err *e);
/* One socket, bound, which does not listen yet: listen_begin does. Errors as above. */
must_check int listen_bind(const struct opt_address *addr, int *fd, struct err *e);
/* One socket that listens. other: where we listen ourselves, or NULL; the two may overlap. Errors as above. */
must_check int listen_beside(const struct opt_address *addr, const struct opt_address *other, int *fd,
                             struct err *e);
/* Whether it could be bound at this moment. Cheap: ERR_TAKEN does not say who holds it. */
must_check bool listen_is_free(const struct opt_address *addr, struct err *e);
must_check int listen_begin(int fd, const struct opt_address *addr, struct err *e);
/* For all addresses a supervisor may have made two sockets, one for each family. 1: there is no second one. */
must_check int listen_second(const struct opt_address *addr, struct inherited *inherited, unsigned n,
                             int *fds, struct err *e);
#endif
