/* agent/carry/service.h - where a site's visitors are sent: a service in the house.
 *
 * Pure. A service is a plain value; copies of it outlive the configuration it came from. */
#ifndef AGENT_CARRY_SERVICE_H
#define AGENT_CARRY_SERVICE_H
#include "shared/err.h"

#include <stdint.h>

struct service {
    char host[254]; /* a name or an address, without the brackets of an IPv6 one */
    uint16_t port;
};

/* Reads http://HOST or http://HOST:PORT; the host may be a name, an IPv4 address, or an IPv6 one in brackets. */
must_check int service_parse(struct service *s, const char *text, struct err *e);
#endif
