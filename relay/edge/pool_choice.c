/* Which lane a request goes to: one that works, to a machine whose service works; of these the machine that comes first,
 * or has the least to do. */
#include "relay/edge/pool_parts.h"
#include "relay/edge/service_h2.h"
#include "shared/mem.h"

#include <string.h>

enum {
    RECENT_MS = 1000,     /* so long after an answer a service does not close a connection */
    LAST_WORDS_MS = 1000, /* for what has no end of its own */
    LOOKED_AT = 8,        /* streams of a lane, each time that one is given back */
    TOGETHER = 128, /* requests on one lane, at most: sshd looks at all of its channels whenever it wakes */
    LASTING_BEARABLE = 16, /* by so many more than on another lane */
    STALLED_MS = 300,      /* without any answer on a lane that was asked, while the machine is brisk */
};

/* ---- machines ---- */

static struct machine *find_machine(const struct pool *p, const struct snap_lane *snap)
{
    struct machine *m = p->machines;

    while (m && (strcmp(m->agent, snap->agent) != 0 || strcmp(m->boot, snap->boot) != 0))
        m = m->next;
    return m;
}

static struct machine *add_machine(struct pool *p, const struct snap_lane *snap)
{
    struct machine *m = machine_new(snap->agent, snap->boot);

    m->next = p->machines;
    p->machines = m;
    return m;
}

void pool_leave_machine(struct lane *l)
{
    struct machine **at = &l->pool->machines, *m = l->machine;

    l->machine = NULL;
    if (--m->lanes > 0)
        return;
    while (*at && *at != m)
        at = &(*at)->next;
    *at = m->next;
    machine_free(m);
}

void pool_join_machine(struct lane *l)
{
    struct machine *m = l->plain ? l->machine : find_machine(l->pool, l->snap); /* nobody knows a plain one */

    if (m && m == l->machine)
        return;
    if (!m)
        m = add_machine(l->pool, l->snap);
    m->lanes++;
    if (l->machine)
        pool_leave_machine(l);
    l->machine = m;
}

static bool takes_more(const struct pool *p, const struct machine *m)
{
    const struct lane *l = p->lanes;

    while (l && !(l->machine == m && (l->snap || l->plain)))
        l = l->next;
    return l;
}

static bool has_only_endless(const struct pool *p, const struct machine *m)
{
    for (const struct lane *l = p->lanes; l; l = l->next)
        for (struct upstream *u = l->machine == m ? l->lists[L_USED] : NULL; u; u = upstream_link(u)->next)
            if (!upstream_is_endless(u))
                return false;
    return true;
}

static void break_all(struct lane *l)
{
    for (struct upstream *u = l->lists[L_USED], *next; u; u = next) {
        next = upstream_link(u)->next;
        upstream_break(u);
    }
}

void pool_let_machines_go(struct pool *p)
{
    int64_t now_ms = loop_now_ms(p->loop);

    for (struct machine *m = p->machines; m; m = m->next) {
        if (takes_more(p, m))
            m->left_at_ms = 0;
        else if (m->left_at_ms == 0)
            m->left_at_ms = now_ms;
        else if (now_ms - m->left_at_ms >= LAST_WORDS_MS && has_only_endless(p, m))
            for (struct lane *l = p->lanes; l; l = l->next)
                if (l->machine == m)
                    break_all(l);
    }
}

void pool_take_news(struct pool *p, const struct snapshot *snapshot)
{
    const struct snap_down *downs;
    size_t n = snapshot_downs(snapshot, &downs);
    int64_t now_ms = loop_now_ms(p->loop);

    for (struct machine *m = p->machines; m; m = m->next)
        machine_begin_news(m);
    for (size_t i = 0; i < n; i++) {
        struct lane *l = pool_find_lane(p, downs[i].lane->id);

        if (l)
            machine_note_told(l->machine, downs[i].item, downs[i].route, downs[i].how, now_ms);
    }
    for (struct machine *m = p->machines; m; m = m->next)
        machine_end_news(m);
}

