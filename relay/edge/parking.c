/* One list in the order of coming. Ten times a second, as long as somebody waits, and whenever there are news of lanes,
 * it is looked through for those who may go. */
#include "relay/edge/parking.h"

#include "shared/mem.h"

#include <stdlib.h>

struct parking {
    struct loop *loop;
    unsigned workers;
    const struct snapshot *snapshot;
    struct parked *first, *last;
    size_t n, bytes;
    uv_timer_t tick;
    int64_t paced_ms; /* when some were last woken for a lane */
    bool draining;
    void (*closed)(void *user);
    void *user;
};

static void on_tick(uv_timer_t *timer);

struct parking *parking_new(struct loop *loop, unsigned workers)
{
    struct parking *p = mem_new(sizeof *p);

    p->loop = loop;
    p->workers = workers;
    p->paced_ms = loop_now_ms(loop) - PARKING_PACE_MS;
    uv_timer_init(&loop->uv, &p->tick);
    p->tick.data = p;
    return p;
}

/* ---- who waits ---- */

static size_t share(const struct parking *p, size_t of_all)
{
    return of_all > p->workers ? of_all / p->workers : 1;
}

static bool has_room(const struct parking *p, const struct parking_place *place)
{
    return p->n < share(p, PARKING_REQUESTS) && place->bytes <= share(p, PARKING_BYTES) - p->bytes &&
           atomic_load_explicit(&place->counts->parked, memory_order_relaxed) < PARKING_PER_SITE;
}

static const struct snap_target *find_site(const struct snapshot *s, const char *host)
{
    const struct snap_site *site = snapshot_find(s, str_of(host));

    return site ? &site->own : NULL;
}

bool parking_enter(struct parking *p, struct parked *who, const struct parking_place *place)
{
    int64_t now_ms = loop_now_ms(p->loop);

    if (who->until_ms == 0)
        who->until_ms = now_ms + place->ms;
    if (p->draining || who->until_ms <= now_ms || !has_room(p, place))
        return false;
    who->parking = p;
    who->host = mem_format("%.*s", STR_ARG(place->host));
    who->find = place->find ? place->find : find_site;
    who->counts = counts_hold(place->counts);
    who->not_lane = place->not_lane;
    who->bytes = place->bytes;
    who->since_ms = now_ms;
    who->news = PARKING_NONE;
    who->next = NULL;
    who->prev = p->last;
    *(p->last ? &p->last->next : &p->first) = who;
    p->last = who;
    p->n++;
    p->bytes += who->bytes;
    counts_add(&who->counts->parked, 1);
    if (p->n == 1)
        uv_timer_start(&p->tick, on_tick, PARKING_PACE_MS, PARKING_PACE_MS);
    return true;
}

bool parking_grow(struct parked *who, size_t bytes)
{
    struct parking *p = who->parking;
    size_t more = bytes > who->bytes ? bytes - who->bytes : 0;

    if (more > share(p, PARKING_BYTES) - p->bytes)
        return false;
    who->bytes += more;
    p->bytes += more;
    return true;
}

void parking_leave(struct parked *who)
{
    struct parking *p = who->parking;

    if (!p)
        return;
    *(who->prev ? &who->prev->next : &p->first) = who->next;
    *(who->next ? &who->next->prev : &p->last) = who->prev;
    who->parking = NULL;
    p->n--;
    p->bytes -= who->bytes;
    counts_add(&who->counts->parked, -1);
    counts_release(who->counts);
    free(who->host);
    if (p->n == 0)
        uv_timer_stop(&p->tick);
}

/* ---- who goes ---- */

/* A lane that has failed him counts again once it is clear that it has not died. */
static enum parking_news news_of_lanes(const struct parking *p, const struct parked *who, int64_t now_ms)
{
    const struct snap_target *target = p->snapshot ? who->find(p->snapshot, who->host) : NULL;

    if (!target)
        return p->snapshot ? PARKING_LANE : PARKING_NONE;
    for (size_t i = 0; i < target->lanes_n; i++)
        if (target->lanes[i].lane->id != who->not_lane)
            return PARKING_LANE;
    return target->lanes_n > 0 && now_ms - who->since_ms >= PARKING_NEWS_MS ? PARKING_SAME : PARKING_NONE;
}

static enum parking_news news_for(const struct parking *p, const struct parked *who, int64_t now_ms,
                                  size_t room)
{
    enum parking_news news = p->draining ? PARKING_OVER : news_of_lanes(p, who, now_ms);

    if (news == PARKING_LANE || news == PARKING_SAME)
        return room > 0 ? news : PARKING_NONE; /* late, but his turn will come */
    return who->until_ms <= now_ms ? PARKING_OVER : news;
}

static struct parked *next_with_news(const struct parking *p)
{
    struct parked *who = p->first;

    while (who && who->news == PARKING_NONE)
        who = who->next;
    return who;
}

/* Whoever is woken may come back, or make others leave: so first it is noted who is to go, and then the list is looked
 * at anew each time. */
static void let_go(struct parking *p)
{
    int64_t now_ms = loop_now_ms(p->loop);
    size_t room = now_ms - p->paced_ms >= PARKING_PACE_MS ? share(p, PARKING_PACE) : 0;
    struct parked *who;

    for (who = p->first; who; who = who->next) {
        who->news = news_for(p, who, now_ms, room);
        if (who->news == PARKING_LANE || who->news == PARKING_SAME) {
            p->paced_ms = now_ms;
            room--;
        }
    }
    while ((who = next_with_news(p))) {
        enum parking_news news = who->news;

        parking_leave(who);
        who->wake(who->user, news);
    }
}

static void on_tick(uv_timer_t *timer)
{
    let_go(timer->data);
}

void parking_follow(struct parking *p, const struct snapshot *snapshot)
{
    p->snapshot = snapshot;
    let_go(p);
}

/* ---- end ---- */

void parking_drain(struct parking *p)
{
    p->draining = true;
    let_go(p);
}

static void on_closed(uv_handle_t *handle)
{
    struct parking *p = handle->data;

    p->closed(p->user);
    free(p);
}

void parking_stop(struct parking *p, void (*closed)(void *user), void *user)
{
    parking_drain(p);
    p->closed = closed;
    p->user = user;
    uv_close((uv_handle_t *)&p->tick, on_closed);
}
