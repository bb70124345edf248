/* All that is done for one site's certificates, on a job's thread:
 *
 *   load -> adopt the configuration -> install what was issued and could not be written -> look at what the authority suggests
 *        -> choose an authority -> look beforehand
 *        -> for each kind of key that is due: staging -> order -> install;  names that fail are left out, once
 *        -> drop what is not wanted any more
 *
 * Each step writes to disk what a restart must not forget. */
#include "relay/certs/obtain_parts.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How a kind of key has failed. ACME_OK: it has not. */
struct failed {
    enum acme_class class;
    int64_t retry_after_ms;
    bool by_name, held_back, ordered; /* ordered: the authority was there */
    struct err why;
};

/* ---- the configuration ---- */

/* Nothing has failed yet for another configuration. */
static int adopt(struct attempt *t)
{
    struct meta *m = t->m;

    if (!due_is_changed(&t->ask->site, m))
        return 0;
    renewal_reset(&m->retry);
    meta_take_back(m, NULL);
    meta_order_ended(m);
    meta_went_well(m);
    m->held_since = 0;
    for (size_t i = 0; i < m->issuers_n; i++)
        m->issuers[i].failures = 0;
    meta_set(&m->configured, t->ask->site.configured);
    return obtain_save(t);
}

/* What a clock that was ahead has noted would hold things off until it is so late again. */
static int mend_clock(struct attempt *t)
{
    struct meta *m = t->m;
    int64_t now = time(NULL);
    bool changed = renewal_mend_clock(&m->retry, now);

    for (size_t i = 0; i < m->issuers_n; i++)
        if (m->issuers[i].last_try > now) {
            m->issuers[i].last_try = now;
            changed = true;
        }
    for (size_t i = 0; i < m->left_out_n; i++)
        if (m->left_out[i].since > now) {
            m->left_out[i].since = now;
            changed = true;
        }
    return changed ? obtain_save(t) : 0;
}

/* ---- an order ---- */

static void on_order_noted(void *user, const char *url)
{
    struct attempt *t = user;
    struct err why = { 0 };

    if (url)
        meta_order_began(t->m, url, t->by->name, key_type_text(t->type), time(NULL));
    else
        meta_order_ended(t->m);
    if (store_save(t->ask->store, t->m, &why) != 0)
        log_warn("cannot note an order", kv_str("domain", t->m->name), kv_str("error", why.text));
}

void obtain_choose_names(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;

    t->names_n = 0;
    for (size_t i = 0; i < site->names_n; i++)
        if (!due_is_left_out(t->m, site->names[i]))
            t->names[t->names_n++] = site->names[i];
}

/* An order that had begun, as long as it is the same that would be made now. */
static const char *order_to_resume(const struct attempt *t)
{
    const struct meta_order *o = &t->m->order;

    return o->url && o->issuer && o->key_type && strcmp(o->issuer, t->by->name) == 0 &&
                   strcmp(o->key_type, key_type_text(t->type)) == 0
               ? o->url
               : "";
}

static const char *replaced_by(const struct attempt *t)
{
    const struct meta_cert *cert = &t->m->certs[due_slot(t->type)];

    return cert->there && cert->revoked_at == 0 && cert->renewal.window.end != 0 && cert->facts.ari_id &&
                   cert->directory && strcmp(cert->directory, t->by->directory) == 0
               ? cert->facts.ari_id
               : "";
}

struct limits_order obtain_limits(const struct attempt *t, const char *directory, bool exempt)
{
    return (struct limits_order){ directory, t->names, t->names_n, t->ask->agent, t->ask->orders_per_day,
                                  exempt };
}

/* Its free_at is when the next try is. What cannot be counted is not ordered: our own disk fails. */
static int may_order(struct attempt *t, const struct limits_order *o, struct order_result *result)
{
    int64_t free_at = 0, now = time(NULL);

    if (quota_order(t->ask->quota, o, &free_at, &t->r->why) == 0)
        return 0;
    if (t->r->why.code != ERR_LIMIT) {
        result->class = ACME_STOPPED;
        return err_wrap(&t->r->why, "nothing can be ordered");
    }
    t->held_back = true;
    result->class = ACME_LATER;
    result->retry_after_ms = free_at > now ? (free_at - now) * 1000 : -1;
    return -1;
}

