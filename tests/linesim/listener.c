#include "tests/linesim/listener.h"

#include "shared/mem.h"
#include "tests/linesim/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static int parse(struct listener *l, const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');

    if (!equals)
        return err_set(e, ERR_INPUT, "%s: not ADDRESS:PORT=TARGET, such as 127.0.0.1:0=127.0.0.1:80", text);
    if (address_parse(&l->address, (struct str){ text, (size_t)(equals - text) }, e) != 0 ||
        address_parse(&l->target, str_of(equals + 1), e) != 0)
        return -1;
    if (l->address.addr.ss_family == AF_UNIX)
        return err_set(e, ERR_INPUT, "%s: listens on IPv4 and IPv6 only; a target may be unix:/path", text);
    return 0;
}

/* Returns a socket bound to the listener's address, or -1. */
static int bound_socket(const struct listener *l, struct err *e)
{
    int fd = socket(l->address.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1;

    if (fd < 0)
        return err_errno(e, errno, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (const struct sockaddr *)&l->address.addr, l->address.len) != 0) {
        err_errno(e, errno, "cannot bind to port %d", address_port(&l->address));
        close(fd);
        return -1;
    }
    return fd;
}

static void on_connected(void *user, uint32_t events)
{
    struct listener *l = user;
    int fd = accept4(l->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0) {
        conn_start(l->sim, l, fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        perror("linesim: cannot accept a connection");
        exit(1); /* out of descriptors: what a test would see from here on is not the line */
    }
}

int listener_refuse(struct listener *l, bool refuse, struct err *e)
{
    if (refuse || l->watch.fd >= 0) {
        if (refuse)
            loop_close(&l->watch);
        return 0;
    }
    l->watch.fd = bound_socket(l, e);
    if (l->watch.fd < 0)
        return -1;
    conn_tune_socket(l->watch.fd);
    if (listen(l->watch.fd, BACKLOG) != 0) {
        err_errno(e, errno, "cannot listen on port %d", address_port(&l->address));
        loop_close(&l->watch);
        return -1;
    }
    loop_add(&l->sim->loop, &l->watch, EPOLLIN);
    return 0;
}

int listener_add(struct sim *s, const char *text, struct err *e)
{
    struct listener *l = &s->listeners[s->listeners_n];

    *l = (struct listener){ .sim = s, .index = s->listeners_n, .keeper = -1 };
    l->watch = (struct watch){ -1, l, on_connected };
    if (parse(l, text, e) != 0)
        return -1;
    l->keeper = bound_socket(l, e);
    if (l->keeper < 0)
        return -1;
    s->listeners_n++;
    getsockname(l->keeper, (struct sockaddr *)&l->address.addr, &l->address.len);
    return listener_refuse(l, false, e);
}

void listener_free(struct listener *l)
{
    loop_close(&l->watch);
    close(l->keeper);
}
