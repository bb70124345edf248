/* THE LIFE OF A SITE, as far as its certificates go:
 *
 *   a snapshot asks for it -> described, loaded from the store -> shown: its own certificate, or a wildcard's that covers it
 *                          -> no snapshot asks for it any more: forgotten here; the store keeps what it has */
#include "relay/certs/manager_parts.h"
#include "shared/domain.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- sites ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static struct managed *find_in(struct managed *list, const char *site)
{
    while (list && strcmp(list->names[0], site) != 0)
        list = list->next;
    return list;
}

struct managed *manager_find(const struct manager *m, const char *site)
{
    return find_in(m->first, site);
}

struct managed *manager_find_gone(const struct manager *m, const char *site)
{
    return find_in(m->gone, site);
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

void manager_free_site(struct managed *d)
{
    if (d->asked)
        http_later_error(d->asked, 410, "this site is no longer served here");
    free_names(d);
    free(d->configured);
    free(d->trouble);
    free(d->seen);
    free(d->disk);
    kept_free(&d->kept);
    free(d->warning);
    free(d->undeployed);
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

void manager_set_configured(struct manager *m, struct managed *d)
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
    return d->wanted == site->wanted && d->spare == site->spare && d->sites_max == site->sites_max;
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
    if (m->started && site->wanted && !d->wanted) {
        d->came = true;
        d->look_out_ms = 0;
    }
    d->wanted = site->wanted;
    d->spare = site->spare;
    d->sites_max = site->sites_max;
    d->look_again_ms = 0;
    manager_set_configured(m, d);
    manager_wake(m);
}

/* ---- the store ---- */

struct store *manager_store(struct manager *m, struct err *e)
{
    if (!m->store)
        m->store = store_open(m->state_dir, e);
    return m->store;
}

/* One that is newer than what is in the store goes first. */
static SSL_CTX *make_context(const struct manager *m, const struct managed *d, time_t now, struct err *e)
{
    return d->kept.chain_pem ? kept_context(&d->kept, e) : store_context(m->store, &d->meta, now, e);
}

void manager_show(struct manager *m, struct managed *d)
{
    time_t now = time(NULL);
    bool any = d->kept.chain_pem || store_shown(&d->meta, now) != 0;
    struct err why = { 0 };
    SSL_CTX *tls = any ? make_context(m, d, now, &why) : NULL;

    d->tls_shown = store_shown(&d->meta, now);
    if (any && !tls) {
        log_error("a certificate in the store cannot be used", kv_str("domain", d->names[0]),
                  kv_str("error", why.text));
        return; /* the one before stays */
    }
    SSL_CTX_free(d->tls);
    d->tls = tls;
}

bool manager_show_good(struct manager *m, struct managed *d, time_t now)
{
    if (!d->loaded || store_shown(&d->meta, now) == d->tls_shown)
        return false;
    manager_show(m, d);
    return true;
}

static bool has_quota(struct manager *m, struct err *e)
{
    if (!m->quota)
        m->quota = quota_open(m->state_dir, e);
    return m->quota;
}

/* What there is, is served, also when nothing may be ordered because nobody knows what has been. */
void manager_load(struct manager *m, struct managed *d)
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
        manager_note_deployment(m, d);
        manager_deploy_again(m, d);
        if (!d->job && !d->meta.order.url) /* a kill may have come between an order's end and its key's */
            store_drop_order_key(m->store, d->names[0]);
        manager_show(m, d);
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

/* Sites in trouble: the disk may have been mended. True when there is something to publish. */
bool manager_load_troubled(struct manager *m)
{
    bool any = false;

    for (struct managed *d = m->first; d; d = d->next) {
        if (!d->trouble || d->job || loop_now_ms(m->loop) < d->load_again_ms)
            continue;
        if (d->loaded && !has_quota(m, NULL)) {
            d->load_again_ms = loop_now_ms(m->loop) + MANAGER_HELD_MS;
            continue;
        }
        manager_load(m, d);
        any = any || d->loaded;
    }
    return any;
}

/* One that was forgotten, whose job has not ended yet: a second one would work in the same folder of the store. */
static struct managed *take_back(struct manager *m, const struct manager_site *site)
{
    struct managed *d = manager_find_gone(m, site->names[0]), **at = &m->gone;

