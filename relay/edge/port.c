#include "relay/edge/port.h"

#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct port {
    atomic_size_t refs;
    unsigned n;
    atomic_int fds[]; /* -1: taken */
};

struct port *port_new(int fd, unsigned n, struct err *e)
{
    struct port *p = mem_new(sizeof *p + n * sizeof p->fds[0]);

    atomic_init(&p->refs, 1);
    for (p->n = 0; p->n < n; p->n++) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

        if (own < 0) {
            err_errno(e, errno, "cannot duplicate a socket");
            port_release(p);
            return NULL;
        }
        atomic_init(&p->fds[p->n], own);
    }
    return p;
}

struct port *port_hold(struct port *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void port_release(struct port *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        int fd = port_take(p, i);

        if (fd >= 0)
            close(fd);
    }
    free(p);
}

int port_take(struct port *p, unsigned worker)
{
    return atomic_exchange_explicit(&p->fds[worker], -1, memory_order_acq_rel);
}
