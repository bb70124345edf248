/* relay/certs/placeholders.h - what a site shows before it has its first certificate: a throwaway one that it has signed
 * itself, so that nobody trusts it by accident. Never from the internal root; keys and certificates are in memory alone.
 *
 * An object of the control plane. */
#ifndef RELAY_CERTS_PLACEHOLDERS_H
#define RELAY_CERTS_PLACEHOLDERS_H
#include "shared/err.h"

#include <openssl/ssl.h>
#include <time.h>

struct placeholders;

struct placeholders *placeholders_new(void);
void placeholders_free(struct placeholders *p); /* NULL is fine */

/* The TLS context of the site names[0] with the aliases that follow; equal calls share one. The reference is the caller's.
 * NULL with the reason. */
SSL_CTX *placeholders_context(struct placeholders *p, const char *const *names, size_t n, time_t now,
                              struct err *e);
/* Forgets the sites that were not asked for since the last call. */
void placeholders_forget_unused(struct placeholders *p);
#endif