    if (!d)
        return NULL;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->next = m->first;
    m->first = d;
    d->told_state = NULL;
    json_decref(d->told);
    d->told = NULL;
    d->wanted = false; /* it was gone, and is added again */
    describe(m, d, site);
    return d;
}

static struct managed *add(struct manager *m, const struct manager_site *site)
{
    struct managed *d = take_back(m, site);

    if (d)
        return d;
    d = mem_new(sizeof *d);
    describe(m, d, site);
    meta_init(&d->meta, d->names[0]);
    d->here = -1;
    d->next = m->first;
    m->first = d;
    manager_load(m, d);
    return d;
}

void manager_load_again(struct manager *m, const char *site)
{
    struct managed *d = manager_find(m, site);

    if (!d || d->job)
        return; /* the job's end loads it */
    manager_load(m, d);
    manager_wake(m);
    m->events.changed(m->user);
}

/* ---- while a snapshot is made ---- */

static bool covers_its_names(const struct managed *w, enum meta_slot slot, time_t now)
{
    return meta_is_good(&w->meta, slot, now) && chain_has_name(&w->meta.certs[slot].facts.chain, w->names[0]);
}

/* A wildcard's certificate, as what it covers may rely on it. In the second half of the time for its renewal sites get their own,
 * in time to have one before it ends. */
static enum manager_wildcard wildcard_now(const struct managed *w, time_t now)
{
    enum manager_wildcard best = WILDCARD_NONE;

    for (int slot = 0; slot < META_SLOTS; slot++) {
        if (!covers_its_names(w, (enum meta_slot)slot, now))
            continue;
        if (!renewal_may_leave_out(&w->meta.certs[slot].renewal, now))
            return WILDCARD_DOES;
        best = WILDCARD_ENDS;
    }
    return best;
}

bool manager_wildcard_changed(struct managed *d, time_t now)
{
    enum manager_wildcard before = d->as_wildcard;

    if (strncmp(d->names[0], "*.", 2) == 0)
        d->as_wildcard = wildcard_now(d, now);
    return d->as_wildcard != before;
}

/* One certificate does for all that a wildcard covers, as long as that can be had: its own is not ordered then. */
static bool has_wildcard(const struct manager *m, const struct managed *d, time_t now)
{
    const struct managed *w = wildcard_of(m, d);

    if (!w || (w->trouble && !w->tls) || (w->look_again_ms != 0 && !w->tls))
        return false;
    switch (wildcard_now(w, now)) {
    case WILDCARD_DOES: return true;
    case WILDCARD_NONE:
        return !w->meta.last_error && !d->tls; /* it, or another in its place, is on its way */
    case WILDCARD_ENDS: break;
    }
    return false;
}

/* Until its own certificate is there, or while that is not good, a wildcard's does that is. */
static const struct managed *shown_to_visitors(const struct manager *m, const struct managed *d, time_t now)
{
    const struct managed *w = wildcard_of(m, d);
    bool own = meta_is_good(&d->meta, META_ECDSA, now) || meta_is_good(&d->meta, META_RSA, now);

    if (!w || (!d->covered && (own || wildcard_now(w, now) == WILDCARD_NONE)))
        return d;
    return w;
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
    time_t now = time(NULL);

    if (!d)
        d = add(m, site);
    else if (!is_same(d, site))
        describe(m, d, site);
    d->used = true;
    d->covered = has_wildcard(m, d, now);
    shown = shown_to_visitors(m, d, now);
    *trusted = is_trusted(shown);
    if (shown->tls)
        SSL_CTX_up_ref(shown->tls);
    return shown->tls;
}

void manager_forget_unused(struct manager *m)
{
    m->started = true;
    for (struct managed **at = &m->first; *at;) {
        struct managed *d = *at;

        if (d->used) {
            d->used = false;
            at = &d->next;
            continue;
        }
        *at = d->next;
        manager_tell_gone(m, d);
        if (d->job) {
            manager_cancel(d); /* the site may be back before its job has ended: take_back */
            d->next = m->gone;
            m->gone = d;
        } else {
            manager_free_site(d);
        }
    }
}

void manager_free_gone(struct manager *m)
{
    for (struct managed **at = &m->gone; *at;) {
        struct managed *d = *at;

        if (d->job) {
            at = &d->next;
        } else {
            *at = d->next;
            manager_free_site(d);
        }
    }
}

bool manager_has(const struct manager *m, const char *site)
{
    return manager_find(m, site) != NULL;
}
