#include "shared/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* No /64 that a connection can come from begins with ffff: those are multicast. */
#define IPV4_KEY ((uint64_t)0xffff << 48)

uint64_t source_key(const struct sockaddr_storage *addr)
{
    const struct sockaddr_in *v4 = (const void *)addr;
    const struct sockaddr_in6 *v6 = (const void *)addr;
    uint64_t key = 0;
    uint32_t mapped;

    if (addr->ss_family == AF_INET)
        return IPV4_KEY | ntohl(v4->sin_addr.s_addr);
    if (addr->ss_family != AF_INET6)
        return SOURCE_NONE;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(&mapped, v6->sin6_addr.s6_addr + 12, sizeof mapped);
        return IPV4_KEY | ntohl(mapped);
    }
    for (int i = 0; i < 8; i++)
        key = key << 8 | v6->sin6_addr.s6_addr[i];
    return key;
}

void source_print(const struct sockaddr_storage *addr, char out[SOURCE_TEXT_BYTES])
{
    const struct sockaddr_in *v4 = (const void *)addr;
    const struct sockaddr_in6 *v6 = (const void *)addr;

    if (addr->ss_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, out, SOURCE_TEXT_BYTES);
    else if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, out, SOURCE_TEXT_BYTES);
    else if (addr->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, out, SOURCE_TEXT_BYTES);
    else
        memcpy(out, "local", sizeof "local");
}
