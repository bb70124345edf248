/* agent/dns/address.h - the house's own public address, for domains with mode = direct: [address].
 *
 * Alive on the loop from address_start until it calls `ended`, once, last. Each family stands for itself: an address, or none
 * and the reason. `changed` is called from the loop, never from inside another call, when a family has become another one. */
#ifndef AGENT_DNS_ADDRESS_H
#define AGENT_DNS_ADDRESS_H
#include "shared/loop.h"
#include "shared/opt.h"

#include <jansson.h>
#include <netinet/in.h>

/* [address] */
struct address_conf {
    struct opt_words sources;
};

struct address_family {
    char text[INET6_ADDRSTRLEN]; /* "": none */
    bool known;                  /* false: not found out; true with "": the house has none of this family */
    char why[200];               /* why there is none */
};
struct address_view {
    struct address_family v4, v6;
};

struct address;

/* Borrows conf until address_reload gives another one. */
struct address *address_start(struct loop *loop, const struct opt_conf *conf, void (*changed)(void *user),
                              void (*ended)(void *user), void *user);
void address_reload(struct address *a, const struct opt_conf *conf);
void address_stop(struct address *a);
/* What this relay's welcome says of where we come from; "" when the relay does not know, or is no longer there. */
void address_relay_says(struct address *a, const char *relay, const char *seen_from);
void address_look(struct address *a);                            /* the network has changed: find out anew */
const struct address_view *address_now(const struct address *a); /* valid until the loop's next round */
json_t *address_status(
    const struct address *a); /* public {v4, v6, sources[]} of /v1/status. A new reference. */
void address_check(struct opt_conf *conf, struct opt_errors *errors);
#endif
