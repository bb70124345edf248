/* agent/dns/address.h - the house's own public address, for domains with mode = direct: [address].
 *
 * Alive on the loop from address_start until it calls `ended`, once, last. Each family stands for itself: an address, or none
 * and the reason. `changed` is called from the loop, never from inside another call, when a family has become another one.
 *
 * Nobody is asked for anything while no site has mode = direct, unless `sources` is given. */
#ifndef AGENT_DNS_ADDRESS_H
#define AGENT_DNS_ADDRESS_H
#include "agent/dns/address_source.h"
#include "shared/loop.h"
#include "shared/opt.h"

#include <jansson.h>

/* [address] */
struct address_conf {
    struct opt_words sources;
    int64_t quorum; /* -1: ADDRESS_QUORUM, or as many as there are */
    int64_t interval_ms;
};
enum { ADDRESS_QUORUM = 2 };

struct address_family {
    char text[ADDRESS_BYTES];    /* "": none */
    bool known;                  /* false: not found out; true with "": the house has none of this family */
    char why[ADDRESS_WHY_BYTES]; /* why there is none */
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
/* public {v4, v6, sources[]} of /v1/status. A new reference. */
json_t *address_status(const struct address *a);
void address_check(struct opt_conf *conf, struct opt_errors *errors);
#endif
