/* shared/doctor/visit.h - GET /v1/doctor: facts are looked at on a thread, judged there, and answered. One at a time.
 *
 * A value, embedded in the daemon's parts. */
#ifndef SHARED_DOCTOR_VISIT_H
#define SHARED_DOCTOR_VISIT_H
#include "shared/doctor/steps.h"
#include "shared/http/server.h"
#include "shared/job.h"

enum {
    VISIT_LOOK_MS = 90 * 1000, /* what is not looked at by then is said to be so */
    VISIT_ANSWER_S = 175       /* the answer is there: a look that had begun may take its time */
};

struct visit {
    struct loop *loop;
    const char *role;
    void (*look)(json_t *facts, struct job *job, void *user); /* on the thread */
    void (*judge)(struct steps *s, const json_t *facts);      /* pure */
    void (*idle)(void *user);                                 /* a visit is over */
    void *user;
    struct job *job; /* NULL: none is under way */
    struct http_later *later;
    json_t *facts, *steps;
    bool stopping;
};

/* Takes the facts that the loop knows. */
void visit_begin(struct visit *v, json_t *facts, struct http_reply *reply);
bool visit_idle(const struct visit *v);
void visit_stop(struct visit *v); /* `idle` follows, unless it is idle */
/* For `look`: seconds of a clock that only goes on, and whether there is time for a further look before until_s. */
int64_t visit_now_s(void);
bool visit_is_over(struct job *job, int64_t until_s);
/* The domain that a request asks for (?domain=NAME), into out; "" for all. -1: that is none. */
must_check int visit_domain(const struct http_request *request, char *out, size_t room, struct err *e);
#endif
