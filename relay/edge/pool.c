/* One record for each lane holds its streams, by state. Once a second the pool looks after each lane: warm streams as
 * many as the demand asks for, and one of them proved anew when for a minute nothing else has shown that the lane works. */
#include "relay/edge/pool_parts.h"
#include "relay/edge/service_h1.h"
#include "relay/edge/service_h2.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    MIN_WARM = 2, /* of all workers together */
    MAX_WARM = 16,
    MAX_LEAVING = 100, /* beyond max_streams: then all together stay below sshd's usual 1,024 descriptors */
    PROOF_MS = 60 * 1000, /* a lane is proved as often */
    CALM_MS = 10 * 1000,  /* so long without a miss, and half as many are kept beyond the least */
    FIRST_RETRY_MS = 100,
    LAST_RETRY_MS = 5000,
    TICK_MS = 1000,
};

static void on_moved(void *user, struct upstream *u, enum upstream_state before);
static void on_failed(void *user, struct upstream *u);
static void on_silent(void *user, struct upstream *u);
static void on_heard(void *user, struct upstream *u);
static void on_aborted(void *user, struct upstream *u);
static void on_ended(void *user, struct upstream *u, enum upstream_end how);
static void on_gone(void *user, struct upstream *u);
static void on_tick(uv_timer_t *timer);
static void end_if_empty(struct pool *p);

static const struct upstream_owner owner = { on_moved,   on_failed, on_silent, on_heard,
                                             on_aborted, on_ended,  on_gone };

/* ---- lists ---- */

static enum list list_of(enum upstream_state state)
{
    switch (state) {
    case UPSTREAM_OPENING: return L_OPENING;
    case UPSTREAM_WARM: return L_WARM;
    case UPSTREAM_IDLE: return L_IDLE;
    case UPSTREAM_USED: return L_USED;
    default: return L_LEAVING;
    }
}

static void put_in(struct lane *l, struct upstream *u, enum list list)
{
    struct upstream_link *link = upstream_link(u);

    link->prev = NULL;
    link->next = l->lists[list];
    if (link->next)
        upstream_link(link->next)->prev = u;
    l->lists[list] = u;
    l->n[list]++;
}

static void take_out(struct lane *l, struct upstream *u, enum list list)
{
    struct upstream_link *link = upstream_link(u);

    if (link->prev)
        upstream_link(link->prev)->next = link->next;
    else
        l->lists[list] = link->next;
    if (link->next)
        upstream_link(link->next)->prev = link->prev;
    l->n[list]--;
}

/* Without those that leave: they only wait for the agent. */
static unsigned streams(const struct lane *l)
{
    return l->n[L_OPENING] + l->n[L_WARM] + l->n[L_IDLE] + l->n[L_USED];
}

struct lane *pool_find_lane(const struct pool *p, uint64_t id)
{
    struct lane *l = p->lanes;

    while (l && l->id != id)
        l = l->next;
    return l;
}

/* ---- opening ---- */

static unsigned share(unsigned of_all, unsigned workers)
{
    return of_all > workers ? of_all / workers : 1;
}

static unsigned most(const struct lane *l)
{
    return share(l->pool->limits.max_streams, l->pool->limits.workers);
}

static bool has_many_leaving(const struct lane *l)
{
    return streams(l) + l->n[L_LEAVING] >= most(l) + share(MAX_LEAVING, l->pool->limits.workers);
}

static struct upstream *open_stream(struct lane *l)
{
    struct pool *p = l->pool;
    struct upstream_host host = { p->loop, p->round, &p->names };
    struct err why = { 0 };
    struct upstream *u;

    if (streams(l) >= most(l) || has_many_leaving(l))
        return NULL;
    u = upstream_open(&host, l->snap, p->events->next_id(p->user), &owner, l, &why);
    if (u)
        put_in(l, u, L_OPENING);
    else
        log_warn_limited(l->snap->agent, "cannot open a stream", kv_str("agent", l->snap->agent),
                         kv_str("error", why.text));
    return u;
}

static unsigned spare(const struct lane *l)
{
    unsigned n = l->n[L_WARM];

    for (struct upstream *u = l->lists[L_OPENING]; u; u = upstream_link(u)->next)
        n += !upstream_taken(u);
    return n;
}

/* One that nobody has taken yet. */
static struct upstream *find_opening(const struct lane *l)
{
    struct upstream *u = l->lists[L_OPENING];

    while (u && upstream_taken(u))
        u = upstream_link(u)->next;
    return u;
}

