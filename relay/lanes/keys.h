/* relay/lanes/keys.h - STATE_DIR/authorized_keys: which key logs in as which agent, and what it may do then. */
#ifndef RELAY_LANES_KEYS_H
#define RELAY_LANES_KEYS_H
#include "relay/lanes/roster.h"
#include "shared/buf.h"

/* Adds one line for each agent, and for each invitation that is not over; invites may be NULL. */
void keys_lines(struct buf *out, const struct opt_conf *conf, const struct roster *roster,
                const struct invites *invites, time_t now);
/* Writes the file, unless it says the same already. */
must_check int keys_write(const struct opt_conf *conf, const struct roster *roster,
                          const struct invites *invites, time_t now, struct err *e);
#endif
