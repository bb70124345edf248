/* shared/dns/records.h - for providers that keep each value as a record with an id: from one set to another. */
#ifndef SHARED_DNS_RECORDS_H
#define SHARED_DNS_RECORDS_H
#include "shared/dns/client.h"

/* By create, change and remove of the provider. Values that stay keep their record; one that goes and one that comes are one
 * change, which keeps comments and flags; what remains is made first and removed last, so that the name is never without
 * an answer. */
enum dns_class dns_write_records(struct dns_client *c, const struct dns_zone *zone,
                                 const struct dns_rrset *have, const struct dns_rrset *want,
                                 struct dns_why *why);
#endif
