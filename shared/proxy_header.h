/* shared/proxy_header.h - the PROXY header, v1 or v2, with which a load balancer begins a connection: who really asks,
 * and where. Pure. */
#ifndef SHARED_PROXY_HEADER_H
#define SHARED_PROXY_HEADER_H
#include "shared/err.h"

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
#endif
