/* agent/link/lane.h - what an SSH session is for: the conversation with the relay, and the streams it opens.
 *
 * A value, embedded in the session, which feeds the pipe and calls lane_run after each feed. Its streams live on the
 * loop: after lane_stop it may be freed only when lane_idle says so. */
#ifndef AGENT_LINK_LANE_H
#define AGENT_LINK_LANE_H
#include "agent/carry/stream.h"
#include "agent/link/converse.h"
#include "agent/link/session.h"

struct lane_events {
    void (*up)(void *user); /* welcomed by the relay */
    bool (*added)(
        void *user); /* bytes stand in the pipe; false: so many wait that services are not to be read */
    void (*idle)(void *user); /* after lane_stop: the last stream is gone */
};

struct lane {
    const struct lane_events *events;
    void *user;
    struct ssh_pipe *pipe;
    LIBSSH2_CHANNEL *control;
    struct converse talk;
    struct carry_lane carry;
    struct carry *streams;
    bool full, draining, stopped;
};

/* Says hello. Borrows everything. */
void lane_init(struct lane *l, struct loop *loop, struct ssh_pipe *pipe, LIBSSH2_CHANNEL *control, int port,
               const struct session_conf *conf, const struct lane_events *events, void *user);
void lane_free(struct lane *l);

/* Takes in what has come, and lets each stream do what it can. -1: the lane is at its end. ERR_STOPPED: the relay wants
 * it so, or it is drained. */
must_check int lane_run(struct lane *l, struct err *e);
void lane_talk(struct lane *l);  /* what there is to be said goes into the pipe */
void lane_beat(struct lane *l);  /* at each heartbeat: makes both the relay and sshd answer */
void lane_drain(struct lane *l); /* no new streams; lane_run ends it with the last one in use */
void lane_stop(struct lane *l);  /* all streams now; the pipe is going to be freed */
bool lane_idle(const struct lane *l);
size_t lane_streams(const struct lane *l); /* in use */
#endif
