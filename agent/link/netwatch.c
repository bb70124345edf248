#include "agent/link/netwatch.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SETTLE_MS = 250 }; /* an interface that comes up sends a dozen messages */

struct netwatch {
    void (*changed)(void *user);
    void (*ended)(void *user);
    void *user;
    uv_poll_t poll;
    uv_timer_t settle;
    int fd; /* -1: there is none */
    int pending;
};

static int open_socket(void)
{
    struct sockaddr_nl addr = { .nl_family = AF_NETLINK,
                                .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                             RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void on_settled(uv_timer_t *timer)
{
    struct netwatch *w = timer->data;

    w->changed(w->user);
}

/* What exactly has changed does not matter: each lane looks for itself. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct netwatch *w = poll->data;
    char dropped[8192];
    ssize_t n;

    (void)status, (void)events;
    do
        n = recv(w->fd, dropped, sizeof dropped, 0);
    while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
    if (!uv_is_active((uv_handle_t *)&w->settle))
        uv_timer_start(&w->settle, on_settled, SETTLE_MS, 0);
}

struct netwatch *netwatch_start(struct loop *loop, void (*changed)(void *user), void (*ended)(void *user),
                                void *user)
{
    struct netwatch *w = mem_new(sizeof *w);

    w->changed = changed;
    w->ended = ended;
    w->user = user;
    w->fd = open_socket();
    uv_timer_init(&loop->uv, &w->settle);
    w->settle.data = w;
    w->pending = 1;
    if (w->fd < 0) {
        log_debug("changes of the network are not told here", kv_str("error", strerror(errno)));
        return w;
    }
    uv_poll_init(&loop->uv, &w->poll, w->fd);
    w->poll.data = w;
    w->pending = 2;
    uv_poll_start(&w->poll, UV_READABLE, on_readable);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct netwatch *w = handle->data;

    if (--w->pending > 0)
        return;
    if (w->fd >= 0)
        close(w->fd);
    w->ended(w->user);
    free(w);
}

void netwatch_stop(struct netwatch *w)
{
    uv_close((uv_handle_t *)&w->settle, on_closed);
    if (w->fd >= 0)
        uv_close((uv_handle_t *)&w->poll, on_closed);
}
