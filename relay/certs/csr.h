/* relay/certs/csr.h - a certificate signing request: names alone, no subject. Pure. */
#ifndef RELAY_CERTS_CSR_H
#define RELAY_CERTS_CSR_H
#include "relay/certs/signer.h"
#include "shared/buf.h"
#include "shared/err.h"

#include <stddef.h>

/* Adds its DER. Names are host names, "*.NAME", or addresses. */
must_check int csr_make(const struct signer *key, const char *const *names, size_t n, struct buf *out,
                        struct err *e);
#endif