static void keep_warm(struct lane *l)
{
    if (l->pool->stopping || !l->snap || loop_now_ms(l->pool->loop) < l->retry_at_ms)
        return;
    for (unsigned n = spare(l); n < l->wanted && open_stream(l); n++)
        continue;
}

/* ---- what streams tell ---- */

static void on_moved(void *user, struct upstream *u, enum upstream_state before)
{
    struct lane *l = user;
    enum list from = list_of(before), to = list_of(upstream_state(u));

    if (from != to) {
        take_out(l, u, from);
        put_in(l, u, to);
    }
    if (from == L_USED)
        pool_note_used(l, u);
    if ((from == L_USED || from == L_OPENING) && to != L_USED && to != L_IDLE && to != L_WARM)
        pool_note_unanswered(l);
    if (to == L_IDLE && !l->snap)
        upstream_close(u); /* nobody can ask for it any more */
    if (l->plain || before != UPSTREAM_OPENING ||
        (upstream_state(u) != UPSTREAM_WARM && upstream_state(u) != UPSTREAM_USED))
        return;
    retry_succeeded(&l->retry);
    l->retry_at_ms = 0;
    l->proved_at_ms = loop_now_ms(l->pool->loop);
    l->pool->events->proved(l->pool->user, l->id, upstream_age_us(u));
}

static void on_failed(void *user, struct upstream *u)
{
    struct lane *l = user;
    uint32_t random = 0, wait_ms;

    (void)u;
    if (l->pool->stopping || l->plain)
        return;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)uv_hrtime(); /* it only spreads attempts */
    if (loop_now_ms(l->pool->loop) < l->retry_at_ms)
        return; /* those that fail together count as one */
    wait_ms = retry_failed(&l->retry, random);
    l->retry_at_ms = loop_now_ms(l->pool->loop) + wait_ms;
    log_debug("a stream was not answered", kv_str("agent", l->snap ? l->snap->agent : NULL),
              kv_int("lane", (int64_t)l->id), kv_int("retry_ms", wait_ms));
    if (wait_ms < TICK_MS)
        uv_timer_start(&l->pool->tick, on_tick, wait_ms, TICK_MS);
}

static void on_silent(void *user, struct upstream *u)
{
    struct lane *l = user;

    if (upstream_taken(u))
        log_warn_limited(l->snap ? l->snap->agent : "pool", "a visitor waits, and a lane does not answer",
                         kv_str("agent", l->snap ? l->snap->agent : NULL), kv_int("lane", (int64_t)l->id));
    l->pool->events->silent(l->pool->user, l->id);
}

static void on_heard(void *user, struct upstream *u)
{
    struct lane *l = user;

    (void)u;
    l->asked_at_ms = 0;
}

static void on_aborted(void *user, struct upstream *u)
{
    struct lane *l = user;

    l->pool->events->aborted(l->pool->user, l->id, upstream_id(u));
}

static void on_ended(void *user, struct upstream *u, enum upstream_end how)
{
    pool_note_end(user, u, how);
}

static void free_if_unused(struct pool *p, struct lane *l)
{
    struct lane **at = &p->lanes;

    if (l->snap || streams(l) + l->n[L_LEAVING] > 0)
        return;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    pool_leave_machine(l);
    free(l);
}

static void on_gone(void *user, struct upstream *u)
{
    struct lane *l = user;
    struct pool *p = l->pool;

    take_out(l, u, list_of(upstream_state(u)));
    free_if_unused(p, l);
    end_if_empty(p);
}

/* ---- for requests ---- */

static struct upstream *find_longest_idle(const struct lane *l)
{
    struct upstream *u = l->lists[L_IDLE];

    while (u && upstream_link(u)->next)
        u = upstream_link(u)->next;
    return u;
}

/* In a full lane what serves nobody makes room for a visitor. */
static struct upstream *open_for_visitor(struct lane *l)
{
    struct upstream *idle = streams(l) >= most(l) ? find_longest_idle(l) : NULL;
    struct upstream *u;

    if (idle)
        upstream_close(idle);
    u = open_stream(l);
    return u ? u : find_opening(l);
}

/* A miss asks for more of them from now on. */
static struct upstream *take_warm(struct lane *l)
{
    unsigned max = share(MAX_WARM, l->pool->limits.workers);

    if (l->lists[L_WARM])
        return l->lists[L_WARM];
    l->missed_at_ms = loop_now_ms(l->pool->loop);
    l->wanted = 2 * l->wanted < max ? 2 * l->wanted : max;
    return open_for_visitor(l);
}

