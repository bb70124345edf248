/* relay/certs/dns_said.h - what the public's DNS says of a name, as far as a certificate depends on it. Blocking: for job threads. */
#ifndef RELAY_CERTS_DNS_SAID_H
#define RELAY_CERTS_DNS_SAID_H
#include "shared/buf.h"
#include "shared/dns/lookup.h"

/* Adds its addresses, its CAA records, and where its challenge is delegated to, in an order of its own: equal answers are equal
 * texts. */
must_check int dns_said(const struct lookup *l, const char *name, struct buf *out, struct err *e);
#endif
