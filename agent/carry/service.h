/* agent/carry/service.h - where a site's visitors are sent: a service in the house.
 *
 * Pure. A service is a plain value; copies of it outlive the configuration it came from. */
#ifndef AGENT_CARRY_SERVICE_H
#define AGENT_CARRY_SERVICE_H
#include "shared/err.h"
#include "shared/host_port.h"
#include "shared/proxy_header.h"

#include <stdbool.h>
#include <stdint.h>

enum service_kind { SERVICE_HTTP, SERVICE_HTTPS, SERVICE_UNIX, SERVICE_TCP };

struct service {
    enum service_kind kind;
    bool
        verify; /* SERVICE_HTTPS: its certificate has to be one for this host, by an authority that is trusted here */
    enum proxy_header_version
        proxy;           /* with which header it wants a connection to begin; NO unless somebody says so */
    struct host_port at; /* SERVICE_UNIX: the host is the socket's path, as dial_start takes it */
};

/* Reads http://HOST or http://HOST:PORT, the same with https://, unix:/PATH (HTTP, over a Unix socket) or
 * tcp://HOST:PORT (any bytes); the host may be a name, an IPv4 address, or an IPv6 one in brackets. It is to be verified
 * unless somebody says otherwise. */
must_check int service_parse(struct service *s, const char *text, struct err *e);
#endif
