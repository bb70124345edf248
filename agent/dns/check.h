/* agent/dns/check.h - what a site's section says of DNS, checked against its provider. */
#ifndef AGENT_DNS_CHECK_H
#define AGENT_DNS_CHECK_H
#include "agent/options.h"
#include "shared/dns/conf.h"

#define DNS_MANUAL "manual"

void dns_check_provider(struct opt_conf *conf, const char *name, const struct dns_conf *p,
                        struct opt_errors *errors);
void dns_check_site(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                    struct opt_errors *errors);
#endif
