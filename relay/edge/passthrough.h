/* relay/edge/passthrough.h - a visitor of a site that ends TLS itself, as a raw connection. Pure, but for
 * the clock by which bans end. */
#ifndef RELAY_EDGE_PASSTHROUGH_H
#define RELAY_EDGE_PASSTHROUGH_H
#include "relay/edge/first.h"
#include "relay/edge/raw.h"
#include "shared/domain.h"

/* What a visit borrows: the name that he asked for, as he wrote it. */
struct passthrough_name {
    char text[DOMAIN_BYTES + 1];
};

/* Borrows site and name. server_name is the one by which the site was found. */
void passthrough_visit(struct raw_visit *visit, struct passthrough_name *name, const struct snap_site *site,
                       const struct origin *from, struct str server_name);
/* Whether he is let in, by bans and by what the site says; notes in the visit why not. Takes a token of its rate. */
void passthrough_guard(struct raw_visit *visit, const struct snapshot *snapshot, const struct snap_site *site,
                       struct limiter *rates, uint64_t now_ns);
#endif