/* Whether a request to the same service has had nothing of its answer yet; only the youngest are looked at. One whose connection is
 * older than u's, by more than they may overtake one another on their way, waits for something else, such as a long poll. */
static bool one_waits(const struct lane *l, const struct upstream *u)
{
    struct upstream *other = l->lists[L_USED];

    for (int n = 0; other && n < LOOKED_AT; n++) {
        if (!upstream_answered(other) &&
            upstream_begun_ms(other) + POOL_OVERTAKE_MS >= upstream_begun_ms(u) &&
            strcmp(upstream_item(other), upstream_item(u)) == 0 &&
            strcmp(upstream_route(other), upstream_route(u)) == 0)
            return true;
        other = upstream_link(other)->next;
    }
    return false;
}

/* A small service answers one connection after another, each until it is closed: who waits would wait for as long as this
 * one is kept. */
static bool is_waited_for(const struct lane *l, const struct upstream *u)
{
    for (const struct lane *other = l->pool->lanes; other; other = other->next)
        if (other->machine == l->machine && one_waits(other, u))
            return true;
    return false;
}

void pool_note_used(const struct lane *l, struct upstream *u)
{
    if (upstream_answered(u))
        machine_note_done(l->machine, upstream_brought(u), loop_now_ms(l->pool->loop));
    if (upstream_state(u) == UPSTREAM_IDLE && is_waited_for(l, u))
        upstream_hurry(u);
    if (l->machine->doubts_n > 0 && upstream_answered(u))
        machine_note_answered(l->machine, upstream_item(u), upstream_route(u));
}

void pool_note_unanswered(struct lane *l)
{
    const int lists[] = { L_USED, L_OPENING };

    for (size_t i = 0; l->asked_at_ms != 0 && i < sizeof lists / sizeof lists[0]; i++)
        for (struct upstream *u = l->lists[lists[i]]; u; u = upstream_link(u)->next)
            if (upstream_waits(u))
                return;
    l->asked_at_ms = 0;
}

void pool_note_end(const struct lane *l, struct upstream *u, enum upstream_end how)
{
    int64_t now_ms = loop_now_ms(l->pool->loop);

    switch (how) {
    case UPSTREAM_LOST: machine_note_lost(l->machine, now_ms); break;
    case UPSTREAM_REFUSED:
        if (upstream_link(u)->asked)
            break;
        machine_note_failed(l->machine, upstream_item(u), upstream_route(u), LANE_SERVICE_REFUSED, now_ms);
        break;
    case UPSTREAM_UNREACHABLE:
        machine_note_failed(l->machine, upstream_item(u), upstream_route(u), LANE_SERVICE_UNREACHABLE,
                            now_ms);
        break;
    case UPSTREAM_SILENT:
        machine_note_failed(l->machine, upstream_item(u), upstream_route(u), LANE_SERVICE_SILENT, now_ms);
        break;
    default: break;
    }
}

/* ---- lanes ---- */

static long long streams_of(const struct snap_lane *lane)
{
    return atomic_load_explicit(&lane->counts->streams, memory_order_relaxed);
}

static long long lasting_of(const struct snap_lane *lane)
{
    return atomic_load_explicit(&lane->counts->lasting, memory_order_relaxed);
}

/* What sshd costs is mostly its waking up: short requests that share a lane share that, and those shared out over two lanes
 * cost the whole path a third more. So where many come they keep together. Of two lanes to one machine. */
static bool keep_together(const struct lane *l, const struct lane *other)
{
    return machine_is_brisk(l->machine, loop_now_ms(l->pool->loop)) && streams_of(l->snap) < TOGETHER &&
           streams_of(other->snap) < TOGETHER;
}

static bool has_too_many_lasting(const struct lane *l, const struct lane *other)
{
    return lasting_of(l->snap) > lasting_of(other->snap) + LASTING_BEARABLE;
}

