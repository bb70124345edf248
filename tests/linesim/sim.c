#include "tests/linesim/sim.h"

#include "shared/mem.h"
#include "tests/linesim/conn.h"

#include <stdlib.h>
#include <string.h>

int sim_init(struct sim *s, struct err *e)
{
    *s = (struct sim){ 0 };
    if (loop_init(&s->loop, e) != 0)
        return -1;
    for (int d = UP; d <= DOWN; d++) {
        line_init(&s->line[d], (uint64_t)loop_now() + (uint64_t)d * 2);
        TAILQ_INIT(&s->waiting[d]);
    }
    TAILQ_INIT(&s->conns);
    TAILQ_INIT(&s->ended);
    s->scratch = mem_new(SCRATCH_BYTES);
    return 0;
}

static void free_ended(struct sim *s)
{
    struct conn *c;

    while ((c = TAILQ_FIRST(&s->ended))) {
        TAILQ_REMOVE(&s->ended, c, link);
        conn_free(c);
    }
}

void sim_free(struct sim *s)
{
    struct conn *c;

    while ((c = TAILQ_FIRST(&s->conns)))
        conn_reset(c);
    free_ended(s);
    for (size_t i = 0; i < s->listeners_n; i++)
        listener_free(&s->listeners[i]);
    free(s->listeners);
    line_free(&s->line[UP]);
    line_free(&s->line[DOWN]);
    free(s->scratch);
    loop_free(&s->loop);
}

static void deliver(struct line *line)
{
    struct line_parcel parcel;

    while (line_next(line, loop_now(), &parcel))
        flow_arrived(parcel.owner, &parcel);
}

/* Each flow that waits gets one turn, as long as the line has room. Returns whether any did. */
static bool take_turns(struct flows *waiting)
{
    struct flow *last = TAILQ_LAST(waiting, flows), *f, *next;
    bool any = false;

    for (f = TAILQ_FIRST(waiting); f; f = f == last ? NULL : next) {
        next = TAILQ_NEXT(f, turn);
        if (flow_may_take_turn(f)) {
            flow_take_turn(f);
            any = true;
        }
    }
    return any;
}

void sim_run(struct sim *s)
{
    while (!s->stop) {
        int64_t wakes_at = LINE_NEVER;
        bool busy;

        deliver(&s->line[UP]);
        deliver(&s->line[DOWN]);
        busy = take_turns(&s->waiting[UP]);
        busy |= take_turns(&s->waiting[DOWN]);
        for (int d = UP; d <= DOWN; d++)
            if (line_wakes_at(&s->line[d]) < wakes_at)
                wakes_at = line_wakes_at(&s->line[d]);
        loop_wait(&s->loop, busy ? 0 : wakes_at);
        free_ended(s);
    }
}

void sim_set(struct sim *s, const struct line_conf conf[2])
{
    for (int d = UP; d <= DOWN; d++)
        if (memcmp(&conf[d], &s->line[d].conf, sizeof conf[d]) != 0)
            line_set(&s->line[d], &conf[d], loop_now());
}

void sim_set_mode(struct sim *s, int direction, enum line_mode mode)
{
    struct line *line = &s->line[direction];
    struct line_parcel parcel;

    deliver(line);
    line_set_mode(line, mode, loop_now());
    while (mode == LINE_SWALLOWS && line_lose(line, &parcel))
        if (parcel.owner)
            flow_swallowed(parcel.owner);
}