static void count(struct attempt *t, const struct limits_order *o, const struct order_result *result,
                  unsigned counted)
{
    struct err ignored = { 0 };
    int64_t free_at;

    for (unsigned i = counted; i < result->orders; i++)
        if (quota_order(t->ask->quota, o, &free_at, &ignored) != 0)
            break; /* made already: it is only counted, as far as there is room to count */
    for (size_t i = 0; i < result->failures_n; i++)
        for (unsigned j = 0; j < result->failures[i].validations; j++)
            quota_validation_failed(t->ask->quota, o->directory, result->failures[i].name);
}

static void fill_ask(struct attempt *t, struct order_ask *ask, struct acme_ca *ca)
{
    *ask = (struct order_ask){ .ca = ca,
                               .names = t->names,
                               .names_n = t->names_n,
                               .challenges_n = t->by->challenges_n,
                               .profile = t->by->conf->profile,
                               .preferred_chain = t->by->conf->preferred_chain,
                               .replaces = "",
                               .key = t->type,
                               .resume_url = "",
                               .job = t->ask->job,
                               .user = t };
    memcpy(ask->challenges, t->by->challenges, sizeof ask->challenges);
    memcpy(ask->ways, t->ways, sizeof ask->ways);
}

static void on_staging_noted(void *user, const char *url)
{
    (void)user;
    (void)url; /* nothing is lost with it */
}

/* What does not work there would not work in earnest, where failures count. */
static int try_staging(struct attempt *t, struct order_result *result)
{
    const struct limits_order o = obtain_limits(t, t->by->staging_directory, false);
    struct order_ask ask;
    int rc;

    if (may_order(t, &o, result) != 0)
        return -1;
    fill_ask(t, &ask, t->by->staging);
    ask.note = on_staging_noted;
    ask.preferred_chain = "";
    rc = order_run(&ask, result, &t->r->why);
    count(t, &o, result, 1);
    if (rc != 0)
        return err_wrap(&t->r->why, "staging");
    meta_set(&t->m->staging_passed, t->ask->site.configured);
    if (obtain_save(t) == 0)
        return 0;
    result->class = ACME_STOPPED;
    return -1;
}

static bool wants_staging(const struct attempt *t)
{
    const struct meta *m = t->m;

    if (!t->by->staging || (m->staging_passed && strcmp(m->staging_passed, t->ask->site.configured) == 0))
        return false;
    for (int slot = 0; slot < META_SLOTS; slot++)
        if (m->certs[slot].there)
            return false; /* it has worked before */
    return true;
}

static int order(struct attempt *t, struct order_result *result)
{
    struct order_ask ask;
    struct limits_order o;
    char *key_file = NULL;
    unsigned counted = 0;
    int rc;

    fill_ask(t, &ask, t->by->ca);
    ask.note = on_order_noted;
    ask.resume_url = order_to_resume(t);
    ask.replaces = replaced_by(t);
    o = obtain_limits(t, t->by->directory, ask.replaces[0]);
    if (!ask.resume_url[0]) {
        if (may_order(t, &o, result) != 0)
            return -1;
        counted = 1;
    }
    rc = store_order_key(t->ask->store, t->m->name, &key_file, &t->r->why);
    if (rc != 0)
        result->class = ACME_STOPPED;
    if (rc == 0) {
        ask.key_file = key_file;
        rc = order_run(&ask, result, &t->r->why);
        count(t, &o, result, counted);
    }
    if (rc == 0)
        rc = obtain_install(t, result, &o);
    free(key_file);
    return rc;
}

/* ---- names that fail ---- */

static bool is_to_blame(const struct order_failure *f)
{
    return f->class == ACME_CONFIG || f->class == ACME_REFUSED;
}

static bool was_ordered(const struct attempt *t, const char *name)
{
    for (size_t i = 0; i < t->names_n; i++)
        if (strcmp(t->names[i], name) == 0)
            return true;
    return false;
}

/* While there is a certificate that is good for the name for long, it stays: the next tries may succeed. A name that was not
 * ordered cannot be left out: the next order would be the same one. */
static bool may_leave_out(const struct attempt *t, const char *name)
{
    const struct meta_cert *cert = &t->m->certs[due_slot(t->type)];

    if (!was_ordered(t, name))
        return false;
    return !cert->there || renewal_may_leave_out(&cert->renewal, time(NULL)) ||
           !chain_has_name(&cert->facts.chain, name);
}

