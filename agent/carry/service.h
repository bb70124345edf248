/* agent/carry/service.h - where a site's visitors are sent: a service in the house.
 *
 * Pure. A service is a plain value; copies of it outlive the configuration it came from. */
#ifndef AGENT_CARRY_SERVICE_H
#define AGENT_CARRY_SERVICE_H
#include "shared/err.h"
#include "shared/host_port.h"
#include "shared/proxy_header.h"
#include "shared/str.h"

#include <stdbool.h>
#include <stdint.h>

enum service_kind { SERVICE_HTTP, SERVICE_HTTPS, SERVICE_UNIX, SERVICE_TCP, SERVICE_H2C };

struct service {
    enum service_kind kind;
    bool
        verify; /* SERVICE_HTTPS: its certificate has to be one for this host, by an authority that is trusted here */
    enum proxy_header_version
        proxy;  /* with which header it wants a connection to begin; NO unless somebody says so */
    bool http2; /* SERVICE_HTTPS, of one connection to it: that is asked for by ALPN, and insisted on */
    struct host_port at; /* SERVICE_UNIX: the host is the socket's path, as dial_start takes it */
};

/* Reads http://HOST or http://HOST:PORT, the same with https:// and h2c:// (HTTP/2 without TLS), unix:/PATH (HTTP, over a Unix socket) or
 * tcp://HOST:PORT (any bytes); the host may be a name, an IPv4 address, or an IPv6 one in brackets. It is to be verified
 * unless somebody says otherwise. */
must_check int service_parse(struct service *s, const char *text, struct err *e);
/* Whether it can end the TLS of visitors, whose bytes it is given as they are. */
bool service_ends_tls(const struct service *s);
/* Relay and agent may be told different things of a site. NULL: it fits what comes for this item, which is TLS passed
 * through, or something else. Otherwise what to do about it. */
const char *service_why_unfit(const struct service *s, struct str item, bool passed);
/* How it is dialled: what is passed through is TLS already, and none is put around it. */
struct service service_for(const struct service *s, bool passed);
/* Why a relay cannot speak to it as it is about to: by HTTP/2, or not. NULL: it can. */
const char *service_mismatch(const struct service *s, bool http2);
#endif
