/* shared/dns/list.h - the table of providers: one line each, what [provider NAME] type = says, and whose row that is. */
#ifndef SHARED_DNS_LIST_H
#define SHARED_DNS_LIST_H
#include "shared/dns/provider.h"

#define DNS_PROVIDERS(ROW)            \
    ROW(all_inkl, "all-inkl")         \
    ROW(cloudflare, "cloudflare")     \
    ROW(command, "command")           \
    ROW(desec, "desec")               \
    ROW(digitalocean, "digitalocean") \
    ROW(dnsomatic, "dnsomatic")       \
    ROW(duckdns, "duckdns")           \
    ROW(dyn, "dyn")                   \
    ROW(dyndns2, "dyndns2")           \
    ROW(dynhost, "dynhost")           \
    ROW(dynv6, "dynv6")               \
    ROW(freedns, "freedns")           \
    ROW(gandi, "gandi")               \
    ROW(he, "he")                     \
    ROW(hetzner, "hetzner")           \
    ROW(infomaniak, "infomaniak")     \
    ROW(inwx, "inwx")                 \
    ROW(loopia, "loopia")             \
    ROW(namecheap, "namecheap")       \
    ROW(noip, "noip")                 \
    ROW(ovh, "ovh")                   \
    ROW(porkbun, "porkbun")           \
    ROW(powerdns, "powerdns")         \
    ROW(rfc2136, "rfc2136")           \
    ROW(route53, "route53")           \
    ROW(selfhost, "selfhost")         \
    ROW(strato, "strato")             \
    ROW(url, "url")

#define DNS_DECLARE(name, word) extern const struct dns_provider dns_##name;
DNS_PROVIDERS(DNS_DECLARE)
#undef DNS_DECLARE
#endif
