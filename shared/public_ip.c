#include "shared/public_ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct network {
    unsigned char address[16];
    unsigned bits;
    const char *is;
};

static const struct network v4[] = {
    { { 0 }, 8, "no address of a machine (0.0.0.0/8)" },
    { { 10 }, 8, "a private address (RFC 1918)" },
    { { 100, 64 }, 10, "shared by many customers of a provider (CGNAT, 100.64.0.0/10)" },
    { { 127 }, 8, "a loopback address" },
    { { 169, 254 }, 16, "a link-local address" },
    { { 172, 16 }, 12, "a private address (RFC 1918)" },
    { { 192, 0, 0 }, 24, "an address for protocols (192.0.0.0/24)" },
    { { 192, 0, 2 }, 24, "an address for documentation" },
    { { 192, 168 }, 16, "a private address (RFC 1918)" },
    { { 198, 18 }, 15, "an address for measurements (198.18.0.0/15)" },
    { { 198, 51, 100 }, 24, "an address for documentation" },
    { { 203, 0, 113 }, 24, "an address for documentation" },
    { { 224 }, 4, "a multicast address" },
    { { 240 }, 4, "a reserved address (240.0.0.0/4)" },
};

/* 2000::/3 is all that has been given out; in it are books and tunnels. */
static const struct network v6[] = {
    { { 0 }, 127, "a loopback address, or none" },
    { { 0xfc }, 7, "a local address (ULA, fc00::/7)" },
    { { 0xfe, 0x80 }, 10, "a link-local address" },
    { { 0xff }, 8, "a multicast address" },
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32, "an address for documentation" },
    { { 0x3f, 0xff }, 20, "an address for documentation" },
    { { 0x20, 0x01 }, 32, "an address of a tunnel (Teredo)" },
    { { 0x20, 0x02 }, 16, "an address of a tunnel (6to4)" },
};

static bool is_in(const unsigned char *address, const struct network *n)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;

    return memcmp(address, n->address, whole) == 0 &&
           (rest == 0 || (address[whole] ^ n->address[whole]) >> (8 - rest) == 0);
}

static const char *wrong4(const unsigned char *address)
{
    for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++)
        if (is_in(address, &v4[i]))
            return v4[i].is;
    return NULL;
}

const char *public_ip_wrong(const struct sockaddr *address)
{
    static const struct network given_out = { { 0x20 }, 3, NULL };
    const unsigned char *bytes;

    if (address->sa_family == AF_INET)
        return wrong4(
            (const unsigned char *)&((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr);
    if (address->sa_family != AF_INET6)
        return "neither IPv4 nor IPv6";
    bytes = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
    for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++)
        if (is_in(bytes, &v6[i]))
            return v6[i].is;
    return is_in(bytes, &given_out) ? NULL : "of a kind that has not been given out (outside of 2000::/3)";
}
