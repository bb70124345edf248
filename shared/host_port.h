/* shared/host_port.h - where something listens, as people write it: HOST:PORT. Pure. */
#ifndef SHARED_HOST_PORT_H
#define SHARED_HOST_PORT_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdint.h>

enum { HOST_BYTES = 254 };

struct host_port {
    char host[HOST_BYTES]; /* a name or an address, without the brackets of an IPv6 one */
    uint16_t port;
};

/* Reads HOST:PORT; the host is a name, an IPv4 address, or an IPv6 one in brackets. Without :PORT it is default_port,
 * and an error when that is 0. `shape` is what to say of a text that is nothing of this kind. */
must_check int host_port_read(struct host_port *out, struct str text, uint16_t default_port,
                              const char *shape, struct err *e);
#endif
