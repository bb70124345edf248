/* relay/edge/banned.h - which addresses are refused, as workers ask: a counted set that does not change.
 *
 * Looked up by halving, once for each length of prefix that there is, so that a thousand of them cost what ten do. */
#ifndef RELAY_EDGE_BANNED_H
#define RELAY_EDGE_BANNED_H
#include "shared/bans.h"

#include <sys/socket.h>
#include <time.h>

struct banned;

/* NULL for an empty list, which every function takes. */
struct banned *banned_new(const struct bans *bans);
struct banned *banned_hold(struct banned *b);
void banned_release(struct banned *b);
/* True when the address is in one of them that has not ended; that is counted there. */
bool banned_hit(const struct banned *b, const struct sockaddr_storage *addr, time_t now);
#endif
