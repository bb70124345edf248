/* shared/ctl/listeners_state.h - where a relay serves visitors, and the ports that another program holds: for tunnelctl
 * status. */
#ifndef SHARED_CTL_LISTENERS_STATE_H
#define SHARED_CTL_LISTENERS_STATE_H
#include "shared/buf.h"

#include <jansson.h>
#include <stdbool.h>

/* An agent's status, and that of an older relay, has none, which is well. */
bool listeners_state_is_well(const json_t *status);
/* Adds a line for each that is held: since when, by whom, and what to do. */
void listeners_state_add_reasons(struct buf *out, const json_t *status);
#endif
