/* shared/dns/resolve.h - the addresses of a server's name, as this machine's resolver says them. Blocking, but never for long.
 *
 * The C library's own call can neither be ended nor bounded: it runs on a thread of its own, which is left to itself when the
 * job is cancelled or the time is over. */
#ifndef SHARED_DNS_RESOLVE_H
#define SHARED_DNS_RESOLVE_H
#include "shared/err.h"
#include "shared/job.h"

#include <netdb.h>
#include <stdint.h>

/* *list is for freeaddrinfo. ERR_PEER there is none; ERR_TIMEOUT nobody has said within patience_ms; ERR_STOPPED the job was
 * cancelled. job may be NULL. */
must_check int resolve(const char *host, uint16_t port, struct job *job, int64_t patience_ms,
                       struct addrinfo **list, struct err *e);
#endif
