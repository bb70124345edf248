/* What can be seen of a stream to a lane from outside, while it lives. */
#include "relay/edge/upstream_parts.h"

enum {
    UNTAKEN_MS = 60000, /* as long as a visitor has who does not read what is left for him */
    LASTING_MS = 1000,
};

struct upstream_link *upstream_link(struct upstream *u)
{
    return &u->link;
}

enum upstream_state upstream_state(const struct upstream *u)
{
    return u->state;
}

uint64_t upstream_age_us(const struct upstream *u)
{
    return uv_hrtime() / 1000 - u->opened_us;
}

bool upstream_taken(const struct upstream *u)
{
    return u->events != NULL;
}

uint64_t upstream_id(const struct upstream *u)
{
    return u->id;
}

uint64_t upstream_lane(const struct upstream *u)
{
    return u->lane;
}

const char *upstream_item(const struct upstream *u)
{
    return u->purpose.item ? u->purpose.item : "";
}

const char *upstream_route(const struct upstream *u)
{
    return u->purpose.route ? u->purpose.route : "";
}

bool upstream_is_endless(const struct upstream *u)
{
    return u->upgraded || u->endless;
}

void upstream_note_endless(struct upstream *u)
{
    u->endless = true;
}

bool upstream_answered(const struct upstream *u)
{
    return u->answered;
}

bool upstream_serves(const struct upstream *u, const struct snap_target *target,
                     const struct purpose_alone *alone)
{
    return purpose_is(&u->purpose, target, alone);
}

int64_t upstream_idle_ms(const struct upstream *u)
{
    return loop_now_ms(u->loop) - u->idle_since_ms;
}

int64_t upstream_begun_ms(const struct upstream *u)
{
    return u->begun_ms;
}

uint64_t upstream_brought(const struct upstream *u)
{
    return u->brought;
}

bool upstream_waits(const struct upstream *u)
{
    return u->events && !u->answered;
}

bool upstream_lasts(const struct upstream *u)
{
    return u->events && loop_now_ms(u->loop) - u->taken_ms >= LASTING_MS;
}

/* ---- once a second ---- */

uint64_t upstream_look(struct upstream *u)
{
    uint64_t queued = u->stream ? stream_queued(u->stream) : 0;
    uint64_t gone = u->plain ? u->credit.sent - queued : u->credit.consumed; /* nobody tells of plain ones */
    uint64_t moved = 0, held = u->credit.sent - gone;

    if (u->events)
        held += u->events->held(u->user, &moved);
    stillness_look(&u->stillness, moved + gone, held);
    if (u->stillness.looks == 0)
        u->moved_at_ms = loop_now_ms(u->loop);
    return held;
}

uint64_t upstream_stuck(const struct upstream *u)
{
    return !u->events ? 0 : u->events->stuck ? u->events->stuck(u->user) : u->stillness.stuck;
}

/* Both sides have ended, and nobody waits for what the service does not take. */
static bool is_left_over(const struct upstream *u)
{
    return u->stillness.stuck > 0 && u->got_eof && loop_now_ms(u->loop) - u->moved_at_ms >= UNTAKEN_MS &&
           u->events->said_all(u->user);
}

/* Who has ended his side and waits for the service is not read any more, and nothing may be held; so of one that is
 * upgraded, which has no time limit, it is asked anyway. */
bool upstream_orphaned(const struct upstream *u)
{
    if (!u->events)
        return false;
    if (u->upgraded)
        return stillness_lasts(&u->stillness) && (u->events->gone(u->user) || is_left_over(u));
    return upstream_stuck(u) > 0 && u->events->gone(u->user);
}
