/* One source's looks.
 *
 *   idle ──look──▶ services in turn, on a thread, until enough have answered ──▶ what each said, when it may be asked again
 *    ▲                                                                                                     │ done
 *    └─────────────────────────────────────────────────────────────────────────────────────────────────────┘  */
#include "agent/dns/address_asker.h"

#include "shared/http/fetch.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RETRY_FIRST_MS = 60 * 1000,
    RETRY_MOST_MS = 60 * 60 * 1000,
    REST_MS =
        60 *
        1000, /* those built in are everybody's: they are not asked more often, unless something happens */
    LOOK_MOST_MS = 15 * 1000
};

struct service {
    struct asker_says says[ADDRESS_FAMILIES];
    struct retry retry;
    int64_t skip_until_ms; /* monotonic; 0: it is not skipped */
};

/* What the thread may touch. */
struct task {
    const struct address_kind *kind;
    char *arg;
    int family;
    size_t first, enough;
    bool ask[ADDRESS_SERVICES], asked[ADDRESS_SERVICES];
    struct address_said said[ADDRESS_SERVICES][ADDRESS_FAMILIES];
};

struct asker {
    struct loop *loop;
    struct asker_events events;
    void *user;
    struct service services[ADDRESS_SERVICES];
    struct task task;
    struct job *job;
    bool works, stopping;
    int again; /* a look that came while one was under way; -1: none */
    int64_t rest_until_ms;
};

/* ---- start and end ---- */

static size_t services_n(const struct address_kind *kind)
{
    return kind->services ? kind->services_n : 1;
}

struct asker *asker_start(struct loop *loop, const struct address_kind *kind, const char *arg, int family,
                          size_t enough, const struct asker_events *events, void *user)
{
    struct asker *a = mem_new(sizeof *a);

    a->loop = loop;
    a->events = *events;
    a->user = user;
    a->again = -1;
    a->task.kind = kind;
    a->task.arg = mem_copy(arg);
    a->task.family = family;
    a->task.enough = enough;
    for (size_t i = 0; i < services_n(kind); i++) {
        retry_init(&a->services[i].retry, RETRY_FIRST_MS, RETRY_MOST_MS);
        for (int f = 0; f < ADDRESS_FAMILIES; f++) {
            address_source_name(kind, arg, i, a->services[i].says[f].name);
            a->services[i].says[f].family = f;
        }
    }
    return a;
}

static void asker_free(struct asker *a)
{
    free(a->task.arg);
    free(a);
}

bool asker_stop(struct asker *a)
{
    a->stopping = true;
    if (a->works) {
        job_cancel(a->job);
        return false;
    }
    asker_free(a);
    return true;
}

/* ---- a look ---- */

static void on_thread(struct job *job, void *user)
{
    struct task *t = &((struct asker *)user)->task;
    size_t n = services_n(t->kind), answers = 0;
    uint64_t until = uv_hrtime() + (uint64_t)LOOK_MOST_MS * 1000000;

    for (size_t k = 0; k < n && answers < t->enough; k++) {
        size_t i = (t->first + k) % n;
        struct address_question q = { .service = i, .family = t->family, .arg = t->arg, .job = job };

        if (!t->ask[i])
            continue;
        if (job_cancelled(job) || uv_hrtime() > until)
            return;
        t->kind->ask(&q, t->said[i]);
        t->asked[i] = true;
        answers += t->said[i][ADDRESS_V4].text[0] || t->said[i][ADDRESS_V6].text[0];
    }
}

static uint32_t random_number(void)
{
    uint32_t n;

    if (uv_random(NULL, NULL, &n, sizeof n, 0, NULL) != 0)
        n = (uint32_t)uv_hrtime();
    return n;
}

/* An interface without an address has answered; that is no failure. */
static bool has_answered(const struct task *t, size_t i)
{
    const struct address_said *said = t->said[i];

    return said[ADDRESS_V4].text[0] || said[ADDRESS_V6].text[0] || said[ADDRESS_V4].none ||
           said[ADDRESS_V6].none;
}

