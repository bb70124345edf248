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

/* What the last attempt to reach it showed. */
enum service_state {
    SERVICE_UNKNOWN,
    SERVICE_OK,
    SERVICE_REFUSED,     /* its machine answers that nothing listens there */
    SERVICE_UNREACHABLE, /* no such name, or no way to its machine */
    SERVICE_SILENT,      /* no answer at all */
};

/* Reads http://HOST or http://HOST:PORT; the host may be a name, an IPv4 address, or an IPv6 one in brackets. */
must_check int service_parse(struct service *s, const char *text, struct err *e);
const char *service_state_text(enum service_state state);
#endif
