/* relay/edge/redirect.h - visitors who are to come another way: over TLS, or under the site's other name. Pure. */
#ifndef RELAY_EDGE_REDIRECT_H
#define RELAY_EDGE_REDIRECT_H
#include "relay/edge/snapshot.h"
#include "shared/buf.h"
#include "shared/http/h1.h"

/* How a request came. */
struct redirect_from {
    bool secure;
    uint16_t https_port; /* where we speak TLS */
};

/* True when the visitor is to come another way; then location is where, with path and query as they were. */
bool redirect_find(const struct snapshot *s, const struct snap_site *site, const struct h1_head *head,
                   const struct redirect_from *from, struct buf *location);
/* The whole answer: 308, which keeps the method. `fields` are further ones, each with its CRLF. */
void redirect_add(struct buf *out, const struct buf *location, const struct buf *fields, bool with_body,
                  bool close);
#endif
