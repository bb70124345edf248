#include "shared/listen.h"

#include "shared/port_holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- sockets of our own ---- */

static unsigned port_of(const struct sockaddr_storage *addr)
{
    return ntohs(addr->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)addr)->sin6_port
                                             : ((const struct sockaddr_in *)addr)->sin_port);
}

static const char *text_of(const struct sockaddr_storage *addr, bool any, char *out, size_t room)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (!any && addr->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)addr)->sin_addr, host, sizeof host);
    else if (!any)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)addr)->sin6_addr, host, sizeof host);
    snprintf(out, room, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port_of(addr));
    return out;
}

static int refuse(int number, const struct sockaddr_storage *addr, bool any, struct err *e)
{
    char where[80], holder[120];

    text_of(addr, any, where, sizeof where);
    if (number == EADDRINUSE) {
        if (!port_holder(addr, any, holder, sizeof holder))
            snprintf(holder, sizeof holder,
                     "a process that is not shown to us ('sudo ss -ltnp sport = :%u' names it)",
                     port_of(addr));
        return err_set(e, ERR_TAKEN,
                       "cannot listen on %s: it is held by %s; end that one, or listen elsewhere", where,
                       holder);
    }
    if (number == EACCES)
        return err_set(
            e, ERR_SYSTEM,
            "cannot listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE; or use a higher port",
            where);
    if (number == EADDRNOTAVAIL)
        return err_set(
            e, ERR_SYSTEM,
            "cannot listen on %s: this machine has no such address; listen on one that it has, or on all "
            "of them, with :%u",
            where, port_of(addr));
    return err_errno(e, number, "cannot listen on %s", where);
}

static socklen_t size_of(const struct sockaddr_storage *addr)
{
    return addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

enum { QUEUE = 1024 };

/* -1 with errno. shared: further sockets of ours may have the same address. */
static int bind_socket(const struct sockaddr_storage *addr, bool any, bool shared, bool listens)
{
    const int on = 1, v6only = !any;
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int number;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (addr->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (bind(fd, (const struct sockaddr *)addr, size_of(addr)) == 0 && (!listens || listen(fd, QUEUE) == 0))
        return fd;
    number = errno;
    close(fd);
    errno = number;
    return -1;
}

/* All IPv6 and IPv4 addresses by one socket; IPv4 alone where the kernel has no IPv6. */
static struct sockaddr_storage any_address(unsigned port)
{
    struct sockaddr_storage addr = { 0 };
    struct sockaddr_in6 *v6 = (void *)&addr;
    struct sockaddr_in *v4 = (void *)&addr;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (probe >= 0) {
        close(probe);
        *v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    } else {
        *v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    }
    return addr;
}

static int open_own(const struct sockaddr_storage *addr, bool any, unsigned n, int *fds, struct err *e)
{
    /* With SO_REUSEPORT alone, a second relay of the same user would silently share the port with the first. */
    int probe = bind_socket(addr, any, false, true);

    if (probe < 0)
        return refuse(errno, addr, any, e);
    close(probe);
    for (unsigned i = 0; i < n; i++) {
        fds[i] = bind_socket(addr, any, true, true);
        if (fds[i] >= 0)
            continue;
        refuse(errno, addr, any, e);
        while (i-- > 0)
            close(fds[i]);
        return -1;
    }
    return 0;
}

static struct sockaddr_storage own_address(const struct opt_address *wanted)
{
    return wanted->any ? any_address(port_of(&wanted->addr)) : wanted->addr;
}

int listen_bind(const struct opt_address *wanted, int *fd, struct err *e)
{
    struct sockaddr_storage addr = own_address(wanted);

    *fd = bind_socket(&addr, wanted->any, false, false);
    return *fd >= 0 ? 0 : refuse(errno, &addr, wanted->any, e);
}

int listen_beside(const struct opt_address *wanted, const struct opt_address *other, int *fd, struct err *e)
{
    struct sockaddr_storage addr = own_address(wanted);

    if (!other || port_of(&other->addr) != port_of(&wanted->addr))
        return open_own(&addr, wanted->any, 1, fd, e);
    *fd = bind_socket(&addr, wanted->any, true, true);
    return *fd >= 0 ? 0 : refuse(errno, &addr, wanted->any, e);
}

bool listen_is_free(const struct opt_address *wanted, struct err *e)
{
    struct sockaddr_storage addr = own_address(wanted);
    int fd = bind_socket(&addr, wanted->any, false, false);

    if (fd >= 0) {
        close(fd);
        return true;
    }
    err_set(e, errno == EADDRINUSE ? ERR_TAKEN : ERR_SYSTEM, "cannot be bound");
    return false;
}

int listen_begin(int fd, const struct opt_address *wanted, struct err *e)
{
    return listen(fd, QUEUE) == 0 ? 0 : refuse(errno, &wanted->addr, wanted->any, e);
}

/* ---- inherited ones ---- */

static int take_inherited(const struct opt_address *wanted, struct inherited *inherited)
{
    const unsigned port = port_of(&wanted->addr);
    const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    int fd;

    if (!wanted->any)
        return inherited_take(inherited, (const struct sockaddr *)&wanted->addr);
    fd = inherited_take(inherited, (const struct sockaddr *)&v6);
    return fd >= 0 ? fd : inherited_take(inherited, (const struct sockaddr *)&v4);
}

static int share(int fd, unsigned n, int *fds, struct err *e)
{
    fds[0] = fd;
    for (unsigned i = 1; i < n; i++) {
        fds[i] = dup(fd);
        if (fds[i] >= 0)
            continue;
        err_errno(e, errno, "cannot duplicate an inherited socket");
        while (i-- > 0)
            close(fds[i]);
        return -1;
    }
    return 0;
}

int listen_sockets(const struct opt_address *wanted, struct inherited *inherited, unsigned n, int *fds,
                   struct err *e)
{
    struct sockaddr_storage addr = own_address(wanted);
    int fd = take_inherited(wanted, inherited);

    return fd < 0 ? open_own(&addr, wanted->any, n, fds, e) : share(fd, n, fds, e);
}

int listen_second(const struct opt_address *wanted, struct inherited *inherited, unsigned n, int *fds,
                  struct err *e)
{
    int fd = wanted->any ? take_inherited(wanted, inherited) : -1;

    return fd < 0 ? 1 : share(fd, n, fds, e);
}
