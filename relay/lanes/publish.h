/* relay/lanes/publish.h - the addresses of this machine that agents put into DNS.
 *
 * A value, which points into itself: it stays where it is. */
#ifndef RELAY_LANES_PUBLISH_H
#define RELAY_LANES_PUBLISH_H
#include "shared/lane_types.h"
#include "shared/opt.h"

#include <netinet/in.h>

struct publish {
    size_t n;
    const char *list[LANE_PUBLISH];
    char texts[LANE_PUBLISH][INET6_ADDRSTRLEN];
};

/* As configured; or, for `auto`, the public ones of the interfaces that are up, IPv4 first. May be none. */
void publish_find(struct publish *p, const struct opt_words *configured);
/* -1 unless it is `auto`, or addresses. */
must_check int publish_check(const struct opt_words *configured, struct err *e);
#endif
