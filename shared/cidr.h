/* shared/cidr.h - networks such as 192.0.2.0/24 and 2001:db8::/32, and which addresses are in them. Pure.
 *
 * An IPv4 address is the same one whether it is written as it is or mapped into IPv6 (::ffff:192.0.2.7), as sockets of
 * both families report it. IPv6 networks hold no IPv4 address: not even ::/0 does. */
#ifndef SHARED_CIDR_H
#define SHARED_CIDR_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct cidr {
    unsigned char address[16]; /* IPv4 mapped; what is behind `bits` is zero */
    uint8_t bits;              /* of the 128: from 96 on for IPv4 */
};

struct cidrs {
    size_t n;
    const struct cidr *list;
};

/* ADDRESS or ADDRESS/BITS. The error says what would be right, without the text itself. */
must_check int cidr_read(struct str text, struct cidr *out, struct err *e);
void cidr_print(struct buf *out, const struct cidr *cidr); /* canonical, and without /BITS for one address */
bool cidr_same(const struct cidr *a, const struct cidr *b);
/* False for what is neither IPv4 nor IPv6. */
bool cidrs_have(const struct cidrs *cidrs, const struct sockaddr_storage *addr);

/* One address alone: IPv4, or IPv6 without brackets and zone. A mapped one becomes IPv4; the port is 0. */
bool cidr_address(struct str text, struct sockaddr_storage *out);
#endif
