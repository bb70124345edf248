/* The certificates of all sites that come from authorities.
 *
 *   a snapshot is made: manager_context for each site  -> known, loaded from the store, or new
 *   tick, every few seconds and when something changed -> a job for each site that has something to do
 *   a job has ended                                    -> its certificate is shown, its next try noted
 *   no snapshot asks for a site any more               -> forgotten here; the store keeps what it has */
#include "relay/certs/manager_parts.h"
#include "shared/domain.h"
#include "shared/hook.h"
#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_MS = 2000, DAY_S = 24 * 3600 };

static void end_if_done(struct manager *m);

/* ---- sites ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

struct managed *manager_find(const struct manager *m, const char *site)
{
    struct managed *d = m->first;

    while (d && strcmp(d->names[0], site) != 0)
        d = d->next;
    return d;
}

/* The same agent's wildcard that covers every name of d; NULL when there is none. */
static struct managed *wildcard_of(const struct manager *m, const struct managed *d)
{
    for (struct managed *w = m->first; w; w = w->next) {
        size_t n = 0;

        if (w == d || !(w->wanted || w->spare) || strncmp(w->names[0], "*.", 2) != 0 ||
            !same_text(w->agent, d->agent) || !same_text(w->issuer, d->issuer))
            continue;
        while (n < d->names_n && domain_matches(w->names[0], d->names[n]))
            n++;
        if (n == d->names_n)
            return w;
    }
    return NULL;
}

bool manager_wants(const struct manager *m, const struct managed *d)
{
    if (d->wanted || !d->spare)
        return d->wanted;
    for (const struct managed *other = m->first; other; other = other->next)
        if (other->wanted && wildcard_of(m, other) == d)
            return true;
    return false;
}

const struct managed *manager_shown(const struct manager *m, const struct managed *d)
{
    const struct managed *w = d->covered ? wildcard_of(m, d) : NULL;

    return w ? w : d;
}

static void free_names(struct managed *d)
{
    for (size_t i = 0; i < d->names_n; i++)
        free(d->names[i]);
    free(d->names);
    free(d->issuer);
    free(d->agent);
}

static void managed_free(struct managed *d)
{
    if (d->asked)
        http_later_error(d->asked, 410, "this site is no longer served here");
    free_names(d);
    free(d->configured);
    free(d->trouble);
    free(d->seen);
    free(d->warning);
    json_decref(d->told);
    SSL_CTX_free(d->tls);
    meta_free(&d->meta);
    free(d);
}

struct due_site manager_due(const struct manager *m, const struct managed *d)
{
    return (struct due_site){ (const char *const *)d->names, d->names_n, m->issuers, d->issuer,
                              d->configured };
}

static void set_configured(struct manager *m, struct managed *d)
{
    struct due_site due = manager_due(m, d);

    free(d->configured);
    d->configured = due_print(&due);
}

static bool is_same(const struct managed *d, const struct manager_site *site)
{
    if (d->names_n != site->names_n || !same_text(d->issuer, site->issuer) ||
        !same_text(d->agent, site->agent))
        return false;
    for (size_t i = 0; i < d->names_n; i++)
        if (strcmp(d->names[i], site->names[i]) != 0)
            return false;
    return d->wanted == site->wanted && d->spare == site->spare && d->orders_per_day == site->orders_per_day;
}

static void describe(struct manager *m, struct managed *d, const struct manager_site *site)
{
    free_names(d);
    d->names = mem_new(site->names_n * sizeof *d->names);
    d->names_n = site->names_n;
    for (size_t i = 0; i < site->names_n; i++)
        d->names[i] = mem_copy(site->names[i]);
    d->issuer = mem_copy(site->issuer);
    d->agent = mem_copy(site->agent);
    d->wanted = site->wanted;
    d->spare = site->spare;
    d->orders_per_day = site->orders_per_day;
    d->look_again_ms = 0;
    set_configured(m, d);
    manager_wake(m);
}

/* ---- the store ---- */

struct store *manager_store(struct manager *m, struct err *e)
{
    if (!m->store)
        m->store = store_open(m->state_dir, e);
    return m->store;
}

static void show(struct manager *m, struct managed *d)
{
    bool any = d->meta.certs[META_ECDSA].there || d->meta.certs[META_RSA].there;
    struct err why = { 0 };
    SSL_CTX *tls = any ? store_context(m->store, &d->meta, &why) : NULL;

    if (any && !tls) {
        log_error("a certificate in the store cannot be used", kv_str("domain", d->names[0]),
                  kv_str("error", why.text));
        return; /* the one before stays */
    }
    SSL_CTX_free(d->tls);
    d->tls = tls;
}

static bool has_quota(struct manager *m, struct err *e)
{
    if (!m->quota)
        m->quota = quota_open(m->state_dir, e);
    return m->quota;
}

