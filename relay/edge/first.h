/* relay/edge/first.h - the first bytes of a connection: whose it is, and what it speaks.
 *
 *   PROXY header, from load balancers -> "SSH-" or TLS -> for which name, where that has to be known -> known */
#ifndef RELAY_EDGE_FIRST_H
#define RELAY_EDGE_FIRST_H
#include "relay/edge/hello.h"
#include "shared/buf.h"
#include "shared/cidr.h"

#include <stdbool.h>
#include <stdint.h>

/* How connections to a listener begin. */
struct entrance {
    bool secure;  /* with TLS */
    bool proxied; /* before that with a PROXY header, if the peer is trusted; anybody else's must not */
};

/* Whose connection it is, and where it was made to: as its socket has it, or as a trusted peer tells. */
struct origin {
    struct sockaddr_storage peer;
    uint16_t port;
    bool told;
    struct sockaddr_storage dest; /* the address itself */
};

void origin_of_socket(struct origin *origin, int fd);

struct first {
    struct entrance entrance;
    bool ssh;       /* which is served too, where TLS is */
    bool asks_name; /* it is TLS only once its ClientHello has been looked at */
    struct hello hello;
    struct buf bytes; /* that have come; when it is known what they are, without the PROXY header */
};

enum first_kind { FIRST_MORE, FIRST_HTTP, FIRST_TLS, FIRST_SSH, FIRST_REFUSED };
void first_free(struct first *f);
/* What it is of which not a byte has come yet: FIRST_MORE when bytes have to tell. */
enum first_kind first_begin(const struct first *f);
/* Adds bytes, which may change the origin. REFUSED, with the reason where somebody has to know it. Pure. */
enum first_kind first_feed(struct first *f, struct origin *origin, const struct cidrs *trusted,
                           const char *bytes, size_t n, struct err *why);
#endif