/* What serves nobody can be used, or closed to make room. */
bool pool_has_room(const struct lane *l)
{
    return spare(l) > 0 || (streams(l) - l->n[L_IDLE] < most(l) && !has_many_leaving(l));
}

static void note_asked(const struct pool *p, const struct upstream *u)
{
    struct lane *l = pool_find_lane(p, upstream_lane(u)); /* a kept stream may be another's */

    if (l && l->asked_at_ms == 0)
        l->asked_at_ms = loop_now_ms(p->loop);
}

struct upstream *pool_take_from(struct lane *l, const struct snap_target *target,
                                const struct purpose_alone *alone, enum pool_reuse reuse,
                                const struct upstream_events *events, void *user)
{
    struct upstream *u = pool_find_idle(l->pool, l, target, alone, reuse);

    if (!u)
        u = take_warm(l);
    if (!u)
        return NULL;
    upstream_link(u)->http2 = reuse == POOL_HTTP2;
    upstream_take(u, target, alone, events, user);
    note_asked(l->pool, u);
    if (!upstream_used_before(u)) {
        upstream_link(u)->claim = l->snap->claim;
        pool_look_for_waits(l->pool);
    }
    keep_warm(l);
    return u;
}

struct upstream *pool_take(struct pool *p, const struct snap_target *target,
                           const struct purpose_alone *alone, enum pool_reuse reuse, uint64_t not_lane,
                           const struct upstream_events *events, void *user)
{
    struct lane *l = pool_choose(p, target, not_lane, NULL);

    return l ? pool_take_from(l, target, alone, reuse, events, user) : NULL;
}

bool pool_serve(struct pool *p, const struct snap_target *target, const struct pool_wants *wants,
                const struct upstream_events *events, void *user, struct service_side *side)
{
    const struct snap_way *way;
    struct lane *l = pool_choose(p, target, wants->not_lane, &way);
    struct upstream *u;

    if (!l)
        return false;
    if (way->http2 == POLICY_HTTP2_ALONE || (way->http2 == POLICY_HTTP2_ASKED && wants->http2))
        return service_h2_join(l, way, target, wants->alone, events, user, side);
    u = pool_take_from(l, target, wants->alone, wants->reuse, events, user);
    if (u)
        *side = service_h1(u);
    return u;
}

/* ---- once a second ---- */

static void prove_again(struct lane *l, int64_t now_ms)
{
    if (l->plain || now_ms - l->proved_at_ms < PROOF_MS || l->n[L_OPENING] > 0 || now_ms < l->retry_at_ms)
        return;
    if (l->lists[L_WARM])
        upstream_close(l->lists[L_WARM]); /* keep_warm opens another, which is the proof */
    else
        open_stream(l);
}

/* sshd walks all its channels whenever it wakes: with 16 warm ones a lone visitor's round trip cost it half as much again. */
static void want_fewer(struct lane *l, int64_t now_ms)
{
    unsigned least = share(MIN_WARM, l->pool->limits.workers);

    if (l->wanted <= least || now_ms - l->missed_at_ms <= CALM_MS)
        return;
    l->wanted -= (l->wanted - least + 1) / 2;
    l->missed_at_ms = now_ms;
    while (l->n[L_WARM] > l->wanted)
        upstream_close(l->lists[L_WARM]);
}

static void look_after(struct lane *l, int64_t now_ms)
{
    if (!l->snap)
        return;
    want_fewer(l, now_ms);
    prove_again(l, now_ms);
    keep_warm(l);
}

struct remains_list *pool_remains(struct pool *p)
{
    return &p->remains;
}

static void on_tick(uv_timer_t *timer)
{
    struct pool *p = timer->data;

    for (struct lane *l = p->lanes; l; l = l->next) {
        look_after(l, loop_now_ms(p->loop));
        service_h2_look(l);
    }
    pool_look(p);
    pool_let_machines_go(p);
}

/* ---- all of them ---- */

struct pool *pool_new(struct loop *loop, struct round *round, const struct pool_limits *limits,
                      const struct pool_events *events, void *user)
{
    struct pool *p = mem_new(sizeof *p);

    p->loop = loop;
    p->round = round;
    p->limits = *limits;
    p->events = events;
    p->user = user;
    uv_timer_init(&loop->uv, &p->tick);
    p->tick.data = p;
    uv_timer_start(&p->tick, on_tick, TICK_MS, TICK_MS);
    uv_timer_init(&loop->uv, &p->waits);
    p->waits.data = p;
    p->timers_open = 2;
    return p;
}

