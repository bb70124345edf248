/* agent/dns/address_command.h - the output of a program that prints addresses. Pure. */
#ifndef AGENT_DNS_ADDRESS_COMMAND_H
#define AGENT_DNS_ADDRESS_COMMAND_H
#include "agent/dns/address_source.h"

/* Words that are addresses, at most one of each family. */
void address_of_output(struct str text, struct address_said said[ADDRESS_FAMILIES]);
#endif
