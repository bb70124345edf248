/* relay/edge/headers.h - the heads that leave us: what the service sees of a request, what the visitor sees of a
 * response. Pure. */
#ifndef RELAY_EDGE_HEADERS_H
#define RELAY_EDGE_HEADERS_H
#include "relay/edge/request_id.h"
#include "shared/buf.h"
#include "shared/cidr.h"
#include "shared/http/h1.h"
#include "shared/policy.h"

#include <sys/socket.h>
#include <time.h>

struct headers_visitor {
    struct sockaddr_storage peer; /* whose connection it is */
    struct sockaddr_storage addr; /* who asks: the peer, or whom a trusted one names */
    struct sockaddr_storage dest; /* the address that he has come to */
    const struct cidrs *trusted;  /* NULL: the peer's word counts for nothing; borrowed */
    uint16_t port;                /* the port asked at */
    bool secure;                  /* over TLS, to us */
    bool http2;                   /* he speaks that */
    bool https;                   /* the same, or a trusted peer says that he came to it by https:// */
    char request_id[REQUEST_ID_BYTES];
};

/* Given peer, port, secure and a request id: who asks, by the head of the request and the proxies that are trusted, which
 * are borrowed as long as the visitor lives. A trusted peer's X-Request-ID is taken, if it looks like one. */
void headers_know_visitor(struct headers_visitor *visitor, const struct h1_head *head,
                          const struct cidrs *trusted);

/* The request as the service gets it: hop-by-hop fields and everything that claims to know the visitor left out, the
 * truth put in; what a trusted peer says of him is kept, and ours added. The framing is ours: Content-Length or chunked as
 * the visitor's was. An upgrade that he asks for is asked for anew. */
void headers_add_request(struct buf *out, const struct h1_head *head, const struct headers_visitor *visitor);

/* What the site changes in its responses. */
struct headers_changes {
    const struct policy *policy; /* set_header and unset_header; NULL: nothing */
    int64_t hsts_s;              /* 0: visitors are not told to come with TLS alone */
    bool without_hsts; /* by nobody: who obeyed could not come back to a certificate that he does not trust */
    time_t now;        /* for a Date where the service sets none; 0: for what is no answer yet */
};

/* The response as the visitor gets it, with our framing; connection is the value of Connection, "" for none. The
 * protocols of a 101 and a 426 are added to it. */
void headers_add_response(struct buf *out, const struct h1_head *head, enum h1_framing framing,
                          const char *connection, const struct headers_changes *changes);

/* Strict-Transport-Security alone: for what answers in the site's place. */
void headers_add_hsts(struct buf *out, const struct headers_changes *changes);

/* "203.0.113.7" or "2001:db8::7"; v4-mapped addresses as IPv4. */
void headers_address_text(const struct sockaddr_storage *addr, char *out, size_t room);
#endif