/* What there is, is served, also when nothing may be ordered because nobody knows what has been. */
static void load(struct manager *m, struct managed *d)
{
    struct err why = { 0 };
    struct meta meta;
    char *before = d->trouble;

    d->trouble = NULL;
    d->loaded = false;
    if (manager_store(m, &why) && store_load(m->store, d->names[0], &meta, &why) == 0) {
        meta_free(&d->meta);
        d->meta = meta;
        d->loaded = true;
        show(m, d);
        if (!has_quota(m, &why))
            err_wrap(&why, "no certificate can be ordered");
    }
    if (why.code != ERR_NONE) {
        d->trouble = mem_copy(why.text);
        d->load_again_ms = loop_now_ms(m->loop) + MANAGER_HELD_MS;
        if (!before || strcmp(before, why.text) != 0)
            log_error("what is known of a site's certificates cannot be read", kv_str("domain", d->names[0]),
                      kv_str("error", why.text));
    }
    free(before);
}

static struct managed *add(struct manager *m, const struct manager_site *site)
{
    struct managed *d = mem_new(sizeof *d);

    describe(m, d, site);
    meta_init(&d->meta, d->names[0]);
    d->here = -1;
    d->next = m->first;
    m->first = d;
    load(m, d);
    return d;
}

void manager_load_again(struct manager *m, const char *site)
{
    struct managed *d = manager_find(m, site);

    if (!d || d->job)
        return; /* the job's end loads it */
    load(m, d);
    manager_wake(m);
    m->events.changed(m->user);
}

/* ---- while a snapshot is made ---- */

/* One certificate does for all that a wildcard covers, as long as that can be had: its own is not ordered then. */
static bool has_wildcard(const struct manager *m, const struct managed *d)
{
    const struct managed *w = wildcard_of(m, d);
    time_t now = time(NULL);

    if (!w || (w->trouble && !w->tls) || (w->look_again_ms != 0 && !w->tls))
        return false;
    for (int slot = 0; slot < META_SLOTS; slot++)
        if (w->meta.certs[slot].there && w->meta.certs[slot].revoked_at == 0 &&
            now < w->meta.certs[slot].facts.not_after)
            return chain_has_name(&w->meta.certs[slot].facts.chain, w->names[0]);
    return !w->meta.last_error && !d->tls; /* it is on its way */
}

static bool is_trusted(const struct managed *d)
{
    for (int slot = 0; slot < META_SLOTS; slot++)
        if (d->meta.certs[slot].there && facts_is_staging(&d->meta.certs[slot].facts))
            return false;
    return true;
}

SSL_CTX *manager_context(struct manager *m, const struct manager_site *site, bool *trusted)
{
    struct managed *d = manager_find(m, site->names[0]);
    const struct managed *shown;

    if (!d)
        d = add(m, site);
    else if (!is_same(d, site))
        describe(m, d, site);
    d->used = true;
    d->covered = has_wildcard(m, d);
    shown = manager_shown(m, d);
    *trusted = is_trusted(shown);
    if (shown->tls)
        SSL_CTX_up_ref(shown->tls);
    return shown->tls;
}

void manager_forget_unused(struct manager *m)
{
    for (struct managed **at = &m->first; *at;) {
        struct managed *d = *at;

        if (d->used) {
            d->used = false;
            at = &d->next;
            continue;
        }
        *at = d->next;
        if (d->job) {
            manager_cancel(d);
            d->next = m->gone;
            m->gone = d;
        } else {
            managed_free(d);
        }
    }
}

bool manager_has(const struct manager *m, const char *site)
{
    return manager_find(m, site) != NULL;
}

void manager_try_again(struct manager *m, const char *site)
{
    struct managed *d = manager_find(m, site);

    if (!d)
        return;
    d->look_again_ms = 0;
    renewal_reset(&d->meta.retry);
    if (!d->job && m->store && store_save(m->store, &d->meta, &(struct err){ 0 }) != 0)
        return; /* the next try is when the disk says it is */
    manager_wake(m);
}

/* ---- ticks ---- */

static bool is_held(const struct manager *m, const struct managed *d)
{
    return d->look_again_ms > loop_now_ms(m->loop);
}

bool manager_looks_out(const struct manager *m, const struct managed *d)
{
    return (d->meta.left_out_n > 0 || d->meta.last_error) && loop_now_ms(m->loop) >= d->look_out_ms;
}

static bool has_work(struct manager *m, const struct managed *d, time_t now)
{
    const struct due_site due = manager_due(m, d);

    if (d->job || d->trouble || d->covered)
        return false;
    if (d->forced)
        return true;
    return manager_wants(m, d) &&
           (manager_looks_out(m, d) || (!is_held(m, d) && due_anything(&due, &d->meta, now)));
}

static const char *last_error(const struct managed *d)
{
    return d->meta.last_error ? d->meta.last_error : d->seen;
}

/* Whoever runs the site may not be who runs the relay. */
static void tell_agent(const struct manager *m, const struct managed *d, const char *hours)
{
    struct buf text = { 0 };

    buf_printf(&text, "the certificate of %s ends in %s hours, and cannot be renewed: %s", d->names[0], hours,
               last_error(d));
    m->events.notice(m->user, d->agent, "error", buf_text(&text));
    buf_free(&text);
}

