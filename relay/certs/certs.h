/* relay/certs/certs.h - which certificate each site shows. All are from the internal issuer, whose root lies in
 * STATE_DIR/internal; leaves and their keys live in memory, made anew at each start and at half their life. */
#ifndef RELAY_CERTS_CERTS_H
#define RELAY_CERTS_CERTS_H
#include "shared/buf.h"
#include "shared/err.h"

#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <time.h>

struct certs;

struct certs *certs_open(const char *state_dir, time_t now,
                         struct err *e); /* makes the root when there is none */
void certs_free(struct certs *c);        /* NULL is fine */

/* The TLS context of the site names[0] with the aliases that follow; equal calls share one until half its life is
 * over. When none can be made, an older one of the site is good until it expires. The reference is the caller's. NULL
 * with the reason. */
SSL_CTX *certs_context(struct certs *c, const char *const *names, size_t n, time_t now, struct err *e);
time_t certs_next_renewal(const struct certs *c); /* when the first of them is due; 0: never */
/* Forgets the sites that were not asked for since the last call. */
void certs_forget_unused(struct certs *c);

void certs_root_pem(const struct certs *c, struct buf *out);
time_t certs_root_ends(
    const struct certs *c); /* when no certificate of the root's is worth anything any more */
bool certs_has(const struct certs *c, const char *site); /* one whose first name this is */
/* cert {} of a domain in /v1/status. A new reference. */
json_t *certs_status(const struct certs *c, const char *site);
#endif
