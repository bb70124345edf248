/* relay/lanes/publish.h - the addresses of this machine that agents put into DNS.
 *
 * A value, which points into itself: it stays where it is. */
#ifndef RELAY_LANES_PUBLISH_H
#define RELAY_LANES_PUBLISH_H
#include "shared/lane_types.h"
#include "shared/opt.h"

#include <netinet/in.h>
#include <stdbool.h>

struct publish {
    bool found; /* by looking, not as configured */
    size_t n;
    const char *list[LANE_PUBLISH];
    char texts[LANE_PUBLISH][INET6_ADDRSTRLEN];
};

/* As configured; or, for `auto`, the public ones of the interfaces that are up, IPv4 first. May be none. */
void publish_find(struct publish *p, const struct opt_words *configured);
/* The same; returns whether it has become another list. */
bool publish_follow(struct publish *p, const struct opt_words *configured);
/* For one agent, which came by the address `reached`: a machine behind its provider's NAT finds no public IPv4 address of
 * its own, so this is it. Else, and where p is as configured, just p. */
void publish_for(struct publish *out, const struct publish *p, const char *reached);
/* -1 unless it is `auto`, or addresses. */
must_check int publish_check(const struct opt_words *configured, struct err *e);
#endif
