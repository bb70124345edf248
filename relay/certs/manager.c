/* The certificates of all sites that come from authorities.
 *
 *   a snapshot is made: manager_context for each site  -> manager_sites.c
 *   tick, every few seconds and when something changed -> a job for each site that has something to do: manager_jobs.c
 *   a job has ended                                    -> its certificate is shown, its next try noted */
#include "relay/certs/manager_parts.h"
#include "shared/http/fetch.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_MS = 2000 };

static void end_if_done(struct manager *m);

/* ---- ticks ---- */

static bool is_held(const struct manager *m, const struct managed *d)
{
    return d->look_again_ms > loop_now_ms(m->loop);
}

bool manager_looks_out(const struct manager *m, const struct managed *d)
{
    return (d->meta.left_out_n > 0 || d->meta.last_error) && loop_now_ms(m->loop) >= d->look_out_ms;
}

static bool has_work(const struct manager *m, const struct managed *d, time_t now)
{
    const struct due_site due = manager_due(m, d);

    if (d->job || d->trouble || d->covered || m->imports)
        return false;
    if (d->forced)
        return true;
    return manager_wants(m, d) &&
           (manager_looks_out(m, d) ||
            (!is_held(m, d) && (d->kept.chain_pem || due_anything(&due, &d->meta, now))));
}

/* So that every site has its turn, also while others are held up again and again. */
static void move_to_end(struct manager *m, struct managed *d)
{
    struct managed **at = &m->first;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = d;
}

static void on_tick(uv_timer_t *timer)
{
    struct manager *m = timer->data;
    time_t now = time(NULL);
    bool changed;

    if (m->ending)
        return;
    changed = manager_load_troubled(m);
    for (struct managed *d = m->first, *next; d; d = next) {
        next = d->next;
        changed = manager_show_good(m, d, now) || changed;
        changed = manager_wildcard_changed(d, now) || changed;
        manager_tell_state(m, d, now);
        manager_deploy(m, d);
        manager_shout(m, d, now);
        if (m->jobs < MANAGER_JOBS && d->revokes && !d->job)
            manager_revoke(m, d);
        else if (m->jobs < MANAGER_JOBS && has_work(m, d, now))
            manager_obtain(m, d);
        else
            continue;
        move_to_end(m, d);
    }
    manager_clear_old(m, now);
    uv_timer_start(&m->tick, on_tick, TICK_MS, 0);
    if (changed)
        m->events.changed(m->user);
}

void manager_wake(struct manager *m)
{
    if (!m->ending)
        uv_timer_start(&m->tick, on_tick, 0, 0);
}

/* ---- what jobs bring ---- */

void manager_set_meta(struct manager *m, struct managed *d, struct meta *takes, bool other_certificate)
{
    if (!m->ending)
        manager_tell_left_out(m, d, takes);
    meta_free(&d->meta);
    d->meta = *takes;
    if (!other_certificate || m->ending)
        return;
    manager_show(m, d);
    d->to_deploy =
        d->to_deploy || store_deploys(m->store, d->names[0]); /* by the next tick: its job has ended then */
    m->events.changed(m->user);
}

void manager_task_ended(struct manager *m)
{
    m->jobs--;
    end_if_done(m);
}

void manager_job_ended(struct manager *m, struct managed *d)
{
    d->job = NULL;
    m->jobs--;
    if (m->jobs == 0)
        fetch_rest();
    if (!m->ending && strncmp(d->names[0], "*.", 2) == 0)
        m->events.changed(m->user); /* what it covers may be served with it, or has to have its own */
    if (!m->ending && manager_find(m, d->names[0]) == d)
        manager_tell(m, d);
    manager_free_gone(m);
    manager_import_waiting(m);
    manager_wake(m);
    end_if_done(m);
}

/* ---- start, reload, end ---- */

struct manager *manager_start(struct loop *loop, const struct opt_conf *conf, const char *state_dir,
                              const struct obtain_help *help, const struct manager_events *events, void *user)
{
    struct manager *m = mem_new(sizeof *m);

    m->loop = loop;
    m->conf = conf;
    m->state_dir = mem_copy(state_dir);
    m->help = help;
    m->events = *events;
    m->user = user;
    m->issuers = issuers_new(conf, state_dir, NULL);
    uv_timer_init(&loop->uv, &m->tick);
    m->tick.data = m;
    return m;
}

/* The sites themselves are described anew by the snapshot that follows. */
void manager_reload(struct manager *m, const struct opt_conf *conf)
{
    struct issuers *before = m->issuers;

    m->conf = conf;
    m->issuers = issuers_new(conf, m->state_dir, before);
    issuers_release(before);
    for (struct managed *d = m->first; d; d = d->next) {
        manager_set_configured(m, d);
        d->look_again_ms = 0;
        if (d->trouble)
            manager_load(m, d);
        else
            manager_deploy_again(m, d);
    }
    manager_wake(m);
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct manager *m = handle->data;

    m->closed = true;
    end_if_done(m);
}

void manager_stop(struct manager *m)
{
    if (m->ending)
        return;
    m->ending = true;
    manager_import_end(m);
    for (struct managed *d = m->first; d; d = d->next)
        manager_cancel(d);
    uv_close((uv_handle_t *)&m->tick, on_tick_closed);
}

static void end_if_done(struct manager *m)
{
    void (*ended)(void *user) = m->events.ended;
    void *user = m->user;

    if (!m->closed || m->jobs > 0)
        return;
    assert(!m->gone);
    for (struct managed *d = m->first, *next; d; d = next) {
        next = d->next;
        manager_free_site(d);
    }
    manager_old_free(&m->old);
    issuers_release(m->issuers);
    quota_free(m->quota);
    store_free(m->store);
    free(m->state_dir);
    free(m);
    ended(user);
}
