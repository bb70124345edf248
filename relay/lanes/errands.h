/* relay/lanes/errands.h - what agents are asked to do for a certificate, by jobs that wait for it: set a TXT record, look at a
 * site from outside, pass an answer for the CA on.
 *
 * One for all agents, alive on the loop from errands_new to errands_stop. Whoever asks from another thread holds it. */
#ifndef RELAY_LANES_ERRANDS_H
#define RELAY_LANES_ERRANDS_H
#include "shared/err.h"
#include "shared/job.h"
#include "shared/lane_types.h"
#include "shared/loop.h"

enum { ERRANDS_AGENTS = 16, ERRANDS_AGENT_BYTES = 33 };

struct errands_host {
    /* Who serves this host name, at most ERRANDS_AGENTS of them. */
    size_t (*agents)(void *user, const char *host, char names[][ERRANDS_AGENT_BYTES]);
    /* Says it by one of the agent's lanes, and returns that one's id; 0: it has none. */
    uint64_t (*say)(void *user, const char *agent, const struct lane_msg *m);
    void *user;
};

struct errands;

/* Borrows host until errands_stop. NULL with the reason. */
struct errands *errands_new(struct loop *loop, const struct errands_host *host, struct err *e);
struct errands *errands_hold(struct errands *s);
void errands_release(struct errands *s); /* NULL is fine */

/* ---- for jobs' threads ---- */

enum errand_who {
    ERRAND_FIRST, /* one after another, until one says yes */
    ERRAND_ALL,   /* each; all have to say yes, but for those that stay away for 10 s */
};

struct errand {
    const char *host; /* whoever serves this name is asked */
    enum errand_who who;
    struct lane_msg msg; /* a txt, fetch or challenge, without its id; its texts are borrowed meanwhile */
    int64_t patience_ms;
};

struct errand_answer {
    char agent[ERRANDS_AGENT_BYTES]; /* who said it; of several, the last */
    int64_t status;                  /* of a fetched */
};

/* Blocking. 0: they have said yes, or with ERRAND_ALL there is nobody. -1: ERR_MISSING nobody who serves it is connected;
 * ERR_PEER an agent says no, and why; ERR_TIMEOUT; ERR_STOPPED. `answer` is filled for 0 and ERR_PEER. */
must_check int errands_run(struct errands *s, const struct errand *errand, struct job *job,
                           struct errand_answer *answer, struct err *e);

/* ---- for the loop ---- */

/* False: nobody waits for this answer (any more). */
bool errands_answered(struct errands *s, const char *agent, const struct lane_msg *m);
void errands_lane_gone(struct errands *s, uint64_t lane); /* what it was asked is asked by another one */
void errands_tick(struct errands *s);                     /* once a second */
/* All that is under way fails. `closed` is called once the loop is done with it. */
void errands_stop(struct errands *s, void (*closed)(void *user), void *user);
#endif
