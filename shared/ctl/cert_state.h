/* shared/ctl/cert_state.h - what relays have told an agent of its sites' certificates, and their notices: for tunnelctl status. */
#ifndef SHARED_CTL_CERT_STATE_H
#define SHARED_CTL_CERT_STATE_H
#include <jansson.h>
#include <stdbool.h>

struct cert_cell {
    char text[64];
};

/* The worst of a domain's certs[], with what is left of it: "valid, 62d 3h left"; "-" when no relay has told of any. */
const char *cert_state_of(const json_t *domain, struct cert_cell *cell);
bool cert_state_is_well(const json_t *domain);       /* none is failing or expired */
void cert_state_print_notices(const json_t *status); /* a line for each */
#endif
