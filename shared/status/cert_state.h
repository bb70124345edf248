/* shared/status/cert_state.h - what relays have told an agent of its sites' certificates, and their notices. */
#ifndef SHARED_STATUS_CERT_STATE_H
#define SHARED_STATUS_CERT_STATE_H
#include "shared/buf.h"

#include <jansson.h>
#include <stdbool.h>

enum { CERT_STATE_BEST = 6 };

/* Of one certificate: how good its state is, from 0 to CERT_STATE_BEST. */
size_t cert_state_rank(const json_t *cert);
bool cert_state_is_wrong(const json_t *cert); /* failing or expired */
/* False: visitors of this name are shown a certificate for other names. True where it is not known. */
bool cert_state_covers(const json_t *cert, const char *name);

struct cert_cell {
    char text[64];
};

/* The worst of a domain's certs[], with what is left of it: "valid, 62d 3h left"; "-" when no relay has told of any. */
const char *cert_state_of(const json_t *domain, struct cert_cell *cell);
bool cert_state_is_well(const json_t *domain);                      /* none is failing or expired */
void cert_state_add_notices(struct buf *out, const json_t *status); /* lines as problems_add adds them */
#endif
