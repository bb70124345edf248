/* agent/carry/service.h - where a site's visitors are sent: a service in the house.
 *
 * Pure. A service is a plain value; copies of it outlive the configuration it came from. */
#ifndef AGENT_CARRY_SERVICE_H
#define AGENT_CARRY_SERVICE_H
#include "shared/err.h"
#include "shared/host_port.h"

#include <stdint.h>

enum service_kind { SERVICE_HTTP, SERVICE_UNIX, SERVICE_TCP };

struct service {
    enum service_kind kind;
    struct host_port at; /* SERVICE_UNIX: the host is the socket's path, as dial_start takes it */
};

/* Reads http://HOST, http://HOST:PORT, unix:/PATH (HTTP, over a Unix socket) or tcp://HOST:PORT (any bytes); the host
 * may be a name, an IPv4 address, or an IPv6 one in brackets. */
must_check int service_parse(struct service *s, const char *text, struct err *e);
#endif
