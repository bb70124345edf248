#include "tests/linesim/address.h"

#include "shared/mem.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int parse_unix(struct address *a, struct str path, struct err *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;

    if (path.n == 0 || path.n >= sizeof un->sun_path)
        return err_set(e, ERR_INPUT, "unix:%.*s: not a path of 1 to %zu bytes", STR_ARG(path),
                       sizeof un->sun_path - 1);
    *a = (struct address){ .len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1) };
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    return 0;
}

static int parse_inet(struct address *a, char *host, const char *port)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    size_t n = strlen(host);

    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = 0;
        host++;
    }
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    *a = (struct address){ .len = found->ai_addrlen };
    memcpy(&a->addr, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

int address_parse(struct address *a, struct str text, struct err *e)
{
    char *host, *colon;
    int rc = -1;

    if (text.n >= 5 && memcmp(text.p, "unix:", 5) == 0)
        return parse_unix(a, (struct str){ text.p + 5, text.n - 5 }, e);
    host = mem_copy_n(text.p, text.n);
    colon = strrchr(host, ':');
    if (colon) {
        *colon = 0;
        rc = parse_inet(a, host, colon + 1);
    }
    free(host);
    if (rc != 0)
        return err_set(e, ERR_INPUT, "%.*s: not an address such as 127.0.0.1:80, [::1]:80 or unix:/path",
                       STR_ARG(text));
    return 0;
}

char *address_text(const struct address *a)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (a->addr.ss_family == AF_UNIX)
        return mem_format("unix:%s", ((const struct sockaddr_un *)&a->addr)->sun_path);
    if (getnameinfo((const struct sockaddr *)&a->addr, a->len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return mem_copy("unknown");
    return mem_format(a->addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int address_port(const struct address *a)
{
    if (a->addr.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->addr)->sin6_port);
    return a->addr.ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)&a->addr)->sin_port) : 0;
}
