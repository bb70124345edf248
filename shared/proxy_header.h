/* shared/proxy_header.h - the PROXY header, v1 or v2, with which a load balancer begins a connection: who really asks,
 * and where. Read from those in front of the relay, written for services that want one. Pure. */
#ifndef SHARED_PROXY_HEADER_H
#define SHARED_PROXY_HEADER_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    PROXY_HEADER_V1_BYTES = 107,  /* of a whole line, as the protocol's document has it */
    PROXY_HEADER_MAX_BYTES = 4096 /* of a whole v2 header: its TLVs may hold names and certificates */
};

struct proxy_header {
    bool
        local; /* LOCAL, UNKNOWN, UNSPEC: no visitor, or none that is told; the connection's own addresses count */
    struct sockaddr_storage source, dest; /* otherwise; IPv4 or IPv6, both alike */
};

/* Whether n bytes are the beginning of one, right or wrong as its rest may be. */
enum proxy_header_sign { PROXY_HEADER_NONE, PROXY_HEADER_MAYBE, PROXY_HEADER_SURE };
enum proxy_header_sign proxy_header_sign(const unsigned char *in, size_t n);

/* Length of the header once it is whole; 0 when it needs more; -1 when it is none, or a wrong one, as soon as that is
 * sure. What is behind it is the visitor's. TLVs are skipped, but a CRC32C among them has to be right. */
must_check ssize_t proxy_header_read(struct proxy_header *header, const unsigned char *in, size_t n,
                                     struct err *e);

/* v1: a line; LOCAL is UNKNOWN there. v2: binary, with the name that the visitor asked for, where there is one (n 0: none;
 * v1 cannot say it). v4-mapped addresses are written as IPv4. */
enum proxy_header_version { PROXY_HEADER_NO, PROXY_HEADER_V1, PROXY_HEADER_V2 };
void proxy_header_write(struct buf *out, enum proxy_header_version version, const struct proxy_header *header,
                        struct str authority);
#endif
