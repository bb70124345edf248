#include "agent/link/lane_count.h"

#include <stdbool.h>

static bool is_short(const struct lane_count *c, size_t lanes, size_t up, size_t streams)
{
    if (lanes < c->min)
        return true;
    /* While one of them is not up yet, its share is still to come. */
    return lanes < c->max && up >= lanes && streams > LANE_MANY_STREAMS * lanes;
}

enum lane_change lane_count_tick(struct lane_count *c, size_t lanes, size_t up, size_t streams)
{
    bool one_less_would_do = lanes > c->min && streams < LANE_FEW_STREAMS * (lanes - 1);

    c->calm = one_less_would_do ? c->calm + 1 : 0;
    if (is_short(c, lanes, up, streams))
        return LANES_OPEN;
    if (lanes <= c->max && c->calm < LANE_CALM_TICKS)
        return LANES_STAY;
    c->calm = 0;
    return LANES_CLOSE;
}