/* True when there is another order to be made, without them. */
static bool leave_out(struct attempt *t, const struct order_result *result)
{
    size_t blamed = 0, failed = 0;

    for (size_t i = 0; i < result->failures_n; i++) {
        if (is_to_blame(&result->failures[i]) && !may_leave_out(t, result->failures[i].name))
            return false;
        blamed += is_to_blame(&result->failures[i]);
        failed += result->failures[i].class != ACME_OK; /* else another way has led to it */
    }
    if (blamed == 0 || blamed < failed || blamed >= t->names_n)
        return false;
    for (size_t i = 0; i < result->failures_n; i++) {
        const struct order_failure *f = &result->failures[i];

        if (!is_to_blame(f))
            continue;
        if (!meta_leave_out(t->m, f->name, f->text, time(NULL)))
            return false;
        log_warn("a name is left out of its site's certificate", kv_str("domain", t->m->name),
                 kv_str("name", f->name), kv_str("error", f->text));
    }
    meta_order_ended(t->m);
    return obtain_save(t) == 0;
}

/* For the whole site: how it went wrong for the first kind of key that did. */
static void fail(struct attempt *t, const struct failed *f)
{
    enum renewal_patience patience =
        f->class == ACME_REFUSED || f->class == ACME_ACCOUNT ? RENEWAL_SLOW : RENEWAL_SOON;
    struct meta_issuer *had = meta_issuer_of(t->m, t->by->name);
    int64_t at_least_s = f->retry_after_ms > 0 ? f->retry_after_ms / 1000 : 0, now = time(NULL);
    struct err why = { 0 };

    t->r->why = f->why;
    t->r->end = OBTAIN_FAILED;
    meta_failed(t->m, t->r->why.text, now);
    had->failures += f->held_back ? 0 : patience == RENEWAL_SLOW ? DUE_FALL_BACK : 1;
    had->last_try = now;
    meta_set(&had->last_error, t->r->why.text);
    renewal_failed(&t->m->retry, now, patience, at_least_s, obtain_chance());
    if (store_save(t->ask->store, t->m, &why) != 0)
        log_warn("cannot note that an order has failed", kv_str("domain", t->m->name),
                 kv_str("error", why.text));
}

/* What a person asked for in vain, while nothing was due: what there is goes on as if nobody had asked. */
static void decline(struct attempt *t, const struct failed *f)
{
    meta_free(t->m); /* it may have names again that were left out */
    t->r->loaded = store_load(t->ask->store, t->ask->site.names[0], t->m, &t->r->why) == 0;
    t->r->end = t->r->loaded ? OBTAIN_DECLINED : OBTAIN_STOPPED;
    if (t->r->loaded)
        t->r->why = f->why;
}

static void note_failure(struct attempt *t, const struct order_result *result, struct failed *f)
{
    *f = (struct failed){ .class = result->class,
                          .retry_after_ms = result->retry_after_ms,
                          .by_name = result->failures_n > 0,
                          .held_back = t->held_back,
                          .ordered = result->orders > 0,
                          .why = t->r->why };
    if (t->by->key_types_n > 1)
        err_wrap(&f->why, "with a key of the kind %s", key_type_text(t->type));
}

/* One kind of key. */
static int get_one(struct attempt *t, struct failed *f)
{
    t->held_back = false;
    for (;;) {
        struct order_result result = { .retry_after_ms = -1 };
        bool again;
        int rc;

        obtain_choose_names(t);
        rc = wants_staging(t) ? try_staging(t, &result) : 0;
        if (rc == 0) {
            order_result_free(&result);
            result = (struct order_result){ .retry_after_ms = -1 };
            rc = order(t, &result);
        }
        again = rc != 0 && result.class != ACME_STOPPED && leave_out(t, &result);
        if (rc != 0 && !again)
            note_failure(t, &result, f);
        order_result_free(&result);
        if (!again)
            return rc;
        if (!t->ask->forced && !due_order(&t->ask->site, t->m, t->type, time(NULL)))
            return 0; /* what there is does for the others */
    }
}

/* What has failed for one kind of key may go with the other, when neither the names were to blame nor the authority away. */
static bool may_go_on(const struct failed *f)
{
    return !f->by_name && !f->held_back && f->retry_after_ms <= 0 &&
           (f->class == ACME_REFUSED || (f->class == ACME_LATER && f->ordered));
}

