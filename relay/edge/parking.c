#include "relay/edge/parking.h"

#include "shared/mem.h"
#include "shared/str.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A house that comes back gets that many at once, and then as many again each time. */
enum { PACE_REQUESTS = 16, PACE_MS = 100 };

struct parking {
    struct loop *loop;
    const struct snapshot *snapshot;
    struct parked *first, *last; /* in the order of their coming */
    size_t n;
    uv_timer_t timer;
    int64_t paced_ms; /* when the last ones were let go because their site is back */
    bool stopping;
    void (*closed)(void *user);
    void *user;
};

static void on_timer(uv_timer_t *timer);

struct parking *parking_new(struct loop *loop)
{
    struct parking *p = mem_new(sizeof *p);

    p->loop = loop;
    uv_timer_init(&loop->uv, &p->timer);
    p->timer.data = p;
    return p;
}

/* ---- who waits ---- */

static size_t waiting_for(const struct parking *p, const char *site)
{
    size_t n = 0;

    for (const struct parked *who = p->first; who; who = who->next)
        n += strcmp(who->site, site) == 0;
    return n;
}

static void start_timer(struct parking *p, int64_t at_ms)
{
    int64_t left_ms = at_ms - loop_now_ms(p->loop);

    uv_timer_start(&p->timer, on_timer, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

static bool is_there(const struct parking *p, const struct parked *who)
{
    const struct snap_site *site = p->snapshot ? snapshot_find(p->snapshot, str_of(who->site)) : NULL;

    return site && site->lanes_n > 0;
}

/* The next moment at which something is to happen. */
static void plan(struct parking *p)
{
    int64_t at_ms = INT64_MAX;

    for (const struct parked *who = p->first; who; who = who->next) {
        int64_t due_ms = is_there(p, who) ? p->paced_ms + PACE_MS : who->until_ms;

        at_ms = due_ms < at_ms ? due_ms : at_ms;
    }
    if (!p->first)
        uv_timer_stop(&p->timer);
    else
        start_timer(p, at_ms);
}

bool parking_enter(struct parking *p, struct parked *who, const char *site, int64_t ms)
{
    if (p->stopping || p->n == PARKING_REQUESTS || waiting_for(p, site) == PARKING_PER_SITE)
        return false;
    who->parking = p;
    who->site = site;
    who->until_ms = loop_now_ms(p->loop) + ms;
    who->next = NULL;
    who->prev = p->last;
    *(p->last ? &p->last->next : &p->first) = who;
    p->last = who;
    p->n++;
    plan(p);
    return true;
}

static void take_out(struct parked *who)
{
    struct parking *p = who->parking;

    *(who->prev ? &who->prev->next : &p->first) = who->next;
    *(who->next ? &who->next->prev : &p->last) = who->prev;
    who->parking = NULL;
    p->n--;
}

void parking_leave(struct parked *who)
{
    struct parking *p = who->parking;

    if (!p)
        return;
    take_out(who);
    if (!p->first)
        uv_timer_stop(&p->timer);
}

/* ---- who goes ---- */

/* Waking may let anyone in or out, so the list is looked at anew each time. */
static struct parked *next_to_go(const struct parking *p, int64_t now_ms, bool paced, bool *there)
{
    for (struct parked *who = p->first; who; who = who->next) {
        *there = is_there(p, who);
        if (*there ? !paced : who->until_ms <= now_ms || p->stopping)
            return who;
    }
    return NULL;
}

static void let_go(struct parking *p)
{
    int64_t now_ms = loop_now_ms(p->loop);
    size_t room = p->paced_ms + PACE_MS <= now_ms ? PACE_REQUESTS : 0;
    struct parked *who;
    bool there;

    while ((who = next_to_go(p, now_ms, room == 0 && !p->stopping, &there))) {
        take_out(who);
        if (there && room > 0) {
            p->paced_ms = now_ms;
            room--;
        }
        who->wake(who, there);
    }
    plan(p);
}

static void on_timer(uv_timer_t *timer)
{
    let_go(timer->data);
}

void parking_follow(struct parking *p, const struct snapshot *snapshot)
{
    p->snapshot = snapshot;
    if (p->first)
        let_go(p);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct parking *p = handle->data;

    p->closed(p->user);
    free(p);
}

void parking_stop(struct parking *p, void (*closed)(void *user), void *user)
{
    p->stopping = true;
    p->closed = closed;
    p->user = user;
    let_go(p);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}
