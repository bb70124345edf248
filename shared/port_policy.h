/* shared/port_policy.h - a port that an agent asks its relay to open: where, and for whom. Pure.
 *
 * It is the policy of a claim's item tcp:NAME, as a JSON object: {"listen": ":2222", "allow": [...], "deny": [...]}. */
#ifndef SHARED_PORT_POLICY_H
#define SHARED_PORT_POLICY_H
#include "shared/arena.h"
#include "shared/cidr.h"
#include "shared/err.h"
#include "shared/opt.h"

#include <jansson.h>

struct port_policy {
    struct opt_address listen;
    struct cidrs allow, deny; /* allow: nobody else, when there is any; deny comes first */
};

json_t *port_policy_write(const struct port_policy *p); /* a new reference */
/* The lists are in the arena. Members of later versions are ignored. */
must_check int port_policy_read(struct port_policy *p, const json_t *object, struct arena *arena,
                                struct err *e);
unsigned port_policy_port(const struct opt_address *address);
/* Both cannot be listened on: the port is the same, and so is the address, or one of them is all addresses. */
bool port_policy_collide(const struct opt_address *a, const struct opt_address *b);
#endif