static int get_due(struct attempt *t, const bool due[ISSUER_KEY_TYPES])
{
    struct failed first = { 0 };

    for (size_t i = 0; i < t->by->key_types_n; i++) {
        struct failed f;

        t->type = t->by->key_types[i];
        if (!due[i] || get_one(t, &f) == 0)
            continue;
        if (first.class == ACME_OK || f.class == ACME_STOPPED)
            first = f;
        if (!may_go_on(&f))
            break;
    }
    if (first.class == ACME_OK)
        return 0;
    if (first.class == ACME_STOPPED) {
        t->r->end = OBTAIN_STOPPED;
        t->r->why = first.why;
    } else if (first.held_back && !t->needs_one) {
        decline(t, &first);
    } else {
        fail(t, &first);
    }
    return -1;
}

/* ---- all of it ---- */

/* Names that are tried again are a part of the next order, and left out of it when they fail again. */
static void take_back(struct attempt *t)
{
    for (size_t i = t->m->left_out_n; i-- > 0;)
        if (t->ask->forced || time(NULL) - t->m->left_out[i].since >= DUE_TAKE_BACK_S)
            meta_take_back(t->m, t->m->left_out[i].name);
}

static int forget_failure(struct attempt *t)
{
    renewal_reset(&t->m->retry);
    meta_set(&t->m->last_error, NULL);
    return obtain_save(t);
}

static int get_all(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;
    bool due[ISSUER_KEY_TYPES] = { false }, any = false;

    if (obtain_look_again(t) != 0 || obtain_watch(t) != 0)
        return -1;
    for (size_t i = 0; i < t->by->key_types_n; i++) {
        due[i] = due_order(site, t->m, t->by->key_types[i], time(NULL));
        t->needs_one = t->needs_one || due[i];
        due[i] = due[i] || t->ask->forced;
        any = any || due[i];
    }
    if (due_is_moot(site, t->m, time(NULL)) && !t->ask->forced)
        return forget_failure(t);
    if (!any || (!t->ask->forced && !renewal_may_try(&t->m->retry, time(NULL))))
        return 0;
    if (obtain_look_ahead(t) != 0)
        return -1;
    take_back(t);
    if (get_due(t, due) != 0)
        return -1;
    meta_issuer_of(t->m, t->by->name)->failures = 0;
    return obtain_save(t);
}

/* Only while the other one does for the site by itself. */
static int drop_unwanted(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;

    for (int slot = 0; slot < META_SLOTS; slot++)
        if (t->m->certs[slot].there && !due_wants(site, (enum meta_slot)slot) &&
            due_is_well(site, t->m, (enum meta_slot) !slot, time(NULL))) {
            if (store_drop(t->ask->store, t->m, (enum meta_slot)slot, &t->r->why) != 0)
                return -1;
            t->r->installed = true;
        }
    return 0;
}

static int ask_authority(struct attempt *t)
{
    const struct obtain_help *help = t->ask->help;
    void *begun = help->begin(help->user, t->by, t->ways, &t->r->why);
    int rc;

    if (!begun)
        return -1;
    rc = get_all(t) != 0 || drop_unwanted(t) != 0 ? -1 : 0;
    help->end(begun);
    return rc;
}

static int go(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;

    if (store_load(t->ask->store, site->names[0], t->m, &t->r->why) != 0)
        return -1;
    t->r->loaded = true;
    if (mend_clock(t) != 0 || adopt(t) != 0 || obtain_install_kept(t) != 0 || obtain_suggestions(t) != 0)
        return -1;
    t->by = due_issuer(site, t->m, time(NULL));
    return t->by ? ask_authority(t) : 0;
}

void obtain_run(const struct obtain_ask *ask, struct obtain_result *r)
{
    struct attempt t = { .ask = ask, .r = r, .m = &r->meta };

    t.names = mem_new((ask->site.names_n + 1) * sizeof *t.names);
    r->here = -1;
    r->end = OBTAIN_STOPPED; /* unless it goes further */
    if (go(&t) == 0)
        r->end = OBTAIN_WELL;
    free(t.names);
}

void obtain_result_free(struct obtain_result *r)
{
    if (r->loaded)
        meta_free(&r->meta);
    kept_free(&r->kept);
    *r = (struct obtain_result){ 0 };
}
