#include "shared/proxy_wire.h"

#include <netinet/in.h>
#include <string.h>

enum { ADDRESSES4_BYTES = 12, ADDRESSES6_BYTES = 36 }; /* two addresses, two ports */

size_t proxy_wire_length(const unsigned char *head)
{
    return (size_t)(head[14] << 8 | head[15]);
}

static void read_ipv4(struct sockaddr_storage *to, const unsigned char *address, const unsigned char *port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };

    memcpy(&v4.sin_addr, address, 4);
    memcpy(&v4.sin_port, port, 2);
    memcpy(to, &v4, sizeof v4);
}

static void read_ipv6(struct sockaddr_storage *to, const unsigned char *address, const unsigned char *port)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    memcpy(&v6.sin6_addr, address, 16);
    memcpy(&v6.sin6_port, port, 2);
    memcpy(to, &v6, sizeof v6);
}

ssize_t proxy_wire_addresses(unsigned char family, const unsigned char *in, size_t n,
                             struct sockaddr_storage *source, struct sockaddr_storage *dest)
{
    if (family == PROXY_WIRE_UNSPEC)
        return 0;
    if (family == PROXY_WIRE_TCP4 && n >= ADDRESSES4_BYTES) {
        read_ipv4(source, in, in + 8);
        read_ipv4(dest, in + 4, in + 10);
        return ADDRESSES4_BYTES;
    }
    if (family == PROXY_WIRE_TCP6 && n >= ADDRESSES6_BYTES) {
        read_ipv6(source, in, in + 32);
        read_ipv6(dest, in + 16, in + 34);
        return ADDRESSES6_BYTES;
    }
    return -1;
}

int proxy_wire_next_tlv(struct str *rest, unsigned char *type, struct str *value)
{
    const unsigned char *in = (const unsigned char *)rest->p;
    size_t len = rest->n < PROXY_WIRE_TLV_BYTES ? 0 : (size_t)(in[1] << 8 | in[2]);

    if (rest->n == 0)
        return 0;
    if (rest->n < PROXY_WIRE_TLV_BYTES || len > rest->n - PROXY_WIRE_TLV_BYTES)
        return -1;
    *type = in[0];
    *value = (struct str){ rest->p + PROXY_WIRE_TLV_BYTES, len };
    rest->p += PROXY_WIRE_TLV_BYTES + len;
    rest->n -= PROXY_WIRE_TLV_BYTES + len;
    return 1;
}
