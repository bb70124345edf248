#include "relay/edge/machine.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* A service that cannot be had, or that its agent still says cannot be had though a request was answered since. */
struct machine_doubt {
    char *item, *route;
    enum lane_service how;
    bool told, heard; /* by its agent; heard: again, in the news that are being taken */
    bool failing;
    int64_t wait_ms, trial_at_ms;
};

struct machine *machine_new(const char *agent, const char *boot)
{
    struct machine *m = mem_new(sizeof *m);

    m->agent = mem_copy(agent);
    m->boot = mem_copy(boot);
    return m;
}

static void drop(struct machine *m, struct machine_doubt *d)
{
    free(d->item);
    free(d->route);
    *d = m->doubts[--m->doubts_n];
}

void machine_free(struct machine *m)
{
    while (m->doubts_n > 0)
        drop(m, &m->doubts[m->doubts_n - 1]);
    free(m->doubts);
    free(m->agent);
    free(m->boot);
    free(m);
}

void machine_note_lost(struct machine *m, int64_t now_ms)
{
    m->suspect_until_ms = now_ms + MACHINE_SUSPECT_MS;
}

bool machine_is_suspect(const struct machine *m, int64_t now_ms)
{
    return now_ms < m->suspect_until_ms;
}

void machine_note_done(struct machine *m, uint64_t bytes, int64_t now_ms)
{
    struct machine_pace *pace = &m->pace;
    int64_t rated_ms = now_ms - pace->rated_at_ms;

    pace->done++;
    pace->bytes += bytes;
    if (rated_ms < MACHINE_RATED_MS)
        return;
    *pace =
        (struct machine_pace){ .rated_at_ms = now_ms,
                               .brisk = pace->done * 1000 >= (unsigned long long)rated_ms * MACHINE_BRISK &&
                                        pace->bytes <= pace->done * MACHINE_SHORT_BYTES };
}

/* Where nothing is done any more, nobody rates it. */
bool machine_is_brisk(const struct machine *m, int64_t now_ms)
{
    return m->pace.brisk && now_ms - m->pace.rated_at_ms < (int64_t)2 * MACHINE_RATED_MS;
}

/* ---- services ---- */

static struct machine_doubt *find(const struct machine *m, const char *item, const char *route)
{
    for (unsigned i = 0; i < m->doubts_n; i++)
        if (strcmp(m->doubts[i].item, item) == 0 && strcmp(m->doubts[i].route, route) == 0)
            return &m->doubts[i];
    return NULL;
}

static struct machine_doubt *find_or_add(struct machine *m, const char *item, const char *route)
{
    struct machine_doubt *d = find(m, item, route);

    if (d)
        return d;
    m->doubts = mem_grow(m->doubts, (m->doubts_n + 1) * sizeof *m->doubts);
    d = &m->doubts[m->doubts_n++];
    *d = (struct machine_doubt){ .item = mem_copy(item), .route = mem_copy(route) };
    return d;
}

static void wait_for_trial(struct machine_doubt *d, int64_t now_ms)
{
    if (d->how == LANE_SERVICE_SILENT)
        d->wait_ms = MACHINE_SILENT_TRIAL_MS;
    else if (d->wait_ms == 0 || d->wait_ms > MACHINE_LAST_TRIAL_MS)
        d->wait_ms = MACHINE_TRIAL_MS;
    else if (2 * d->wait_ms <= MACHINE_LAST_TRIAL_MS)
        d->wait_ms *= 2;
    d->trial_at_ms = now_ms + d->wait_ms;
}

/* Many requests find out at once: those that were under way when the first one did change nothing more. */
static void begin_failing(struct machine_doubt *d, enum lane_service how, int64_t now_ms)
{
    bool before = d->failing;

    d->how = how;
    d->failing = true;
    if (!before) {
        d->wait_ms = 0;
        wait_for_trial(d, now_ms);
    }
}

void machine_note_failed(struct machine *m, const char *item, const char *route, enum lane_service how,
                         int64_t now_ms)
{
    begin_failing(find_or_add(m, item, route), how, now_ms);
}

void machine_note_answered(struct machine *m, const char *item, const char *route)
{
    struct machine_doubt *d = find(m, item, route);

    if (d && d->told)
        d->failing = false; /* a later word of its agent will take it away */
    else if (d)
        drop(m, d);
}

void machine_begin_news(struct machine *m)
{
    for (unsigned i = 0; i < m->doubts_n; i++)
        m->doubts[i].heard = false;
}

void machine_note_told(struct machine *m, const char *item, const char *route, enum lane_service how,
                       int64_t now_ms)
{
    struct machine_doubt *d = find_or_add(m, item, route);

    if (!d->told || d->how != how)
        begin_failing(d, how, now_ms);
    d->told = d->heard = true;
}

/* What its agent has called down and does not any more is up again. What only we have found out it has yet to say. */
void machine_end_news(struct machine *m)
{
    for (unsigned i = m->doubts_n; i > 0; i--)
        if (m->doubts[i - 1].told && !m->doubts[i - 1].heard)
            drop(m, &m->doubts[i - 1]);
}

enum machine_health machine_health(const struct machine *m, const char *item, const char *route,
                                   int64_t now_ms)
{
    const struct machine_doubt *d = m->doubts_n > 0 ? find(m, item, route) : NULL;

    if (!d || !d->failing)
        return MACHINE_WELL;
    return now_ms >= d->trial_at_ms ? MACHINE_TRIAL : MACHINE_ILL;
}

void machine_begin_trial_if_due(struct machine *m, const char *item, const char *route, int64_t now_ms)
{
    struct machine_doubt *d = m->doubts_n > 0 ? find(m, item, route) : NULL;

    if (d && d->failing && now_ms >= d->trial_at_ms)
        wait_for_trial(d, now_ms);
}
