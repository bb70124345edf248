/* relay/lanes/lanes_parts.h - what lanes.c, lanes_admit.c and lanes_status.c share. */
#ifndef RELAY_LANES_LANES_PARTS_H
#define RELAY_LANES_LANES_PARTS_H
#include "relay/lanes/boots.h"
#include "relay/lanes/budget.h"
#include "relay/lanes/claims.h"
#include "relay/lanes/enrol.h"
#include "relay/lanes/errands.h"
#include "relay/lanes/lane.h"
#include "relay/lanes/lanes.h"
#include "relay/lanes/memory.h"
#include "relay/lanes/ports.h"
#include "relay/lanes/presence.h"
#include "relay/lanes/publish.h"
#include "relay/lanes/roster.h"
#include "shared/door.h"
#include "shared/unix_socket.h"

struct lanes {
    struct loop *loop;
    const struct opt_conf *conf;
    const struct lanes_events *events;
    void *user;
    struct unix_listener socket;
    struct door *door; /* of the lane socket; NULL once closed */
    uv_timer_t tick;
    int64_t ticked_ms;
    int pending;
    struct enrol_host enrol_host;
    struct enrol *enrol;
    struct roster roster;
    struct claims *claims;
    struct ports *ports;
    struct claims_ports claims_ports;
    struct memory memory;
    bool unkept;     /* what is claimed has yet to be written there */
    int64_t kept_ms; /* when it was */
    struct presence presence;
    struct boots boots;
    struct budget budget;
    struct publish publish;
    struct lane_host host;
    struct errands_host errands_host;
    struct errands *errands; /* NULL once stopped */
    struct lanes_news {
        char *item, *state, *not_after, *why; /* state is NULL while nothing has been told */
    } * news;                                 /* what was told of certificates */
    size_t news_n;
    struct lane **list;
    const struct lane *enrolling; /* it gets its own answer */
    size_t n;
    uint64_t next_id;
    uid_t lane_uid;
    unsigned ticks;
    bool draining;
};

/* lanes_admit.c: who may join, and with what. The first three are for struct lane_host, user is the struct lanes. */
const char *lanes_refuses(void *user, const struct lane *lane);
const char *lanes_refuses_port(void *user, const struct lane *lane, int64_t port);
bool lanes_admits(void *user, struct lane *lane, const char *boot);
void lanes_end_predecessors(struct lanes *l, const struct lane *lane);
void lanes_refuse_guessers(struct lanes *l, const struct lane *proved);
bool lanes_boot_is_there(void *user, const char *agent, const char *boot); /* has a lane that is not dead */
size_t lanes_of_agent(void *user, const char *agent);                      /* those that are not dead */
bool lane_is_up(const struct lane_facts *facts);

/* lanes_words.c; lanes_hear is for struct lane_host. */
must_check int lanes_begin_words(struct lanes *l, struct err *e);
void lanes_free_words(struct lanes *l);
void lanes_hear(void *user, struct lane *lane, const struct lane_msg *m);
void lanes_tell_claimer(struct lanes *l, struct lane *lane); /* what was told of its sites before */

/* lanes_ports.c */
void lanes_init_ports(struct lanes *l);
bool lanes_try_ports(struct lanes *l); /* true: something may have changed */
void lanes_leave(struct lanes *l);     /* every lane; raw bytes are not cut off by it */
void lanes_add_port_lanes(const struct lanes *l, struct snapshot *s, const struct snap_lane *lane);

time_t lanes_away_since(const struct lanes *l, const struct claims_site *site); /* 0: somebody is there */
const char *lanes_site_state(const struct lanes *l, const struct claims_site *site);
bool lanes_agent_is_up(const struct lanes *l, const char *agent);
int64_t lanes_instances_of(const struct lanes *l, const char *agent); /* machines that its key admits */
#endif
