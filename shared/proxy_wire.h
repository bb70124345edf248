/* shared/proxy_wire.h - what every PROXY v2 header is made of: signature, addresses, TLVs. Pure.
 *
 * Ours between relay and agent (shared/proxy2.h) and those of load balancers (shared/proxy_header.h) are read with it. */
#ifndef SHARED_PROXY_WIRE_H
#define SHARED_PROXY_WIRE_H
#include "shared/buf.h"
#include "shared/str.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* What the protocol's own document fixes: 12 bytes of signature, version and command, family, length. */
#define PROXY_WIRE_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
enum { PROXY_WIRE_SIGNATURE_BYTES = 12, PROXY_WIRE_HEAD_BYTES = 16 };
enum { PROXY_WIRE_LOCAL = 0x20, PROXY_WIRE_PROXY = 0x21 };
enum { PROXY_WIRE_UNSPEC = 0x00, PROXY_WIRE_TCP4 = 0x11, PROXY_WIRE_TCP6 = 0x21 };
enum { PROXY_WIRE_TLV_BYTES = 3, PROXY_WIRE_AUTHORITY = 0x02 }; /* type and length, in front of each value */

/* How many bytes follow the head; of its 16 bytes, which are there. */
size_t proxy_wire_length(const unsigned char *head);
/* Reads two addresses and two ports. Returns how many of the n bytes they are (none for UNSPEC); -1 when they are
 * fewer, or the family is another one. */
ssize_t proxy_wire_addresses(unsigned char family, const unsigned char *in, size_t n,
                             struct sockaddr_storage *source, struct sockaddr_storage *dest);
/* Cuts the next TLV off *rest. 1; 0 when none is left; -1 when the last one is cut short. */
int proxy_wire_next_tlv(struct str *rest, unsigned char *type, struct str *value);

/* Adds both and returns the family: IPv4 where both are (v4-mapped ones are), otherwise IPv6. */
unsigned char proxy_wire_add_addresses(struct buf *out, const struct sockaddr_storage *source,
                                       const struct sockaddr_storage *dest);
void proxy_wire_add_tlv(struct buf *out, unsigned char type, struct str value); /* of at most 65535 bytes */
#endif
