/* What one worker keeps, a visitor of another may wait for: a small service answers one connection after another, each until
 * it is closed. So a request that has had nothing of its answer for a while is told to the other workers, and each of
 * them gives up the connection to that service that it has kept longest. One that is younger than the request is in nobody's
 * way: then the service has taken up others meanwhile, and the request waits for something else, such as a long poll. */
#include "relay/edge/pool_parts.h"

enum {
    PATIENCE_MS = 100, /* most services answer sooner */
    AGAIN_MS = 250,
    GIVEN_UP_MS = 60000, /* many have to be answered before one who came last */
    TOLD_AT_ONCE = 8,
};

struct told {
    uint64_t lanes[TOLD_AT_ONCE], services[TOLD_AT_ONCE];
    size_t n;
};

/* Two that are alike cost a connection that was kept, no more. */
static uint64_t add_text(uint64_t key, const char *text)
{
    for (const char *at = text; *at; at++)
        key = (key ^ (unsigned char)*at) * 0x100000001b3; /* FNV-1a */
    return key * 0x100000001b3;
}

static uint64_t service_of(const struct upstream *u)
{
    return add_text(add_text(0xcbf29ce484222325, upstream_item(u)), upstream_route(u));
}

/* One that was kept has been taken up by its service; only a new one may stand in a queue. */
static bool may_wait(struct upstream *u, int64_t now_ms)
{
    return !upstream_used_before(u) && !upstream_answered(u) && !upstream_link(u)->http2 &&
           now_ms - upstream_begun_ms(u) < GIVEN_UP_MS;
}

static bool is_told(struct told *told, uint64_t lane, uint64_t service)
{
    for (size_t i = 0; i < told->n; i++)
        if (told->lanes[i] == lane && told->services[i] == service)
            return true;
    return false;
}

static void tell(const struct lane *l, const struct upstream *u, struct told *told)
{
    uint64_t service = service_of(u);

    if (told->n == TOLD_AT_ONCE || is_told(told, l->id, service))
        return;
    told->lanes[told->n] = l->id;
    told->services[told->n++] = service;
    l->pool->events->waits(l->pool->user, l->id, service, upstream_begun_ms(u));
}

/* The list has the youngest first, so of those to one service it is told: all that are in its way are in the others' as well. */
static bool look_at(const struct lane *l, enum list list, int64_t now_ms, struct told *told)
{
    bool any = false;

    for (struct upstream *u = l->lists[list]; u; u = upstream_link(u)->next) {
        if (!upstream_taken(u) || !may_wait(u, now_ms))
            continue;
        any = true;
        if (list == L_USED && now_ms - upstream_begun_ms(u) >= PATIENCE_MS)
            tell(l, u, told);
    }
    return any;
}

static void on_look(uv_timer_t *timer)
{
    struct pool *p = timer->data;
    int64_t now_ms = loop_now_ms(p->loop);
    struct told told = { .n = 0 };
    bool again = false;

    for (const struct lane *l = p->lanes; l; l = l->next) {
        again |= look_at(l, L_OPENING, now_ms, &told); /* these may have to wait yet */
        again |= look_at(l, L_USED, now_ms, &told);
    }
    if (again)
        uv_timer_start(timer, on_look, AGAIN_MS, 0);
}

void pool_look_for_waits(struct pool *p)
{
    if (p->limits.workers > 1 && !p->stopping && !uv_is_active((uv_handle_t *)&p->waits))
        uv_timer_start(&p->waits, on_look, PATIENCE_MS, 0);
}

void pool_note_waits(struct pool *p, uint64_t lane, uint64_t service, int64_t since_ms)
{
    const struct lane *waits = pool_find_lane(p, lane);
    struct upstream *longest = NULL;

    for (const struct lane *l = waits ? p->lanes : NULL; l; l = l->next)
        for (struct upstream *u = l->machine == waits->machine ? l->lists[L_IDLE] : NULL; u;
             u = upstream_link(u)->next)
            if (service_of(u) == service && upstream_begun_ms(u) <= since_ms + POOL_OVERTAKE_MS &&
                (!longest || upstream_idle_ms(u) > upstream_idle_ms(longest)))
                longest = u;
    if (longest)
        upstream_close(longest);
}