static void learn_service(struct asker *a, size_t i)
{
    struct service *s = &a->services[i];
    int64_t now_s = (int64_t)time(NULL), wait_ms = 0;

    if (has_answered(&a->task, i))
        retry_succeeded(&s->retry);
    else if (!a->task.kind->local)
        wait_ms = retry_failed(&s->retry, random_number());
    s->skip_until_ms = wait_ms > 0 ? loop_now_ms(a->loop) + wait_ms : 0;
    for (int f = 0; f < ADDRESS_FAMILIES; f++) {
        struct asker_says *says = &s->says[f];

        if (asker_is_for(a, f) && strcmp(says->said.why, a->task.said[i][f].why) != 0)
            log_debug("a source of our address", kv_str("source", says->name),
                      kv_str("now", a->task.said[i][f].text), kv_str("error", a->task.said[i][f].why));
        says->said = a->task.said[i][f];
        says->counts = says->said.text[0] != 0;
        says->checked_s = now_s;
        says->not_before_s = wait_ms > 0 ? now_s + wait_ms / 1000 : 0;
    }
}

static void learn(struct asker *a)
{
    struct task *t = &a->task;
    size_t n = services_n(t->kind);

    for (size_t i = 0; i < n; i++) {
        if (t->asked[i])
            learn_service(a, i);
        else
            for (int f = 0; f < ADDRESS_FAMILIES; f++)
                a->services[i].says[f].counts = false; /* it was said about another time */
    }
    t->first = n > 1 ? (t->first + t->enough) % n : 0;
    if (t->kind->services)
        a->rest_until_ms = loop_now_ms(a->loop) + REST_MS;
}

static void on_job_ended(void *user)
{
    struct asker *a = user;
    int again = a->again;

    a->works = false;
    if (a->stopping) {
        struct asker_events events = a->events;
        void *owner = a->user;

        asker_free(a);
        events.ended(owner);
        return;
    }
    learn(a);
    fetch_rest();
    a->again = -1;
    if (again >= 0)
        asker_look(a, (enum asker_look)again);
    a->events.done(a->user);
}

static bool choose(struct asker *a, enum asker_look how)
{
    int64_t now_ms = loop_now_ms(a->loop);
    bool any = false;

    for (size_t i = 0; i < services_n(a->task.kind); i++) {
        a->task.asked[i] = false;
        a->task.ask[i] = how == ASKER_ALL || now_ms >= a->services[i].skip_until_ms;
        memset(a->task.said[i], 0, sizeof a->task.said[i]);
        any = any || a->task.ask[i];
    }
    return any;
}

void asker_look(struct asker *a, enum asker_look how)
{
    struct err why = { 0 };

    if (a->works) {
        a->again = (int)how > a->again ? (int)how : a->again;
        return;
    }
    if ((how == ASKER_LOCAL && !a->task.kind->local) ||
        (how == ASKER_DUE && loop_now_ms(a->loop) < a->rest_until_ms) || !choose(a, how))
        return;
    a->job = job_start(a->loop, on_thread, on_job_ended, a, &why);
    if (!a->job)
        log_warn_limited("address", "a source of our address cannot be asked", kv_str("error", why.text));
    a->works = a->job != NULL;
}

/* ---- what it says ---- */

bool asker_works(const struct asker *a)
{
    return a->works;
}

const struct address_kind *asker_kind(const struct asker *a)
{
    return a->task.kind;
}

bool asker_is_for(const struct asker *a, int family)
{
    bool kind_is = family == ADDRESS_V4 ? a->task.kind->v4 : a->task.kind->v6;

    return kind_is &&
           (a->task.family == AF_UNSPEC || a->task.family == (family == ADDRESS_V4 ? AF_INET : AF_INET6));
}

const struct asker_says *asker_said(const struct asker *a, int family, size_t service)
{
    return asker_is_for(a, family) && service < services_n(a->task.kind) ? &a->services[service].says[family]
                                                                         : NULL;
}
