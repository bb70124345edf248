/* The life of an errand:
 *
 *   a job: errands_run ──▶ queue ── loop: whom? ──▶ a leg for each agent ── said by a lane ──▶ answered ──▶ the job wakes
 *                                                     ▲                        │ lane gone
 *                                                     └────────────────────────┘
 *
 * It lies on the job's stack, and the loop touches it under the lock alone, so that the job can take it back at any time. */
#include "relay/lanes/errands.h"

#include "shared/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 100,       /* how often a job looks whether it is cancelled */
    LANELESS_MS = 10000, /* for an agent that is away to come back */
};

enum leg_state { LEG_UNSAID, LEG_SAID, LEG_YES, LEG_NO };

struct leg {
    char agent[ERRANDS_AGENT_BYTES];
    enum leg_state state;
    int64_t id; /* of what was said */
    uint64_t lane;
};

struct waiting {
    struct waiting *next;
    const struct errand *errand;
    struct errand_answer *answer;
    bool begun, done;
    uint64_t began_ms;
    struct leg legs[ERRANDS_AGENTS];
    size_t legs_n;
    struct err why; /* of the last no; code ERR_NONE when done without */
    uv_cond_t woken;
};

struct errands {
    atomic_int holders;
    uv_mutex_t lock; /* recursive: saying something may end a lane */
    uv_async_t async;
    const struct errands_host *host;
    struct waiting *list;
    int64_t last_id;
    bool stopped;
    void (*closed)(void *user);
    void *user;
};

static void on_async(uv_async_t *async);

/* ---- the thing itself ---- */

struct errands *errands_new(struct loop *loop, const struct errands_host *host, struct err *e)
{
    struct errands *s = mem_new(sizeof *s);
    int rc;

    if (uv_mutex_init_recursive(&s->lock) != 0)
        abort(); /* glibc's cannot fail */
    atomic_init(&s->holders, 1);
    s->host = host;
    rc = uv_async_init(&loop->uv, &s->async, on_async);
    if (rc == 0) {
        s->async.data = s;
        return s;
    }
    err_set(e, ERR_SYSTEM, "cannot make a handle: %s", uv_strerror(rc));
    errands_release(s);
    return NULL;
}

struct errands *errands_hold(struct errands *s)
{
    atomic_fetch_add(&s->holders, 1);
    return s;
}

void errands_release(struct errands *s)
{
    if (!s || atomic_fetch_sub(&s->holders, 1) > 1)
        return;
    uv_mutex_destroy(&s->lock);
    free(s);
}

/* ---- on the job's thread ---- */

static void enlist(struct errands *s, struct waiting *w)
{
    struct waiting **end = &s->list;

    while (*end)
        end = &(*end)->next;
    *end = w;
    uv_async_send(&s->async);
}

static void unlist(struct errands *s, const struct waiting *w)
{
    struct waiting **at = &s->list;

    while (*at && *at != w)
        at = &(*at)->next;
    if (*at)
        *at = w->next;
}

static const char *whom(const struct waiting *w)
{
    for (size_t i = 0; i < w->legs_n; i++)
        if (w->legs[i].state == LEG_SAID || w->legs[i].state == LEG_UNSAID)
            return w->legs[i].agent;
    return "whoever serves it";
}

/* Under the lock. */
static int await(struct errands *s, struct waiting *w, struct job *job, struct err *e)
{
    uint64_t until = uv_hrtime() + (uint64_t)w->errand->patience_ms * 1000000;

    while (!w->done && !s->stopped && !job_cancelled(job) && uv_hrtime() < until)
        uv_cond_timedwait(&w->woken, &s->lock, (uint64_t)LOOK_MS * 1000000);
    if (w->done)
        return w->why.code == ERR_NONE ? 0 : err_set(e, w->why.code, "%s", w->why.text);
    if (s->stopped || job_cancelled(job))
        return err_set(e, ERR_STOPPED, "asking agents about %s was given up, as told", w->errand->host);
    return err_set(e, ERR_TIMEOUT,
                   "agent %s has not answered within %d s about %s; is it of the same version?", whom(w),
                   (int)(w->errand->patience_ms / 1000), w->errand->host);
}

int errands_run(struct errands *s, const struct errand *errand, struct job *job, struct errand_answer *answer,
                struct err *e)
{
    struct waiting w = { .errand = errand, .answer = answer };
    int rc;

    *answer = (struct errand_answer){ 0 };
    if (uv_cond_init(&w.woken) != 0)
        abort(); /* glibc's cannot fail */
    uv_mutex_lock(&s->lock);
    if (!s->stopped)
        enlist(s, &w);
    rc = await(s, &w, job, e);
    unlist(s, &w);
    uv_mutex_unlock(&s->lock);
    uv_cond_destroy(&w.woken);
    return rc;
}

/* ---- on the loop, under the lock ---- */

static void finish(struct waiting *w)
{
    w->done = true;
    uv_cond_signal(&w->woken);
}

static void begin(struct errands *s, struct waiting *w)
{
    char names[ERRANDS_AGENTS][ERRANDS_AGENT_BYTES];

    w->begun = true;
    w->began_ms = uv_hrtime() / 1000000;
    w->legs_n = s->host->agents(s->host->user, w->errand->host, names);
    for (size_t i = 0; i < w->legs_n; i++)
        memcpy(w->legs[i].agent, names[i], sizeof w->legs[i].agent);
    if (w->legs_n == 0 && w->errand->who == ERRAND_FIRST)
        err_set(&w->why, ERR_MISSING, "no agent serves %s", w->errand->host);
}

