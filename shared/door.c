/* The life of a listening socket:
 *
 *   OPEN ── too few descriptors, or accept fails ──▶ SHUT ── looks again, ten times a second ──▶ OPEN
 *     └───────────────── door_close ──────────────────┴──▶ freed */
#include "shared/door.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_AGAIN_MS = 100,
    LOOK_AT_LIMIT = 32, /* so many may come in before the limit is read again: nobody changes it often */
    AT_ONCE = 64,       /* who comes next waits until those inside had their turn */
    QUEUE = 1024,
};

struct door {
    uv_poll_t poll;
    uv_timer_t again;
    int pending;
    int fd;
    int held; /* who came when there was no descriptor for him any more; -1: nobody */
    bool shut, paused;
    rlim_t most;      /* descriptors, when that was looked at last */
    unsigned came_in; /* since then */
    const struct door_kind *kind;
    void *user;
};

static void on_readable(uv_poll_t *poll, int rc, int events);
static void on_look_again(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

static void watch(struct door *d)
{
    if (d->shut || d->paused)
        uv_poll_stop(&d->poll);
    else
        uv_poll_start(&d->poll, UV_READABLE, on_readable);
}

struct door *door_open(struct loop *loop, int fd, const struct door_kind *kind, void *user, struct err *e)
{
    struct door *d = mem_new(sizeof *d);
    int rc = kind->anothers || listen(fd, QUEUE) == 0 ? uv_poll_init(&loop->uv, &d->poll, fd)
                                                      : uv_translate_sys_error(errno);

    if (rc != 0) {
        err_set(e, ERR_SYSTEM, "cannot listen: %s", uv_strerror(rc));
        close(fd);
        free(d);
        return NULL;
    }
    uv_timer_init(&loop->uv, &d->again);
    d->poll.data = d->again.data = d;
    d->pending = 2;
    d->fd = fd;
    d->held = -1;
    d->kind = kind;
    d->user = user;
    watch(d);
    return d;
}

/* ---- how many descriptors are left ---- */

/* The kernel gives the lowest number that is free. So whoever comes in has one of the first three quarters, and the
 * others are never taken by visitors. */
static bool may_come(struct door *d, int fd)
{
    struct rlimit limit;

    if (!d->kind->leaves_some)
        return true;
    if (d->came_in++ % LOOK_AT_LIMIT == 0 || d->shut)
        d->most = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
    return (rlim_t)fd < d->most - d->most / 4;
}

static void shut(struct door *d, const char *why)
{
    log_warn_limited(d->kind->name, "connections have to wait", kv_str("source", d->kind->name),
                     kv_str("error", why));
    d->shut = true;
    watch(d);
    uv_timer_start(&d->again, on_look_again, LOOK_AGAIN_MS, LOOK_AGAIN_MS);
}

static void on_look_again(uv_timer_t *timer)
{
    struct door *d = timer->data;
    int held = d->held, fd = fcntl(held >= 0 ? held : d->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (!may_come(d, fd)) {
        close(fd);
        return;
    }
    uv_timer_stop(&d->again);
    d->held = -1;
    d->shut = false;
    watch(d);
    if (held < 0) {
        close(fd);
        return;
    }
    close(held);
    d->kind->came(d->user, fd);
}

/* ---- who comes ---- */

/* Another worker was faster, or who came has gone again; Linux also hands out errors that its network had meanwhile. */
static bool is_no_failure(int number)
{
    switch (number) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP: return true;
    default: return false;
    }
}

static void on_readable(uv_poll_t *poll, int rc, int events)
{
    struct door *d = poll->data;

    (void)rc, (void)events; /* accept tells of an error, too */
    for (int n = 0; n < AT_ONCE && !d->shut && !d->paused; n++) {
        int fd = accept4(d->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && is_no_failure(errno))
            return; /* the loop comes back as long as somebody waits */
        if (fd < 0 && errno == EINVAL && d->kind->anothers) {
            door_pause(d); /* it does not listen any more */
            return;
        }
        if (fd < 0) {
            shut(d, strerror(errno));
            return;
        }
        if (may_come(d, fd)) {
            d->kind->came(d->user, fd);
            continue;
        }
        d->held = fd;
        shut(
            d,
            "three quarters of the descriptors are in use, and the last one is for those inside; raise their "
            "limit: LimitNOFILE= in the unit, or ulimit -n");
    }
}

void door_pause(struct door *d)
{
    d->paused = true;
    watch(d);
}

void door_resume(struct door *d)
{
    d->paused = false;
    watch(d);
}

/* ---- end ---- */

void door_close(struct door *d)
{
    if (!d)
        return;
    if (d->held >= 0)
        d->kind->came(d->user, d->held); /* the kernel has told him that he is in */
    uv_close((uv_handle_t *)&d->poll, on_closed);
    uv_close((uv_handle_t *)&d->again, on_closed);
    close(d->fd);
}

static void on_closed(uv_handle_t *handle)
{
    struct door *d = handle->data;

    if (--d->pending == 0)
        free(d);
}
