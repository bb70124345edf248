/* agent/link/lane.h - the duty of a session with a relay: the conversation, and the streams that the relay opens. */
#ifndef AGENT_LINK_LANE_H
#define AGENT_LINK_LANE_H
#include "agent/link/duty.h"

/* Borrows what conf holds, and relay, boot and sites of its session. */
struct duty *lane_new(const struct duty_conf *conf);
#endif
