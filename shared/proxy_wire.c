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

/* ---- written ---- */

static bool as_ipv4(const struct sockaddr_storage *from, struct sockaddr_in *to)
{
    struct sockaddr_in6 v6;

    if (from->ss_family == AF_INET) {
        memcpy(to, from, sizeof *to);
        return true;
    }
    memcpy(&v6, from, sizeof v6);
    if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return false;
    *to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = v6.sin6_port };
    memcpy(&to->sin_addr, v6.sin6_addr.s6_addr + 12, 4);
    return true;
}

static struct sockaddr_in6 as_ipv6(const struct sockaddr_storage *from)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in v4;

    if (from->ss_family == AF_INET6) {
        memcpy(&v6, from, sizeof v6);
        return v6;
    }
    memcpy(&v4, from, sizeof v4);
    v6.sin6_port = v4.sin_port;
    memcpy(v6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    memcpy(v6.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
    return v6;
}

/* Returns the family. A balancer may report a visitor of the other family than the address visited: then both go out
 * as IPv6. */
unsigned char proxy_wire_add_addresses(struct buf *out, const struct sockaddr_storage *source,
                                       const struct sockaddr_storage *dest)
{
    struct sockaddr_in source4, dest4;
    struct sockaddr_in6 source6, dest6;

    if (as_ipv4(source, &source4) && as_ipv4(dest, &dest4)) {
        buf_add(out, &source4.sin_addr, 4);
        buf_add(out, &dest4.sin_addr, 4);
        buf_add(out, &source4.sin_port, 2);
        buf_add(out, &dest4.sin_port, 2);
        return PROXY_WIRE_TCP4;
    }
    source6 = as_ipv6(source);
    dest6 = as_ipv6(dest);
    buf_add(out, &source6.sin6_addr, 16);
    buf_add(out, &dest6.sin6_addr, 16);
    buf_add(out, &source6.sin6_port, 2);
    buf_add(out, &dest6.sin6_port, 2);
    return PROXY_WIRE_TCP6;
}

void proxy_wire_add_tlv(struct buf *out, unsigned char type, struct str value)
{
    unsigned char head[PROXY_WIRE_TLV_BYTES] = { type, (unsigned char)(value.n >> 8),
                                                 (unsigned char)value.n };

    buf_add(out, head, sizeof head);
    buf_add(out, value.p, value.n);
}
