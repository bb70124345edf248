/* relay/lanes/lane.h - one lane: an SSH session of an agent, joined to us by its tunnel-lane.
 *
 * Alive on the loop, from tunnel-lane's connection to its end. Used by lanes.c alone. */
#ifndef RELAY_LANES_LANE_H
#define RELAY_LANES_LANE_H
#include "relay/edge/counts.h"
#include "relay/lanes/budget.h"
#include "relay/lanes/publish.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"

#include <time.h>
#include <uv.h>

enum lane_state {
    LANE_S_JOINED,
    LANE_S_ENROL,
    LANE_S_KNOWN,
    LANE_S_OPENING,
    LANE_S_UP,
    LANE_S_BUSY,
    LANE_S_DRAINING, /* no new streams */
    LANE_S_DEAD,
};

struct lane;

struct lane_host {
    const char *relay_name;
    const struct publish *publish; /* addresses for DNS */
    int64_t heartbeat_ms;
    /* Who comes from this address and port; as given where it is nobody else. */
    void (*real_address)(void *user, const char *address, unsigned port, char *real, size_t room);
    bool (*knows)(void *user, const char *agent);
    void (*enrols)(void *user, struct lane *lane, const struct lane_msg *enrol);
    struct budget_agent *(*budget)(void *user, const char *agent); /* or invitation */
    /* Why it may not join, or not with this port; NULL: it may. */
    const char *(*refuses)(void *user, const struct lane *lane);
    const char *(*refuses_port)(void *user, const struct lane *lane, int64_t port);
    bool (*admits)(void *user, struct lane *lane,
                   const char *boot);               /* false: another machine with its key is there */
    void (*greeted)(void *user, struct lane *lane); /* it has said hello and was welcomed */
    void (*claimed)(void *user, struct lane *lane, const struct lane_msg *claim);
    void (*changed)(void *user, struct lane *lane, enum lane_state before);
    void (*stream_ended)(void *user, struct lane *lane, uint64_t stream, enum lane_how how);
    void (*service)(void *user, struct lane *lane, const struct lane_msg *said);
    void (*hear)(void *user, struct lane *lane, const struct lane_msg *m); /* about certificates */
    void (*stream_consumed)(void *user, struct lane *lane, uint64_t stream, uint64_t total);
    void (*ended)(void *user, struct lane *lane);
    void *user;
};

/* What is known of it; texts are "" until then. */
struct lane_facts {
    uint64_t id;
    enum lane_state state;
    const char *agent, *boot, *seen_from;
    const char *enrol; /* the invitation it comes by, and it has no agent */
    bool dismissed;
    int64_t number; /* the agent's own count of its lanes */
    uint16_t port;
    const unsigned char *secret;
    struct counts *counts;
    int64_t rtt_ms; /* -1: not measured yet */
    time_t since;
    const char *last_error; /* "" when there was none */
};

/* Takes a connection to the lane socket; uid is who may come. NULL with the reason. */
struct lane *lane_accept(struct loop *loop, int fd, uid_t uid, uint64_t id, const struct lane_host *host,
                         struct err *e);
void lane_facts(const struct lane *l, struct lane_facts *facts);
const char *lane_state_text(enum lane_state state);

void lane_say(struct lane *l, const struct lane_msg *msg);
void lane_say_claimed(struct lane *l, const struct lane_msg *answer); /* in lines that are not too long */
void lane_proved(struct lane *l);  /* the edge has had a right answer through it */
void lane_silent(struct lane *l);  /* the edge had no answer in time */
void lane_welcome(struct lane *l); /* once more, where it was: what we say of ourselves has changed */
void lane_tick(struct lane *l);    /* once a second, behind budget_refill: heartbeat, dead or alive */
/* Over an invitation: says this, and ends the SSH session as soon as the agent had time to read it. */
void lane_dismiss(struct lane *l, const struct lane_msg *last);
void lane_refuse(struct lane *l, const char *why); /* says why, and closes */
void lane_end(struct lane *l, const char *why);    /* `end`: the SSH session dies */
void lane_close(struct lane *l);                   /* without: tunnel-lane waits for the next relay */
/* The same, once the agent has heard of each stream's end and could ask whether it was meant: an answer to a first ping may
 * pass it on its way, one to a second cannot. An agent that does not answer is waited for a second or two. */
void lane_leave(struct lane *l);
#endif
