/* relay/lanes/lanes_parts.h - what lanes.c and lanes_status.c share. */
#ifndef RELAY_LANES_LANES_PARTS_H
#define RELAY_LANES_LANES_PARTS_H
#include "relay/lanes/boots.h"
#include "relay/lanes/claims.h"
#include "relay/lanes/enrol.h"
#include "relay/lanes/lane.h"
#include "relay/lanes/lanes.h"
#include "relay/lanes/memory.h"
#include "relay/lanes/presence.h"
#include "relay/lanes/publish.h"
#include "relay/lanes/roster.h"
#include "shared/unix_socket.h"

struct lanes {
    struct loop *loop;
    const struct opt_conf *conf;
    const struct lanes_events *events;
    void *user;
    struct unix_listener socket;
    uv_pipe_t listener;
    uv_timer_t tick;
    int64_t ticked_ms;
    int pending;
    struct enrol_host enrol_host;
    struct enrol *enrol;
    struct roster roster;
    struct claims *claims;
    struct memory memory;
    struct presence presence;
    struct boots boots;
    struct publish publish;
    struct lane_host host;
    struct lane **list;
    const struct lane *enrolling; /* it gets its own answer */
    size_t n;
    uint64_t next_id;
    uid_t lane_uid;
    unsigned ticks;
    bool draining;
};

bool lanes_agent_is_up(const struct lanes *l, const char *agent);
#endif
