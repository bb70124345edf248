/* relay/certs/internal_ca.h - the built-in issuer: a root of its own, and short-lived leaves. */
#ifndef RELAY_CERTS_INTERNAL_CA_H
#define RELAY_CERTS_INTERNAL_CA_H
#include "relay/certs/signer.h"
#include "shared/buf.h"

#include <time.h>

enum { INTERNAL_LEAF_DAYS = 7, INTERNAL_ROOT_DAYS = 3650 };

struct internal_ca;

/* Opens folder/root.pem and folder/root.key, and makes folder and both when there is no root yet. */
struct internal_ca *internal_ca_open(const char *folder, time_t now, struct err *e);
void internal_ca_free(struct internal_ca *ca); /* NULL is fine */

/* A leaf for these names, whose key is `key`. NULL with the reason. */
X509 *internal_ca_issue(const struct internal_ca *ca, const struct signer *key, const char *const *names,
                        size_t n, time_t now, struct err *e);
X509 *internal_ca_root(const struct internal_ca *ca); /* borrowed */
void internal_ca_root_pem(const struct internal_ca *ca, struct buf *out);
#endif
