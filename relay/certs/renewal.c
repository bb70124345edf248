#include "relay/certs/renewal.h"

#include <stddef.h>

enum {
    MINUTE_S = 60,
    HOUR_S = 3600,
    DAY_S = 86400,
    LONGEST_WAIT_S = 7 * DAY_S,  /* that an authority may ask for: none of their limits looks back further */
    SHORT_LIFE_S = 10 * DAY_S,   /* below it, half of the life is left for tries, not a third */
    LAST_PART = 20,              /* of the life: whatever the authority suggests */
    SPREAD_PART = 30,            /* of the life, a day at most: how much earlier by chance */
    FARTHEST_LOOK_S = 2 * DAY_S, /* that is never chosen */
    LOOK_S = 6 * HOUR_S,         /* between two looks at a suggestion, unless the authority says otherwise */
    HASTY_TRIES = 3,
    CLOCK_SLACK_S = 2, /* clocks are set by little all the time */
};

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t life_of(const struct renewal *r)
{
    return r->not_after > r->not_before ? r->not_after - r->not_before : 0;
}

static int64_t by_chance(int64_t below, uint32_t random)
{
    return below > 0 ? (int64_t)((double)random / ((double)UINT32_MAX + 1) * (double)below) : 0;
}

/* How much of the life is left for tries. */
static int64_t left_of(const struct renewal *r)
{
    int64_t life = life_of(r);

    return life < SHORT_LIFE_S ? life / 2 : life / 3;
}

static int64_t moment_by_life(const struct renewal *r, uint32_t random)
{
    int64_t life = life_of(r);

    return r->not_after - left_of(r) - by_chance(min_of(DAY_S, life / SPREAD_PART), random);
}

void renewal_begin(struct renewal *r, int64_t not_before, int64_t not_after, uint32_t random)
{
    *r = (struct renewal){ .not_before = not_before, .not_after = not_after };
    r->moment = moment_by_life(r, random);
}

int renewal_suggested(struct renewal *r, const struct renewal_window *window, uint32_t random, struct err *e)
{
    if (window->start <= 0 || window->end <= window->start)
        return err_set(
            e, ERR_PEER,
            "the authority suggests to renew in a span that ends before it begins; the certificate's "
            "own life decides instead");
    if (window->start == r->window.start && window->end == r->window.end)
        return 0;
    r->window = *window;
    r->moment = window->start + by_chance(window->end - window->start, random);
    return 1;
}

void renewal_unsuggested(struct renewal *r, uint32_t random)
{
    if (r->window.end == 0)
        return;
    r->window = (struct renewal_window){ 0 };
    r->moment = moment_by_life(r, random);
}

static int64_t last_moment(const struct renewal *r)
{
    return r->not_after - life_of(r) / LAST_PART;
}

int64_t renewal_at(const struct renewal *r)
{
    return min_of(r->moment, last_moment(r));
}

const char *renewal_why(const struct renewal *r)
{
    if (r->moment > last_moment(r))
        return "a twentieth of its life is left then";
    if (r->window.end != 0)
        return "the authority suggests it";
    return life_of(r) < SHORT_LIFE_S ? "half of its life is left then" : "a third of its life is left then";
}

bool renewal_is_due(const struct renewal *r, int64_t now)
{
    return now >= renewal_at(r);
}

bool renewal_may_leave_out(const struct renewal *r, int64_t now)
{
    return now >= r->not_after - left_of(r) / 2;
}

int64_t renewal_next_look(int64_t now, int64_t retry_after_s, uint32_t random)
{
    int64_t wait = retry_after_s > 0 ? retry_after_s : LOOK_S;

    if (wait < MINUTE_S)
        wait = MINUTE_S;
    wait = min_of(wait, DAY_S);
    return now + wait + by_chance(wait / 10, random);
}

int64_t renewal_next_look_failed(int64_t now, uint32_t random)
{
    return renewal_next_look(now, 0, random);
}

bool renewal_may_look(int64_t next_look, int64_t now)
{
    return now >= next_look || next_look - now > FARTHEST_LOOK_S;
}

/* ---- tries ---- */

static int64_t wait_of(uint32_t failures)
{
    static const int64_t waits[] = { 60, 600, 6000 }; /* 1, 10, 100 minutes */

    return failures <= sizeof waits / sizeof waits[0] ? waits[failures - 1] : DAY_S;
}

void renewal_failed(struct renewal_retry *r, int64_t now, enum renewal_patience patience, int64_t at_least_s,
                    uint32_t random)
{
    int64_t wait;

    if (r->failures < UINT32_MAX)
        r->failures++;
    wait = patience == RENEWAL_SLOW ? DAY_S : wait_of(r->failures);
    if (wait < at_least_s)
        wait = min_of(at_least_s, LONGEST_WAIT_S);
    r->last_try = now;
    r->asked_until = at_least_s > 0 ? now + min_of(at_least_s, LONGEST_WAIT_S) : 0;
    r->next_try = now + wait + by_chance(min_of(wait, DAY_S) / 8, random);
}

bool renewal_hasten(struct renewal_retry *r, int64_t now)
{
    int64_t at = r->failures > HASTY_TRIES ? r->last_try + HOUR_S : now;

    if (at < r->asked_until)
        at = r->asked_until;
    if (at >= r->next_try)
        return false;
    r->next_try = at;
    return true;
}

void renewal_reset(struct renewal_retry *r)
{
    *r = (struct renewal_retry){ 0 };
}

static bool clock_went_back(const struct renewal_retry *r, int64_t now)
{
    return now < r->last_try - CLOCK_SLACK_S;
}

bool renewal_may_try(const struct renewal_retry *r, int64_t now)
{
    return now >= r->next_try || clock_went_back(r, now);
}

bool renewal_mend_clock(struct renewal_retry *r, int64_t now)
{
    if (!clock_went_back(r, now))
        return false;
    r->next_try = now + (r->next_try - r->last_try);
    r->last_try = now;
    return true;
}