/* What comes on another lane shows that the machine is well: it is this one that stands still. */
static bool is_stalled(const struct lane *l)
{
    int64_t now_ms = loop_now_ms(l->pool->loop);

    return l->asked_at_ms != 0 && now_ms - l->asked_at_ms >= STALLED_MS &&
           machine_is_brisk(l->machine, now_ms);
}

/* They stay where they are, for with them goes what is kept; but out of the way of many that last, and of a lane that
 * stands still. */
static bool is_better_lane(const struct lane *l, const struct lane *other)
{
    uint64_t home = l->machine->together;

    if (!keep_together(l, other))
        return streams_of(l->snap) < streams_of(other->snap);
    if (is_stalled(l) != is_stalled(other))
        return is_stalled(other);
    if (has_too_many_lasting(l, other) || has_too_many_lasting(other, l))
        return has_too_many_lasting(other, l);
    if ((l->id == home) != (other->id == home))
        return l->id == home;
    return l->id < other->id;
}

/* Not when there is only no room for this one. */
static void move_home(const struct lane *chosen)
{
    struct machine *m = chosen->machine;
    const struct lane *home = pool_find_lane(chosen->pool, m->together);

    if (!home || !home->snap || home->machine != m || has_too_many_lasting(home, chosen) || is_stalled(home))
        m->together = chosen->id;
}

struct option {
    struct lane *lane;
    const struct snap_way *way;
    bool ill;     /* its machine's service cannot be had */
    bool unsound; /* the last stream to it was not answered */
    bool full;
    bool avoided; /* its machine has just lost a stream, or has failed this very request */
};

/* The first difference decides. What cannot be had and what has just died come last: they have the least to do. Whoever
 * stands by gets nothing while one before him is well, be that one full or busy. Then requests in progress count, those of
 * all workers: first a machine's, then its lanes', unless short ones keep together; among equal machines each has its turn. */
static bool is_better(const struct option *a, const struct option *b)
{
    const struct machine *m = a->lane->machine, *other = b->lane->machine;

    if (a->ill != b->ill)
        return b->ill;
    if (a->unsound != b->unsound)
        return b->unsound;
    if (a->way->priority != b->way->priority)
        return a->way->priority < b->way->priority;
    if (a->full != b->full)
        return b->full;
    if (a->avoided != b->avoided)
        return b->avoided;
    if (a->way->lane->busy != b->way->lane->busy)
        return b->way->lane->busy;
    if (m->load != other->load)
        return m->load < other->load;
    if (m != other)
        return m->turn < other->turn;
    return is_better_lane(a->lane, b->lane);
}

/* A trial is for whoever comes first: not for a request that has failed once. */
static bool is_ill(const struct machine *m, const struct snap_target *target, bool again, int64_t now_ms)
{
    enum machine_health health = machine_health(m, target->item, target->route, now_ms);

    return health == MACHINE_ILL || (again && health == MACHINE_TRIAL);
}

static void weigh_machines(struct pool *p, const struct snap_target *target)
{
    p->choices++;
    for (size_t i = 0; i < target->lanes_n; i++) {
        const struct lane *l = pool_find_lane(p, target->lanes[i].lane->id);

        if (!l)
            continue;
        if (l->machine->asked != p->choices)
            l->machine->load = 0;
        l->machine->asked = p->choices;
        l->machine->load += streams_of(target->lanes[i].lane);
    }
}

static struct option option_of(struct lane *l, const struct snap_target *target, const struct snap_way *way,
                               const struct lane *failed, int64_t now_ms)
{
    const struct machine *m = l->machine;

    return (struct option){ .lane = l,
                            .way = way,
                            .ill = is_ill(m, target, failed != NULL, now_ms),
                            .unsound = now_ms < l->retry_at_ms,
                            .full = !pool_has_room(l),
                            .avoided = machine_is_suspect(m, now_ms) || (failed && failed->machine == m) };
}