static void say(struct errands *s, const struct waiting *w, struct leg *leg)
{
    struct lane_msg m = w->errand->msg;
    json_t *id = json_integer(++s->last_id);

    if (m.type == LANE_TXT)
        m.txt.id = id;
    else if (m.type == LANE_FETCH)
        m.fetch.id = id;
    else
        m.challenge.id = id;
    leg->id = s->last_id;
    leg->lane = s->host->say(s->host->user, leg->agent, &m);
    leg->state = leg->lane != 0 ? LEG_SAID : LEG_UNSAID;
    json_decref(id);
}

static bool is_late(const struct waiting *w)
{
    return uv_hrtime() / 1000000 - w->began_ms >= LANELESS_MS;
}

/* One after another: the next is asked when the one before has said no. */
static void drive_first(struct errands *s, struct waiting *w)
{
    for (size_t i = 0; i < w->legs_n; i++) {
        struct leg *leg = &w->legs[i];

        if (leg->state == LEG_UNSAID)
            say(s, w, leg);
        if (leg->state == LEG_UNSAID && is_late(w)) {
            leg->state = LEG_NO;
            if (w->why.code == ERR_NONE)
                err_set(&w->why, ERR_MISSING, "agent %s, which serves %s, is not connected", leg->agent,
                        w->errand->host);
        }
        if (leg->state == LEG_YES)
            w->why = (struct err){ 0 };
        if (leg->state != LEG_NO) {
            if (leg->state == LEG_YES)
                finish(w);
            return;
        }
    }
    finish(w);
}

static void drive_all(struct errands *s, struct waiting *w)
{
    size_t open = 0;

    for (size_t i = 0; i < w->legs_n; i++) {
        struct leg *leg = &w->legs[i];

        if (leg->state == LEG_UNSAID)
            say(s, w, leg);
        if (leg->state == LEG_UNSAID && is_late(w))
            leg->state = LEG_YES; /* who stays away has nothing to pass on */
        if (leg->state == LEG_NO) {
            finish(w);
            return;
        }
        open += leg->state == LEG_SAID || leg->state == LEG_UNSAID;
    }
    if (open == 0)
        finish(w);
}

static void drive(struct errands *s, struct waiting *w)
{
    if (!w->begun)
        begin(s, w);
    if (w->done)
        return;
    if (w->errand->who == ERRAND_FIRST)
        drive_first(s, w);
    else
        drive_all(s, w);
}

static void drive_each(struct errands *s)
{
    uv_mutex_lock(&s->lock);
    for (struct waiting *w = s->list; w && !s->stopped; w = w->next)
        drive(s, w);
    uv_mutex_unlock(&s->lock);
}

/* ---- on the loop ---- */

static void on_async(uv_async_t *async)
{
    drive_each(async->data);
}

void errands_tick(struct errands *s)
{
    drive_each(s);
}

static enum lane_msg_type answer_to(enum lane_msg_type type)
{
    return type == LANE_TXT ? LANE_TXT_DONE : type == LANE_FETCH ? LANE_FETCHED : LANE_CHALLENGE_DONE;
}

static bool is_answer(const struct waiting *w, const struct leg *leg, const char *agent,
                      const struct lane_msg *m)
{
    return leg->state == LEG_SAID && json_is_integer(m->done.id) &&
           json_integer_value(m->done.id) == leg->id && m->type == answer_to(w->errand->msg.type) &&
           strcmp(leg->agent, agent) == 0;
}

static void take(struct waiting *w, struct leg *leg, const struct lane_msg *m)
{
    leg->state = m->done.ok ? LEG_YES : LEG_NO;
    w->answer->status = m->type == LANE_FETCHED ? m->done.status : 0;
    snprintf(w->answer->agent, sizeof w->answer->agent, "%s", leg->agent);
    if (!m->done.ok)
        err_set(&w->why, ERR_PEER, "agent %s: %s", leg->agent, m->done.why);
}

bool errands_answered(struct errands *s, const char *agent, const struct lane_msg *m)
{
    bool found = false;

    uv_mutex_lock(&s->lock);
    for (struct waiting *w = s->list; w && !found; w = w->next)
        for (size_t i = 0; i < w->legs_n && !found; i++)
            if (!w->done && is_answer(w, &w->legs[i], agent, m)) {
                found = true;
                take(w, &w->legs[i], m);
                drive(s, w);
            }
    uv_mutex_unlock(&s->lock);
    return found;
}

void errands_lane_gone(struct errands *s, uint64_t lane)
{
    uv_mutex_lock(&s->lock);
    for (struct waiting *w = s->list; w; w = w->next)
        for (size_t i = 0; i < w->legs_n; i++)
            if (w->legs[i].state == LEG_SAID && w->legs[i].lane == lane) {
                w->legs[i].state = LEG_UNSAID;
                w->began_ms = uv_hrtime() / 1000000;
                if (!s->stopped)
                    uv_async_send(&s->async);
            }
    uv_mutex_unlock(&s->lock);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct errands *s = handle->data;
    void (*closed)(void *user) = s->closed;
    void *user = s->user;

    errands_release(s);
    closed(user);
}

void errands_stop(struct errands *s, void (*closed)(void *user), void *user)
{
    uv_mutex_lock(&s->lock);
    s->stopped = true; /* from here on nobody uses the handle */
    for (struct waiting *w = s->list; w; w = w->next)
        uv_cond_signal(&w->woken);
    uv_mutex_unlock(&s->lock);
    s->closed = closed;
    s->user = user;
    uv_close((uv_handle_t *)&s->async, on_closed);
}
