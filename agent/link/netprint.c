#include "agent/link/netprint.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* FNV-1a; parts are added up, so that their order does not count. */
static uint64_t hash(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static uint64_t hash_address(const struct sockaddr *address)
{
    unsigned char bytes[16] = { 0 };

    if (address->sa_family == AF_INET)
        memcpy(bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    else
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, sizeof bytes);
    return hash(bytes, sizeof bytes);
}

/* Connecting UDP sends nothing: the kernel looks for the way, and says from which address it would go. */
static bool own_side(const struct sockaddr *to, socklen_t n, uint64_t *sum)
{
    int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage own = { 0 };
    socklen_t own_n = sizeof own;
    bool well;

    if (fd < 0)
        return false;
    well = connect(fd, to, n) == 0 && getsockname(fd, (struct sockaddr *)&own, &own_n) == 0;
    close(fd);
    if (well)
        *sum += 3 * hash_address((struct sockaddr *)&own);
    return well;
}

void netprint_take(struct netprint *out)
{
    /* Any public address will do: these are well known, and will hardly ever be in the house. */
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(53) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
    uv_interface_address_t *list;
    int n;

    *out = (struct netprint){ 0 };
    inet_pton(AF_INET, "1.1.1.1", &v4.sin_addr);
    inet_pton(AF_INET6, "2606:4700:4700::1111", &v6.sin6_addr);
    out->routes[0] = own_side((struct sockaddr *)&v4, sizeof v4, &out->addresses);
    out->routes[1] = own_side((struct sockaddr *)&v6, sizeof v6, &out->addresses);
    if (uv_interface_addresses(&list, &n) != 0)
        return;
    for (int i = 0; i < n; i++)
        out->addresses +=
            hash(list[i].name, strlen(list[i].name)) ^ hash_address((struct sockaddr *)&list[i].address);
    uv_free_interface_addresses(list, n);
}

bool netprint_same(const struct netprint *a, const struct netprint *b)
{
    return a->addresses == b->addresses && memcmp(a->routes, b->routes, sizeof a->routes) == 0;
}

bool netprint_has_route(const struct netprint *p, int family)
{
    return p->routes[family == AF_INET6];
}
