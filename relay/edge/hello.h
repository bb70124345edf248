/* relay/edge/hello.h - which host name a TLS ClientHello asks for, while it comes: in pieces of any size, over as many
 * records as the visitor likes. Pure.
 *
 * A value, embedded; zeroed at first. It judges no more than it has to: what is not understood is left to whoever ends
 * the visitor's TLS. */
#ifndef RELAY_EDGE_HELLO_H
#define RELAY_EDGE_HELLO_H
#include "shared/buf.h"
#include "shared/str.h"

#include <stdbool.h>

enum {
    HELLO_BYTES = 65536,          /* of the message, at most */
    HELLO_RECORDS_BYTES = 131072, /* with the headers of its records */
};

enum hello_state {
    HELLO_MORE,  /* it is not whole */
    HELLO_WHOLE, /* and this is the name that it asks for; "": none */
    HELLO_NONE,  /* this is no ClientHello, or too long a one */
};

struct hello {
    enum hello_state state;
    size_t seen; /* of the bytes so far */
    size_t left; /* of the record that they end in */
    struct buf message;
    struct str name; /* points into it */
};

/* bytes: all that have come since the connection began, those of earlier calls among them. */
enum hello_state hello_feed(struct hello *h, const char *bytes, size_t n);
void hello_free(struct hello *h);

/* All that has come is the ClientHello, whole. */
bool hello_is_all(const struct hello *h, size_t n);

/* The name in a server_name extension. False: it is malformed. */
bool hello_server_name(const unsigned char *ext, size_t n, struct str *name);
#endif
