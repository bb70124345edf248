/* relay/edge/pool_parts.h - what pool.c, pool_choice.c, pool_look.c and pool_waits.c share. */
#ifndef RELAY_EDGE_POOL_PARTS_H
#define RELAY_EDGE_POOL_PARTS_H
#include "relay/edge/machine.h"
#include "relay/edge/pool.h"
#include "shared/retry.h"

/* By how much connections to a service may overtake one another on their way to it. */
enum { POOL_OVERTAKE_MS = 1000 };

enum list { L_OPENING, L_WARM, L_IDLE, L_USED, L_LEAVING, LISTS };

struct lane {
    struct pool *pool;
    struct lane *next;
    uint64_t id;
    const struct snap_lane *snap; /* NULL: the lane is gone; its streams are leaving */
    struct machine *machine;      /* at its other end */
    bool plain;                   /* no agent there: nothing is kept warm, and nobody to be told anything */
    struct service_h2 *shared;    /* connections by HTTP/2, each on a stream of the used ones */
    struct upstream *lists[LISTS];
    unsigned n[LISTS];
    unsigned wanted;   /* warm streams */
    long long lasting; /* of the used ones; known to the other workers by the lane's counts */
    int64_t
        asked_at_ms; /* since then something waits, and nothing has been heard; 0: nothing waits, or it has */
    int64_t missed_at_ms, proved_at_ms;
    struct retry retry;
    int64_t retry_at_ms; /* no attempt before */
};

struct pool {
    struct loop *loop;
    const struct pool_events *events;
    void *user;
    struct pool_limits limits;
    struct lane *lanes;
    struct machine *machines;
    unsigned long long choices;
    struct dial_names names; /* of plain lanes' hosts */
    struct remains_list remains;
    struct round *round; /* of the loop */
    uv_timer_t tick, waits;
    int timers_open;
    bool stopping;
};

/* pool.c */
struct lane *pool_find_lane(const struct pool *p, uint64_t id); /* NULL: there is none */
bool pool_has_room(const struct lane *l);                       /* for one more visitor */
struct upstream *pool_take_from(struct lane *l, const struct snap_target *target,
                                const struct purpose_alone *alone, enum pool_reuse reuse,
                                const struct upstream_events *events, void *user);

/* pool_choice.c: which lane a request goes to. not_lane as in pool_take. NULL: none can take it. way: set to that lane's,
 * for a request that may join others on a stream by HTTP/2; or NULL. */
struct lane *pool_choose(struct pool *p, const struct snap_target *target, uint64_t not_lane,
                         const struct snap_way **way);
/* One that has served this target, of the lane or of others to the same machine. */
struct upstream *pool_find_idle(const struct pool *p, const struct lane *l, const struct snap_target *target,
                                const struct purpose_alone *alone, enum pool_reuse reuse);
/* A lane belongs to the machine that its snap names, until it leaves. */
void pool_join_machine(struct lane *l);
void pool_leave_machine(struct lane *l);
void pool_note_used(const struct lane *l, struct upstream *u); /* somebody has done with it */
void pool_note_unanswered(
    struct lane *l); /* a stream has gone without an answer, or before it was asked for one */
void pool_note_end(const struct lane *l, struct upstream *u, enum upstream_end how);
/* What has no end of its own is broken off, where nothing else is left for an agent that is going to end. */
void pool_let_machines_go(struct pool *p);
void pool_look(struct pool *p);           /* pool_look.c: at all streams, once a second */
void pool_forget_lasting(struct lane *l); /* it leaves the snapshot */
void pool_look_for_waits(struct pool *p); /* pool_waits.c: a request has begun on a new stream */
void pool_take_news(struct pool *p, const struct snapshot *snapshot); /* of services that are down */
#endif
