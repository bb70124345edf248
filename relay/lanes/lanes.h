/* relay/lanes/lanes.h - who is connected, and which names they serve.
 *
 * Alive on the loop: listens on the lane socket, where tunnel-lane joins each SSH session to us, and keeps
 * STATE_DIR/authorized_keys and, by enrol.c, STATE_DIR/agents.json. Tells its user whenever what the edge must know has changed. */
#ifndef RELAY_LANES_LANES_H
#define RELAY_LANES_LANES_H
#include "relay/edge/snapshot.h"
#include "relay/edge/snapshot_ports.h"
#include "relay/lanes/enrol.h"
#include "relay/lanes/errands.h"
#include "relay/lanes/publish.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"

#include <jansson.h>

struct lanes_events {
    void (*changed)(void *user); /* lanes or claims: publish a new snapshot */
    void (*stream_ended)(void *user, uint64_t lane, uint64_t stream, enum lane_how how);
    void (*stream_consumed)(void *user, uint64_t lane, uint64_t stream, uint64_t total);
    void (*real_address)(void *user, const char *address, unsigned port, char *real, size_t room);
    /* An agent passes on what another relay has asked it to: to be answered with challenge_done by lanes_say. */
    void (*challenge)(void *user, const char *agent, const struct lane_msg *m);
    void (*ban)(void *user, const char *agent, const struct lane_msg *m); /* to be answered alike */
    void (*ended)(void *user);                                            /* last */
};

struct lanes;

/* Borrows conf until lanes_reload gives another. */
struct lanes *lanes_start(struct loop *loop, const struct opt_conf *conf, const struct lanes_events *events,
                          void *user, struct err *e);
void lanes_reload(struct lanes *l,
                  const struct opt_conf *conf); /* agents that may no longer log in are ended */
void lanes_drain(
    struct lanes *l); /* closes the lane socket without `end`: tunnel-lane waits for the next relay */

/* What the edge found out. */
void lanes_proved(struct lanes *l, uint64_t id);
void lanes_silent(struct lanes *l, uint64_t id);
void lanes_abort(struct lanes *l, uint64_t id, uint64_t stream);

/* One site that some agent serves or, by configuration, may serve. */
struct lanes_site {
    const char *name;
    const char *const *aliases;
    size_t aliases_n;
    const json_t *policy; /* that its agent asks for; NULL: none */
    time_t away_since;    /* of its agent; 0: it is there */
    bool claimed;         /* now, or before a restart: so these are all its names */
    const char *agent;    /* that had it first; NULL: none, it is our own configuration's */
    const char *state;    /* up, down, pending or expected: a constant; NULL: only paths of it are served */
};
/* Calls back for each site, in the order of names. Sites without a lane are there too: expected. */
void lanes_each_site(const struct lanes *l, void (*each)(void *user, const struct lanes_site *site),
                     void *user);
/* The same for each port that is open, in no order; park_ms and counts are not set. */
void lanes_each_port(const struct lanes *l, void (*each)(void *user, const struct snap_port *port),
                     void *user);
void lanes_close_ports(struct lanes *l); /* for good: visitors are refused from now on */
/* Adds every welcomed lane to the snapshot, and to each of its sites (found by name) and ports every lane that is
 * up. */
void lanes_add_to_snapshot(const struct lanes *l, struct snapshot *s);

/* What jobs ask of agents. It ends with the lanes; hold it for longer. */
struct errands *lanes_errands(const struct lanes *l);
const struct publish *lanes_publish(const struct lanes *l); /* as it is now; until the next call */
/* True when the agent has this name in its claim: by itself, by a wildcard, or as the base of one. */
bool lanes_serves(const struct lanes *l, const char *agent, const char *host);
/* By one of the agent's lanes, whose id is returned; 0: it has none. */
uint64_t lanes_say(struct lanes *l, const char *agent, const struct lane_msg *m);
/* What `tunnelctl status` shows in the house: how a site's certificate is doing (its agents are told when it is another
 * answer than before, and when they claim it; see `cert` of shared/lane_types.h), and whatever else there is to say. */
void lanes_tell_cert(struct lanes *l, const char *site, const char *state, const char *not_after,
                     const char *why);
void lanes_tell_notice(struct lanes *l, const char *agent, const char *level, const char *text);

/* Who answers what the control socket asks about agents and invitations. */
struct enrol *lanes_enrol(struct lanes *l);
/* lanes[] of /v1/status, and one domain's {agents, service_state} there. New references. */
json_t *lanes_status(const struct lanes *l);
/* agents[] there: whoever may connect, and whether he is there. */
json_t *lanes_agents_status(const struct lanes *l);
/* tcp[] there, of open ports and refused ones. */
json_t *lanes_ports_status(const struct lanes *l,
                           const struct counts *(*counts_of)(void *user, const char *agent, const char *item),
                           void *user);
json_t *lanes_site_status(const struct lanes *l, const char *name);
#endif
