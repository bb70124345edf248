#include "shared/dns/list.h"

#define DNS_POINTER(name, word) &dns_##name,
const struct dns_provider *const dns_providers[] = { DNS_PROVIDERS(DNS_POINTER) NULL };

#define DNS_WORD(name, word) word,
const char *const dns_types[] = { DNS_PROVIDERS(DNS_WORD) NULL };
