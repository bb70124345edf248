/* agent/dns/address_natpmp.h - the messages of NAT-PMP (RFC 6886) and PCP (RFC 6887), and where the router is. Pure. */
#ifndef AGENT_DNS_ADDRESS_NATPMP_H
#define AGENT_DNS_ADDRESS_NATPMP_H
#include "shared/err.h"
#include "shared/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NATPMP_PORT = 5351, NATPMP_QUESTION_BYTES = 2, PCP_BYTES = 60, PCP_NONCE_BYTES = 12 };

/* The next hop of the default route with the least metric, out of /proc/net/route. False when there is none. */
must_check bool route_gateway(struct str text, struct in_addr *out);

void natpmp_question(unsigned char out[NATPMP_QUESTION_BYTES]);
/* ERR_MISSING: it speaks PCP alone. ERR_PEER: it does not know, or says something else. */
must_check int natpmp_answer(const void *bytes, size_t n, struct in_addr *out, struct err *e);

struct pcp {
    struct in_addr own; /* that it is asked from */
    uint16_t
        port; /* of ours, by UDP: that of the socket which asks, so that nothing else can be reached by it */
    unsigned char nonce[PCP_NONCE_BYTES];
};
/* PCP tells the outer address only to whom maps a port. lifetime_s 0 takes that back. */
void pcp_question(const struct pcp *q, uint32_t lifetime_s, unsigned char out[PCP_BYTES]);
must_check int pcp_answer(const struct pcp *q, const void *bytes, size_t n, struct in_addr *out,
                          struct err *e);
#endif
