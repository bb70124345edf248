/* agent/dns/address_netlink.h - which address of an interface is the one to publish, out of the kernel's list. Pure. */
#ifndef AGENT_DNS_ADDRESS_NETLINK_H
#define AGENT_DNS_ADDRESS_NETLINK_H
#include "agent/dns/address_source.h"

#include <stdint.h>

struct address_pick {
    unsigned index; /* of the interface */
    int family;     /* AF_INET or AF_INET6 */
    bool found;
    unsigned char bytes[16];
    uint32_t preferred_s, valid_s; /* what is left of its life; UINT32_MAX: for ever */
    bool secondary;
    char passed_over[ADDRESS_WHY_BYTES]; /* what was there instead: "fe80::1 is a link-local address" */
};

enum { ADDRESS_NETLINK_DONE = 1 };
/* A piece of the answer to RTM_GETADDR, of whole messages. 0: more follows; ADDRESS_NETLINK_DONE; -1: not well-formed, or
 * the kernel refuses. The one that lives longest is picked: by its preferred lifetime, then by its valid one. */
must_check int address_netlink_read(struct address_pick *pick, const void *bytes, size_t n, struct err *e);
#endif
