#include "agent/carry/service.h"

#include "shared/str.h"
#include "shared/value.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static int wrong(struct err *e)
{
    return err_set(e, ERR_INPUT, "not http://HOST or http://HOST:PORT (such as http://127.0.0.1:8080)");
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static int set_v6(struct service *s, struct str host, struct err *e)
{
    struct in6_addr addr;

    if (host.n >= sizeof s->host)
        return wrong(e);
    memcpy(s->host, host.p, host.n);
    s->host[host.n] = 0;
    if (inet_pton(AF_INET6, s->host, &addr) != 1)
        return err_set(e, ERR_INPUT,
                       "%.60s is not an IPv6 address; such a service is written http://[::1]:8080", s->host);
    return 0;
}

static int set_name(struct service *s, struct str host, struct err *e)
{
    if (host.n == 0 || host.n >= sizeof s->host)
        return wrong(e);
    for (size_t i = 0; i < host.n; i++)
        if (!is_host_char(host.p[i]))
            return wrong(e);
    memcpy(s->host, host.p, host.n);
    s->host[host.n] = 0;
    return 0;
}

/* Cuts [HOST] or HOST off *rest. */
static int read_host(struct service *s, struct str *rest, struct err *e)
{
    bool is_v6 = rest->n > 0 && rest->p[0] == '[';
    const char *end = is_v6 ? memchr(rest->p, ']', rest->n) : memchr(rest->p, ':', rest->n);
    struct str host = { rest->p + is_v6, (size_t)(end ? end - rest->p : (ptrdiff_t)rest->n) - is_v6 };
    size_t taken = is_v6 ? host.n + 2 : host.n;

    if (is_v6 && !end)
        return wrong(e);
    *rest = (struct str){ rest->p + taken, rest->n - taken };
    return is_v6 ? set_v6(s, host, e) : set_name(s, host, e);
}

int service_parse(struct service *s, const char *text, struct err *e)
{
    struct str rest = str_of(text);

    *s = (struct service){ .port = 80 };
    if (strncmp(text, "http://", 7) != 0)
        return wrong(e);
    rest = (struct str){ rest.p + 7, rest.n - 7 };
    if (rest.n > 0 && rest.p[rest.n - 1] == '/') /* http://HOST/ says no more than http://HOST */
        rest.n--;
    if (memchr(rest.p, '@', rest.n)) /* otherwise taken for a port, when a password stands in front */
        return wrong(e);
    if (read_host(s, &rest, e) != 0)
        return -1;
    if (rest.n == 0)
        return 0;
    if (rest.p[0] != ':')
        return wrong(e);
    rest = (struct str){ rest.p + 1, rest.n - 1 };
    if (value_port(rest, &s->port, NULL) != 0)
        return err_set(e, ERR_INPUT,
                       "the port is not a number from 1 to 65535 (such as http://127.0.0.1:8080)");
    return 0;
}
