#include "shared/host_port.h"

#include "shared/value.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static int wrong(const char *shape, struct err *e)
{
    return err_set(e, ERR_INPUT, "%s", shape);
}

static int set_host(struct host_port *out, struct str host, const char *shape, struct err *e)
{
    if (host.n >= sizeof out->host)
        return wrong(shape, e);
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = 0;
    return 0;
}

static int set_v6(struct host_port *out, struct str host, const char *shape, struct err *e)
{
    struct in6_addr addr;

    if (set_host(out, host, shape, e) != 0)
        return -1;
    if (strlen(out->host) != host.n || inet_pton(AF_INET6, out->host, &addr) != 1)
        return err_set(e, ERR_INPUT,
                       "there is no IPv6 address between the brackets; one is written like [::1]:8080");
    return 0;
}

static int set_name(struct host_port *out, struct str host, const char *shape, struct err *e)
{
    if (host.n == 0)
        return wrong(shape, e);
    for (size_t i = 0; i < host.n; i++)
        if (!is_host_char(host.p[i]))
            return wrong(shape, e);
    return set_host(out, host, shape, e);
}

int host_port_read(struct host_port *out, struct str text, uint16_t default_port, const char *shape,
                   struct err *e)
{
    bool is_v6 = text.n > 0 && text.p[0] == '[';
    const char *end = text.n > 0 ? memchr(text.p, is_v6 ? ']' : ':', text.n) : NULL;
    struct str host = { text.p + is_v6, (size_t)(end ? end - text.p : (ptrdiff_t)text.n) - is_v6 };
    size_t taken = is_v6 ? host.n + 2 : host.n;
    struct str rest;

    *out = (struct host_port){ .port = default_port };
    if ((is_v6 && !end) ||
        memchr(text.p, '@', text.n)) /* a user's name is no part of it, nor is a password a port */
        return wrong(shape, e);
    if ((is_v6 ? set_v6(out, host, shape, e) : set_name(out, host, shape, e)) != 0)
        return -1;
    rest = (struct str){ text.p + taken, text.n - taken };
    if (rest.n == 0)
        return default_port ? 0 : wrong(shape, e);
    if (rest.p[0] != ':')
        return wrong(shape, e);
    return value_port((struct str){ rest.p + 1, rest.n - 1 }, &out->port, e);
}
