/* agent/dns/address_dns.h - the answer of a name server that tells who asks. Pure. */
#ifndef AGENT_DNS_ADDRESS_DNS_H
#define AGENT_DNS_ADDRESS_DNS_H
#include "agent/dns/address_source.h"
#include "shared/dns/message.h"

/* The one record of this type and class in a DNS message: an address, or a text that is one. */
void address_of_answer(const void *bytes, size_t n, enum msg_type type, enum msg_class class, int family,
                       struct address_said *said);
#endif
