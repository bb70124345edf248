/* agent/link/duty.h - what an SSH session is for once it has logged in: a lane (lane.c) or a plain forward (plain.c).
 *
 * An object of the session, which feeds the pipe and calls duty_run after each feed. What both kinds have in common is
 * here: the streams that come in by the forwarded port. These live on the loop: after duty_stop the duty may be freed
 * only when duty_idle says so. */
#ifndef AGENT_LINK_DUTY_H
#define AGENT_LINK_DUTY_H
#include "agent/carry/stream.h"
#include "agent/link/session.h"

/* To the session. */
struct duty_events {
    void (*up)(void *user);
    /* Bytes stand in the pipe. False: so many wait that services are not to be read. */
    bool (*added)(void *user);
    void (*idle)(void *user); /* after duty_stop: the last stream is gone */
};

struct duty;

struct duty_view {
    const char *state; /* up, …: as in the status */
    int64_t rtt_ms;    /* -1: not measured */
    int64_t beat_ms;
};

struct duty_ops {
    /* The two steps before it serves; SSH_DONE, SSH_LATER or -1, with what the server does not do. */
    int (*converse)(struct duty *d, struct err *e);
    int (*forward)(struct duty *d, struct err *e);
    int (*run)(struct duty *d, struct err *e);
    void (*beat)(struct duty *d);                          /* makes the other side say something */
    void (*claim)(struct duty *d);                         /* the names of the sites have changed */
    bool (*say)(struct duty *d, const struct lane_msg *m); /* false: nobody is there to hear it */
    void (*talk)(struct duty *d);                          /* what there is to be said goes into the pipe */
    void (*drain)(struct duty *d);                         /* takes no new streams */
    void (*stop)(struct duty *d);                          /* the last moment to say something */
    void (*view)(const struct duty *d, struct duty_view *out);
    struct carry *(*accept)(struct duty *d, LIBSSH2_CHANNEL *channel);
    void (*free)(struct duty *d);
};

struct duty {
    const struct duty_ops *ops;
    const struct duty_events *events;
    void *user;
    struct ssh_pipe *pipe;
    struct carry_lane carry;
    struct carry *streams;
    bool settled; /* it does what it is for, as far as the other end has to say something to that */
    bool away;    /* whoever it is for has gone, and is to come back */
    bool full, draining, stopped;
};

/* Borrows everything. */
struct duty_conf {
    const struct session_conf *session;
    struct loop *loop;
    struct ssh_pipe *pipe;
    int fd; /* of the connection, to be asked where it leads */
    const struct duty_events *events;
    void *user;
};
void duty_init(struct duty *d, const struct duty_ops *ops, const struct duty_conf *conf);

/* Takes in what has come, and lets each stream do what it can. -1: the session is to end. ERR_STOPPED: the relay wants
 * it so, or it is drained. */
must_check int duty_run(struct duty *d, struct err *e);
void duty_drain(struct duty *d); /* duty_run ends it with the last stream in use */
void duty_stop(struct duty *d);  /* all streams now; the pipe is going to be freed */
bool duty_idle(const struct duty *d);
size_t duty_streams(const struct duty *d); /* in use */

/* ---- for both kinds ---- */

must_check int duty_take_in(struct duty *d, struct err *e); /* before anything else reads from the pipe */
void duty_carry(struct duty *d);                            /* takes new streams, runs all */
void duty_each_stream(struct duty *d, void (*what)(struct carry *c));
#endif
