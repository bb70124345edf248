/* Once a second: what the streams hold, and an end for those that stand still when all together hold too much; and which of
 * them last. */
#include "relay/edge/pool_parts.h"
#include "shared/log.h"

/* What all streams hold, and what is left of others. */
static uint64_t weigh(struct pool *p)
{
    uint64_t total = remains_look(&p->remains);

    for (struct lane *l = p->lanes; l; l = l->next)
        for (int list = L_USED; list <= L_LEAVING; list++)
            for (struct upstream *u = l->lists[list]; u; u = upstream_link(u)->next)
                total += upstream_look(u);
    return total;
}

static struct upstream *find_fattest(const struct pool *p)
{
    struct upstream *fattest = NULL;

    for (const struct lane *l = p->lanes; l; l = l->next)
        for (struct upstream *u = l->lists[L_USED]; u; u = upstream_link(u)->next)
            if (upstream_stuck(u) > (fattest ? upstream_stuck(fattest) : 0))
                fattest = u;
    return fattest;
}

/* A visitor who cannot be read from, because the service takes nothing, cannot be seen to leave either. */
static void drop_orphans(struct pool *p)
{
    for (struct lane *l = p->lanes; l; l = l->next)
        for (struct upstream *u = l->lists[L_USED], *next; u; u = next) {
            next = upstream_link(u)->next;
            if (upstream_orphaned(u))
                upstream_break(u);
        }
}

/* How much that was; 0: nothing stands still. */
static uint64_t shed_fattest(struct pool *p)
{
    struct upstream *u = find_fattest(p);
    struct remains *r = remains_fattest(&p->remains);
    uint64_t stuck = u ? upstream_stuck(u) : 0;

    if (r && r->stillness.stuck > stuck) {
        log_warn_limited("max_buffered",
                         "a response that nobody read was given up: all together hold too much");
        return remains_shed(r);
    }
    if (u) {
        log_warn_limited("max_buffered", "a stream that stood still was reset: all together hold too much",
                         kv_str("item", upstream_item(u)));
        upstream_break(u);
    }
    return stuck;
}

/* Streams that move keep what they hold: it is on its way out. */
static void shed(struct pool *p)
{
    uint64_t total = weigh(p), gone = 1;

    while (total > p->limits.max_buffered && gone > 0) {
        gone = shed_fattest(p);
        total -= gone;
    }
}

static void tell_lasting(struct lane *l, long long lasting)
{
    if (l->snap && lasting != l->lasting)
        counts_add(&l->snap->counts->lasting, lasting - l->lasting);
    l->lasting = lasting;
}

/* Those too whose stream has not even been opened. */
static void note_lasting(struct lane *l)
{
    const int lists[] = { L_USED, L_OPENING };
    long long lasting = 0;

    for (size_t i = 0; l->snap && i < sizeof lists / sizeof lists[0]; i++)
        for (struct upstream *u = l->lists[lists[i]]; u; u = upstream_link(u)->next)
            lasting += upstream_lasts(u);
    tell_lasting(l, lasting);
}

void pool_forget_lasting(struct lane *l)
{
    tell_lasting(l, 0);
}

void pool_look(struct pool *p)
{
    shed(p);
    for (struct lane *l = p->lanes; l; l = l->next)
        note_lasting(l);
    drop_orphans(p);
}
