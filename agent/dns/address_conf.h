/* agent/dns/address_conf.h - what [address] means beside the rest of the configuration. */
#ifndef AGENT_DNS_ADDRESS_CONF_H
#define AGENT_DNS_ADDRESS_CONF_H
#include "agent/dns/address.h"

struct address_plan {
    size_t quorum;
    bool needed;                         /* somebody may be asked */
    bool relays;                         /* relay is among the sources */
    bool dns_suffices;                   /* dns is the only one */
    const char *fixed[ADDRESS_FAMILIES]; /* as written; NULL: none. Points into the configuration */
};

void address_plan_make(struct address_plan *plan, const struct opt_conf *conf);
#endif
