/* agent/link/lane_count.h - how many lanes to a relay there should be. Pure.
 *
 * A value. Asked once a second, it says at most one change at a time. */
#ifndef AGENT_LINK_LANE_COUNT_H
#define AGENT_LINK_LANE_COUNT_H
#include <stddef.h>

enum {
    LANE_MANY_STREAMS = 128, /* per lane: sshd looks at all of its channels whenever anything happens */
    LANE_FEW_STREAMS = 64,   /* per lane that would be left */
    LANE_CALM_TICKS = 60,    /* so long few, and one lane is closed */
};

struct lane_count {
    size_t min, max;
    int calm; /* seconds for which one lane less would do */
};

enum lane_change { LANES_STAY, LANES_OPEN, LANES_CLOSE };

/* lanes: without those that are leaving. streams: in use, on all of them. */
enum lane_change lane_count_tick(struct lane_count *c, size_t lanes, size_t up, size_t streams);
#endif
