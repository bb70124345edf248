/* agent/dns/reconcile.h - the life of a DNS update: one name, from what should be to what is. Blocking, on a job thread. */
#ifndef AGENT_DNS_RECONCILE_H
#define AGENT_DNS_RECONCILE_H
#include "agent/dns/name.h"

/* Asks the provider, changes what differs, asks again, and notes in n what it has found: state, have, made, trouble. With a
 * plan (a JSON array) nothing is changed, and what would be is added to it. `owner`: this agent's name, for owner_txt.
 * Returns n->trouble. */
enum dns_class reconcile(struct dns_client *c, struct dns_name *n, const char *owner, json_t *plan);
#endif
