/* shared/dns/ovh.h - how requests to OVHcloud are signed. Pure, but for OpenSSL's SHA-1. */
#ifndef SHARED_DNS_OVH_H
#define SHARED_DNS_OVH_H
#include "shared/secret.h"

#include <stddef.h>
#include <stdint.h>

enum { OVH_SIGNATURE_BYTES = 3 + 40 + 1 };

/* "$1$…": over the URL and the body exactly as they are sent, and the server's time. */
void ovh_signature(const struct secret *application_secret, const struct secret *consumer_key,
                   const char *method, const char *url, const void *body, size_t body_n, int64_t at_s,
                   char out[OVH_SIGNATURE_BYTES]);
#endif
