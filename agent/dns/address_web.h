/* agent/dns/address_web.h - where the address stands in what a web service answers. Pure. */
#ifndef AGENT_DNS_ADDRESS_WEB_H
#define AGENT_DNS_ADDRESS_WEB_H
#include "shared/str.h"

/* The value of ip= where all lines are key=value, as Cloudflare's trace has it; else all of the body. Without blanks around
 * it. */
struct str address_of_body(struct str body);
#endif
