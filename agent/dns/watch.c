#include "agent/dns/watch.h"

#include "shared/dns/lookup.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    UNKNOWN = -2,
    ROUND_MS = 20 * 1000,
    SOON_MS = 60 * 1000,
    EVERY_MS = 3600 * 1000,
    FAILURES_IN_A_ROW = 2
};

struct watch {
    struct loop *loop;
    struct names *names;
    const struct opt_words *(*resolvers)(void *user);
    void (*seen)(void *user);
    void (*ended)(void *user);
    void *user;
    uv_timer_t timer;
    struct job *job;
    struct lookup lookup;
    struct dns_rrset *asked; /* on the thread while the job runs; a family of a name each */
    size_t asked_n, answered;
    struct err why; /* the last question that had no answer */
    bool stopping, closed;
};

static void on_job_ended(void *user);
static void end_if_done(struct watch *w);

/* On the thread. */
static void run(struct job *job, void *user)
{
    struct watch *w = user;
    uint64_t until = uv_hrtime() / 1000000 + ROUND_MS;
    int failures = 0;

    w->lookup.job = job;
    for (w->answered = 0; w->answered < w->asked_n && failures < FAILURES_IN_A_ROW &&
                          uv_hrtime() / 1000000 < until && !job_cancelled(job);
         w->answered++) {
        struct dns_rrset *set = &w->asked[w->answered];

        if (lookup(&w->lookup, set, &w->why) == 0) {
            failures = 0;
            continue;
        }
        failures++;
        set->ttl_s = UNKNOWN;
    }
}

/* One name below a wildcard stands for all of them. */
static void name_asked(const struct dns_name *n, char out[DOMAIN_BYTES])
{
    if (strncmp(n->name, "*.", 2) == 0)
        snprintf(out, DOMAIN_BYTES, "tunnel-check.%.240s", n->name + 2);
    else
        snprintf(out, DOMAIN_BYTES, "%s", n->name);
}

static void add_question(struct watch *w, const struct dns_name *n, int family)
{
    char name[DOMAIN_BYTES];

    name_asked(n, name);
    w->asked = mem_grow(w->asked, (w->asked_n + 1) * sizeof *w->asked);
    dns_rrset_init(&w->asked[w->asked_n++], name, n->families[family].want.type);
}

static void begin(struct watch *w)
{
    struct err why = { 0 };

    uv_timer_stop(&w->timer);
    for (size_t i = 0; i < w->names->n; i++)
        for (int f = 0; f < NAME_FAMILIES; f++)
            add_question(w, w->names->list[i], f);
    if (lookup_open(&w->lookup, w->resolvers(w->user), &why) == 0)
        w->job = job_start(w->loop, run, on_job_ended, w, &why);
    if (!w->job) {
        log_warn_limited("watch", "nobody can be asked what the public sees", kv_str("error", why.text));
        w->asked_n = 0;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct watch *w = timer->data;

    if (!w->stopping && !w->job)
        begin(w);
    if (!w->job && !w->stopping) {
        uv_timer_start(timer, on_timer, EVERY_MS, 0);
        w->seen(w->user);
    }
}

struct watch *watch_start(struct loop *loop, struct names *names,
                          const struct opt_words *(*resolvers)(void *user), void (*seen)(void *user),
                          void (*ended)(void *user), void *user)
{
    struct watch *w = mem_new(sizeof *w);

    w->loop = loop;
    w->names = names;
    w->resolvers = resolvers;
    w->seen = seen;
    w->ended = ended;
    w->user = user;
    uv_timer_init(&loop->uv, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, SOON_MS, 0);
    return w;
}

void watch_now(struct watch *w)
{
    if (!w->stopping && !w->job)
        uv_timer_start(&w->timer, on_timer, 0, 0);
}

void watch_soon(struct watch *w)
{
    if (!w->stopping && !w->job && uv_timer_get_due_in(&w->timer) > SOON_MS)
        uv_timer_start(&w->timer, on_timer, SOON_MS, 0);
}

/* The answer for a family of a name: names may have come and gone since it was asked. */
static const struct dns_rrset *answer_for(const struct watch *w, const struct dns_name *n, int family)
{
    char name[DOMAIN_BYTES];

    name_asked(n, name);
    for (size_t i = 0; i < w->answered; i++)
        if (w->asked[i].type == n->families[family].want.type && strcmp(w->asked[i].name, name) == 0)
            return w->asked[i].ttl_s == UNKNOWN ? NULL : &w->asked[i];
    return NULL;
}

static void learn(struct watch *w)
{
    for (size_t i = 0; i < w->names->n; i++)
        for (int f = 0; f < NAME_FAMILIES; f++) {
            struct dns_name *n = w->names->list[i];
            const struct dns_rrset *answer = answer_for(w, n, f);

            if (!answer)
                continue;
            dns_rrset_free(&n->public[f]);
            dns_rrset_copy(&n->public[f], answer);
            n->public_s = (int64_t)time(NULL);
        }
}

static void on_job_ended(void *user)
{
    struct watch *w = user;

    w->job = NULL;
    learn(w);
    for (size_t i = 0; i < w->asked_n; i++)
        dns_rrset_free(&w->asked[i]);
    w->asked_n = w->answered = 0;
    if (!w->stopping) {
        uv_timer_start(&w->timer, on_timer, EVERY_MS, 0);
        w->seen(w->user);
    }
    end_if_done(w);
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;

    w->closed = true;
    end_if_done(w);
}

void watch_stop(struct watch *w)
{
    w->stopping = true;
    if (w->job)
        job_cancel(w->job);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

static void end_if_done(struct watch *w)
{
    void (*ended)(void *user) = w->ended;
    void *user = w->user;

    if (!w->stopping || !w->closed || w->job)
        return;
    free(w->asked);
    free(w);
    ended(user);
}
