/* agent/dns/host_id.h - the last 64 bits of an IPv6 address, which stay while the prefix changes. Pure. */
#ifndef AGENT_DNS_HOST_ID_H
#define AGENT_DNS_HOST_ID_H
#include "agent/dns/address_source.h"

/* As it is written in host_id: ::1234, of which the first 64 bits are zero, and not the others. */
bool host_id_is(const char *text);
/* The prefix of an IPv6 address, with a host_id behind it. */
void host_id_join(const char *address, const char *host_id, char out[ADDRESS_BYTES]);
#endif
