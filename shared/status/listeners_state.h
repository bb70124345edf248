/* shared/status/listeners_state.h - where a relay serves visitors, and the ports that another program holds. Pure but for the
 * clock. */
#ifndef SHARED_STATUS_LISTENERS_STATE_H
#define SHARED_STATUS_LISTENERS_STATE_H
#include "shared/buf.h"

#include <jansson.h>
#include <stdbool.h>

bool listeners_state_of_one(const json_t *listener); /* is well */
/* All are. An agent's status, and that of an older relay, has none, which is well. */
bool listeners_state_is_well(const json_t *status);
/* Of one that is held, a line as problems_add adds them: since when, by whom, and what to do. */
void listeners_state_add_reason(struct buf *out, const json_t *listener);
#endif