struct lane *pool_choose(struct pool *p, const struct snap_target *target, uint64_t not_lane,
                         const struct snap_way **way)
{
    const struct lane *failed = not_lane ? pool_find_lane(p, not_lane) : NULL;
    int64_t now_ms = loop_now_ms(p->loop);
    struct option best = { 0 };

    weigh_machines(p, target);
    for (size_t i = 0; i < target->lanes_n; i++) {
        struct lane *l = pool_find_lane(p, target->lanes[i].lane->id);
        struct option option;

        if (!l || !l->snap || l->id == not_lane)
            continue;
        option = option_of(l, target, &target->lanes[i], failed, now_ms);
        option.full = option.full && !(way && service_h2_has_room(l, target));
        if (!best.lane || is_better(&option, &best))
            best = option;
    }
    if (!best.lane || best.full)
        return NULL;
    best.lane->machine->turn = p->choices;
    move_home(best.lane);
    machine_begin_trial_if_due(best.lane->machine, target->item, target->route, now_ms);
    if (way)
        *way = best.way;
    return best.lane;
}

bool pool_has_other(const struct pool *p, const struct snap_target *target, uint64_t lane)
{
    const struct lane *failed = pool_find_lane(p, lane);
    int64_t now_ms = loop_now_ms(p->loop);

    for (size_t i = 0; i < target->lanes_n; i++) {
        struct lane *l = pool_find_lane(p, target->lanes[i].lane->id);
        struct option option;

        if (!l || !l->snap || l->id == lane)
            continue;
        option = option_of(l, target, &target->lanes[i], failed, now_ms);
        if (!option.ill && !option.unsound && !option.full && !option.avoided)
            return true;
    }
    return false;
}

/* ---- streams that have served already ---- */

static struct upstream *find_idle(const struct lane *l, const struct snap_target *target,
                                  const struct purpose_alone *alone, enum pool_reuse reuse)
{
    struct upstream *u = reuse == POOL_FRESH || reuse == POOL_HTTP2 ? NULL : l->lists[L_IDLE];

    for (; u; u = upstream_link(u)->next)
        if (upstream_serves(u, target, alone) && upstream_link(u)->claim == l->snap->claim &&
            (reuse == POOL_ANY || upstream_idle_ms(u) < RECENT_MS))
            return u;
    return NULL;
}

/* Another lane to the same machine will do, if it is not busy: a kept stream saves the service a connection. Unless short
 * requests keep together: then that one only makes room for one here. */
static struct upstream *find_idle_there(const struct pool *p, const struct lane *l,
                                        const struct snap_target *target, const struct purpose_alone *alone,
                                        enum pool_reuse reuse, struct upstream **in_the_way)
{
    struct upstream *u = find_idle(l, target, alone, reuse);

    for (size_t i = 0; !u && i < target->lanes_n; i++) {
        const struct lane *other = pool_find_lane(p, target->lanes[i].lane->id);

        if (!other || other == l || !other->snap || other->machine != l->machine ||
            (target->lanes[i].lane->busy && !l->snap->busy))
            continue;
        u = find_idle(other, target, alone, reuse);
        if (u && keep_together(l, other)) {
            *in_the_way = u;
            u = NULL;
        }
    }
    return u;
}

/* One that was kept for too long to be trusted is in the way of a service that answers one connection after another. */
struct upstream *pool_find_idle(const struct pool *p, const struct lane *l, const struct snap_target *target,
                                const struct purpose_alone *alone, enum pool_reuse reuse)
{
    struct upstream *in_the_way = NULL, *old;
    struct upstream *u = find_idle_there(p, l, target, alone, reuse, &in_the_way);

    if (!u && !in_the_way && reuse == POOL_RECENT) {
        old = find_idle_there(p, l, target, alone, POOL_ANY, &in_the_way);
        in_the_way = old ? old : in_the_way;
    }
    if (!u && in_the_way)
        upstream_close(in_the_way);
    return u;
}
