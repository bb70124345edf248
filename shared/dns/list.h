/* shared/dns/list.h - the table of providers: one line each, what [provider NAME] type = says, and whose row that is. */
#ifndef SHARED_DNS_LIST_H
#define SHARED_DNS_LIST_H
#include "shared/dns/provider.h"

#define DNS_PROVIDERS(ROW)            \
    ROW(cloudflare, "cloudflare")     \
    ROW(desec, "desec")               \
    ROW(digitalocean, "digitalocean") \
    ROW(dyn, "dyn")                   \
    ROW(dyndns2, "dyndns2")           \
    ROW(gandi, "gandi")               \
    ROW(hetzner, "hetzner")           \
    ROW(noip, "noip")                 \
    ROW(ovh, "ovh")                   \
    ROW(porkbun, "porkbun")           \
    ROW(powerdns, "powerdns")         \
    ROW(rfc2136, "rfc2136")           \
    ROW(route53, "route53")

#define DNS_DECLARE(name, word) extern const struct dns_provider dns_##name;
DNS_PROVIDERS(DNS_DECLARE)
#undef DNS_DECLARE
#endif