static void each(struct lane *l, enum list list, void (*act)(struct upstream *u))
{
    for (struct upstream *u = l->lists[list], *next; u; u = next) {
        next = upstream_link(u)->next;
        act(u);
    }
}

static void close_if_unused(struct upstream *u)
{
    if (!upstream_taken(u))
        upstream_stop(u);
}

/* A secret serves only streams that it has opened. */
static void drop_unused(struct lane *l)
{
    each(l, L_WARM, upstream_stop);
    each(l, L_OPENING, close_if_unused);
    l->retry_at_ms = 0;
    retry_init(&l->retry, FIRST_RETRY_MS, LAST_RETRY_MS);
}

static void update(struct lane *l, const struct snap_lane *snap)
{
    bool same = snap && l->snap && memcmp(snap->secret, l->snap->secret, sizeof snap->secret) == 0;

    if (!snap)
        pool_forget_lasting(l);
    l->snap = snap;
    if (snap)
        pool_join_machine(l);
    if (!same)
        drop_unused(l);
    if (!snap)
        each(l, L_IDLE, upstream_close);
}

static struct lane *add_lane(struct pool *p, const struct snap_lane *snap)
{
    struct lane *l = mem_new(sizeof *l);

    l->pool = p;
    l->id = snap->id;
    l->snap = snap;
    l->plain = snap_lane_is_plain(snap);
    l->wanted = l->plain ? 0 : share(MIN_WARM, p->limits.workers);
    l->proved_at_ms = loop_now_ms(p->loop);
    retry_init(&l->retry, FIRST_RETRY_MS, LAST_RETRY_MS);
    l->next = p->lanes;
    p->lanes = l;
    pool_join_machine(l);
    return l;
}

void pool_follow(struct pool *p, const struct snapshot *snapshot)
{
    const struct snap_lane *const *snaps;
    size_t n = snapshot_lanes(snapshot, &snaps);

    for (struct lane *l = p->lanes, *next; l; l = next) {
        const struct snap_lane *now = NULL;

        next = l->next;
        for (size_t i = 0; i < n && !now; i++)
            now = snaps[i]->id == l->id ? snaps[i] : NULL;
        update(l, now);
        free_if_unused(p, l);
    }
    for (size_t i = 0; i < n; i++) {
        struct lane *l = pool_find_lane(p, snaps[i]->id);

        keep_warm(l ? l : add_lane(p, snaps[i]));
    }
    pool_take_news(p, snapshot);
}

/* Also among those that were given back meanwhile: what is said comes by way of another thread. */
static struct upstream *find_stream(const struct pool *p, uint64_t lane, uint64_t id)
{
    static const enum list lists[] = { L_USED, L_IDLE, L_LEAVING };
    struct lane *l = pool_find_lane(p, lane);

    for (size_t i = 0; l && i < sizeof lists / sizeof *lists; i++)
        for (struct upstream *u = l->lists[lists[i]]; u; u = upstream_link(u)->next)
            if (upstream_id(u) == id)
                return u;
    return NULL;
}

void pool_note_ended(struct pool *p, uint64_t lane, uint64_t stream, enum lane_how how)
{
    struct upstream *u = find_stream(p, lane, stream);

    if (u)
        upstream_note_ended(u, how);
}

void pool_note_consumed(struct pool *p, uint64_t lane, uint64_t stream, uint64_t total)
{
    struct upstream *u = find_stream(p, lane, stream);

    if (u)
        upstream_note_consumed(u, total);
}

/* ---- end ---- */

static void end_if_empty(struct pool *p)
{
    if (!p->stopping || p->timers_open > 0 || p->lanes)
        return;
    p->events->ended(p->user);
    free(p);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct pool *p = handle->data;

    p->timers_open--;
    end_if_empty(p);
}

void pool_stop(struct pool *p)
{
    p->stopping = true;
    uv_close((uv_handle_t *)&p->tick, on_timer_closed);
    uv_close((uv_handle_t *)&p->waits, on_timer_closed);
    for (struct lane *l = p->lanes, *next; l; l = next) {
        next = l->next;
        l->snap = NULL;
        service_h2_stop(l);
        for (int list = 0; list < LISTS; list++)
            each(l, (enum list)list, upstream_stop);
        free_if_unused(p, l);
    }
}
