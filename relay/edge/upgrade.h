/* relay/edge/upgrade.h - which other protocol a request asks for, and what a service says to it (RFC 9110 7.8). Pure.
 *
 * HTTP in another form is never among them, h2c above all: who spoke it to the service through us could ask it for
 * anything, as anybody. */
#ifndef RELAY_EDGE_UPGRADE_H
#define RELAY_EDGE_UPGRADE_H
#include "shared/buf.h"
#include "shared/http/h1.h"

/* Adds the protocols that the service is asked for, "websocket" or "a/1, b". Nothing when the request does not ask, or
 * has a body of unknown length: the first bytes of the new protocol stand behind it, and nobody may differ about where.
 * One of known length is what Docker sends. */
void upgrade_add_offer(struct buf *out, const struct h1_head *request);
/* True for a 101 to protocols of this offer. */
bool upgrade_is_granted(const struct h1_head *response, struct str offer);
/* Adds the protocols of a 101 (Switching Protocols) or a 426 (Upgrade Required); nothing for any other response. */
void upgrade_add_answer(struct buf *out, const struct h1_head *response);
#endif
