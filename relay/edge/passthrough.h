/* relay/edge/passthrough.h - a visitor of a site that ends TLS itself, as a raw connection. Pure. */
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
#endif