/* Once a day, for each certificate that ends soon and whose renewal fails. */
static void shout(const struct manager *m, struct managed *d, time_t now)
{
    for (int slot = 0; slot < META_SLOTS; slot++) {
        const struct meta_cert *cert = &d->meta.certs[slot];
        char text[64];

        if (!cert->there || !d->meta.last_error || cert->facts.not_after - now > MANAGER_SHOUT_S ||
            (now >= d->shouted && now - d->shouted < DAY_S))
            continue;
        d->shouted = now;
        snprintf(text, sizeof text, "%lld",
                 (long long)(cert->facts.not_after > now ? (cert->facts.not_after - now) / 3600 : 0));
        log_error("a certificate ends soon, and cannot be renewed", kv_str("domain", d->names[0]),
                  kv_str("hours_left", text), kv_str("error", last_error(d)));
        if (d->agent)
            tell_agent(m, d, text);
    }
}

/* Sites in trouble: the disk may have been mended. True when there is something to publish. */
static bool load_again(struct manager *m)
{
    bool any = false;

    for (struct managed *d = m->first; d; d = d->next) {
        if (!d->trouble || d->job || loop_now_ms(m->loop) < d->load_again_ms)
            continue;
        if (d->loaded && !has_quota(m, NULL)) {
            d->load_again_ms = loop_now_ms(m->loop) + MANAGER_HELD_MS;
            continue;
        }
        load(m, d);
        any = any || d->loaded;
    }
    return any;
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
    changed = load_again(m);
    for (struct managed *d = m->first, *next; d; d = next) {
        next = d->next;
        shout(m, d, now);
        if (m->jobs < MANAGER_JOBS && d->revokes && !d->job)
            manager_revoke(m, d);
        else if (m->jobs < MANAGER_JOBS && has_work(m, d, now))
            manager_obtain(m, d);
        else
            continue;
        move_to_end(m, d);
    }
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

static void on_hook_ended(void *user)
{
    struct manager *m = user;

    m->jobs--;
    end_if_done(m);
}

static const char *hook_of(const struct manager *m, const struct meta_cert *cert)
{
    const struct issuer *by = cert->issuer ? issuers_find(m->issuers, cert->issuer) : NULL;

    return by ? by->conf->deploy_hook : "";
}

static void deploy(struct manager *m, const struct managed *d)
{
    const enum meta_slot slot = d->meta.certs[META_ECDSA].there ? META_ECDSA : META_RSA;
    const struct meta_cert *cert = &d->meta.certs[slot];
    const char *hook = hook_of(m, cert);
    json_t *not_after = json_time((time_t)cert->facts.not_after);
    char *chain = NULL, *key = NULL;
    struct buf names = { 0 };

    for (size_t i = 0; i < cert->facts.names_n; i++)
        buf_printf(&names, "%s%s", i > 0 ? " " : "", cert->facts.names[i]);
    if (hook[0] && store_pair(m->store, &d->meta, slot, &chain, &key)) {
        const struct hook_variable variables[] = {
            { "TUNNEL_DOMAIN", d->names[0] },
            { "TUNNEL_NAMES", buf_text(&names) },
            { "TUNNEL_ISSUER", cert->issuer },
            { "TUNNEL_CERT", chain },
            { "TUNNEL_KEY", key },
            { "TUNNEL_NOT_AFTER", json_string_value(not_after) },
        };

        m->jobs++;
        hook_run(m->loop, "deploy_hook", hook, variables, sizeof variables / sizeof *variables, on_hook_ended,
                 m);
    }
    free(chain);
    free(key);
    json_decref(not_after);
    buf_free(&names);
}

void manager_tell(struct manager *m, struct managed *d)
{
    json_t *cert = manager_status(m, d->names[0]);

    if (d->told && json_equal(d->told, cert)) {
        json_decref(cert);
        return;
    }
    json_decref(d->told);
    d->told = cert;
    m->events.told(m->user, d->names[0], cert);
}

void manager_set_meta(struct manager *m, struct managed *d, struct meta *takes, bool other_certificate)
{
    meta_free(&d->meta);
    d->meta = *takes;
    if (!other_certificate || m->ending)
        return;
    show(m, d);
    deploy(m, d);
    m->events.changed(m->user);
}

static void free_gone(struct manager *m)
{
    for (struct managed **at = &m->gone; *at;) {
        struct managed *d = *at;

        if (d->job) {
            at = &d->next;
        } else {
            *at = d->next;
            managed_free(d);
        }
    }
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
    free_gone(m);
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
        set_configured(m, d);
        d->look_again_ms = 0;
        if (d->trouble)
            load(m, d);
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
        managed_free(d);
    }
    issuers_release(m->issuers);
    quota_free(m->quota);
    store_free(m->store);
    free(m->state_dir);
    free(m);
    ended(user);
}
