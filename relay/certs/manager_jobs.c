/* The manager's jobs: one site's certificates obtained, or revoked, on a thread of its own. */
#include "relay/certs/manager_parts.h"
#include "shared/file.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct manager_job {
    struct manager *m;
    struct managed *site; /* lives at least as long as the job */
    struct job *job;
    struct issuers *issuers;
    struct obtain_ask ask;
    struct obtain_result result;
    char **names; /* copies: what the site is may change meanwhile */
    char *issuer, *agent, *configured;
    bool revokes, orders, cancelled;
    bool asked; /* asked: a person waits for what becomes of it */
    enum revoke_reason reason;
};

/* ---- begin and end, for both ---- */

static struct manager_job *new_job(struct manager *m, struct managed *d)
{
    struct manager_job *j = mem_new(sizeof *j);

    j->m = m;
    j->site = d;
    j->issuers = issuers_hold(m->issuers);
    j->names = mem_new((d->names_n + 1) * sizeof *j->names);
    for (size_t i = 0; i < d->names_n; i++)
        j->names[i] = mem_copy(d->names[i]);
    j->issuer = mem_copy(d->issuer);
    j->agent = mem_copy(d->agent);
    j->configured = mem_copy(d->configured);
    j->ask = (struct obtain_ask){
        .site = { (const char *const *)j->names, d->names_n, j->issuers, j->issuer, j->configured },
        .store = m->store,
        .quota = m->quota,
        .help = m->help,
        .agent = j->agent,
        .kept = &d->kept, /* which stays as it is until the job has ended */
        .forced = d->forced,
    };
    j->ask.orders_per_day = d->sites_max * due_orders_a_day(&j->ask.site);
    return j;
}

static void free_job(struct manager_job *j)
{
    for (size_t i = 0; i < j->ask.site.names_n; i++)
        free(j->names[i]);
    free(j->names);
    free(j->issuer);
    free(j->agent);
    free(j->configured);
    obtain_result_free(&j->result);
    issuers_release(j->issuers);
    free(j);
}

static void answer(const struct manager_job *j, bool well, const char *why)
{
    struct managed *d = j->site;
    struct http_later *later = j->asked ? d->asked : NULL;

    if (!later)
        return;
    d->asked = NULL;
    if (well)
        http_later_json(later, 200, manager_certs(j->m, d->names[0]));
    else
        http_later_error(later, 502, "%s", why);
}

static void begin(struct manager_job *j, void (*run)(struct job *job, void *user), void (*ended)(void *user))
{
    struct managed *d = j->site;
    struct err why = { 0 };

    j->job = job_start(j->m->loop, run, ended, j, &why);
    if (!j->job) {
        log_warn_limited("certs", "no thread for a certificate", kv_str("domain", d->names[0]),
                         kv_str("error", why.text));
        d->look_again_ms = loop_now_ms(j->m->loop) + MANAGER_HELD_MS;
        answer(j, false, why.text);
        free_job(j);
        return;
    }
    d->job = j;
    j->m->jobs++;
    manager_tell(j->m, d);
}

void manager_cancel(struct managed *d)
{
    if (!d->job)
        return;
    d->job->cancelled = true;
    job_cancel(d->job->job);
}

bool manager_interrupt(struct managed *d)
{
    if (!d->job || d->job->asked)
        return false;
    manager_cancel(d);
    return true;
}

bool manager_is_ordering(const struct managed *d)
{
    return d->job && d->job->orders;
}

/* ---- obtain ---- */

static void run_obtain(struct job *job, void *user)
{
    struct manager_job *j = user;

    j->ask.job = job;
    obtain_run(&j->ask, &j->result);
}

static void note_held(struct manager *m, struct managed *d, const struct obtain_result *r)
{
    int64_t now = loop_now_ms(m->loop);
    bool held = r->end == OBTAIN_HELD, disk = r->end == OBTAIN_STOPPED && r->why.code != ERR_STOPPED;

    free(d->seen);
    d->seen = held ? mem_copy(r->why.text) : NULL;
    free(d->disk);
    d->disk =
        !disk ? NULL
        : d->kept.chain_pem
            ? mem_format("%s; it is served from memory, and written as soon as that can be done", r->why.text)
            : mem_copy(r->why.text);
    d->here = d->meta.last_error ? (r->here >= 0 ? r->here : d->here) : -1;
    if (r->looked) {
        free(d->warning);
        d->warning = r->warning[0] ? mem_copy(r->warning) : NULL;
    }
    d->look_again_ms = held || r->end == OBTAIN_STOPPED ? now + MANAGER_HELD_MS : 0;
}

static void log_end(const struct managed *d, const struct obtain_result *r)
{
    if (r->end == OBTAIN_FAILED)
        log_warn("no certificate", kv_str("domain", d->names[0]), kv_str("error", r->why.text));
    else if (r->end == OBTAIN_HELD)
        log_info_limited(d->names[0], "a certificate is not ordered yet", kv_str("domain", d->names[0]),
                         kv_str("error", r->why.text));
    else if (r->end == OBTAIN_STOPPED && r->why.code != ERR_STOPPED)
        log_error("a site's certificates cannot be seen to", kv_str("domain", d->names[0]),
                  kv_str("error", r->why.text));
}

static void count(struct manager_counts *c, const struct obtain_result *r)
{
    c->issued += r->installed;
    c->failed += r->end == OBTAIN_FAILED;
    c->held += r->end == OBTAIN_HELD;
}

/* What could not be written is the site's from now on, in place of what it had. True when it shows another certificate. */
static bool note_kept(struct manager *m, struct managed *d, struct obtain_result *r)
{
    bool new = r->kept.chain_pem;

    if (!new && (r->keep || r->end == OBTAIN_STOPPED))
        return false;
    if (!new && !d->kept.chain_pem)
        return false;
    kept_free(&d->kept);
    d->kept = r->kept;
    r->kept = (struct kept){ 0 };
    manager_show(m, d);
    return true;
}

static void on_obtained(void *user)
{
    struct manager_job *j = user;
    struct manager *m = j->m;
    struct managed *d = j->site;
    struct obtain_result *r = &j->result;

    if (!m->ending)
        log_end(d, r);
    if (r->loaded)
        manager_set_meta(m, d, &r->meta, r->installed);
    r->loaded = false; /* it is the site's now */
    if (note_kept(m, d, r) && !m->ending)
        m->events.changed(m->user);
    note_held(m, d, r);
    count(&m->counts, r);
    if (j->cancelled)
        d->look_again_ms = 0; /* whoever wants it by now need not wait */
    d->job = NULL;
    answer(j, r->end == OBTAIN_WELL, r->why.text[0] ? r->why.text : "it was stopped");
    free_job(j);
    manager_job_ended(m, d);
}

void manager_obtain(struct manager *m, struct managed *d)
{
    struct manager_job *j = new_job(m, d);

    j->ask.here = d->here;
    j->ask.came = d->came;
    d->came = false;
    j->ask.look_again = manager_looks_out(m, d);
    if (j->ask.look_again)
        d->look_out_ms = loop_now_ms(m->loop) + MANAGER_LOOK_OUT_MS;
    j->orders = d->forced || due_orders(&j->ask.site, &d->meta, time(NULL));
    j->asked = d->forced;
    d->forced = false;
    begin(j, run_obtain, on_obtained);
}

/* ---- revoke ---- */

static bool is_imported(const struct meta_cert *cert)
{
    return cert->issuer && strcmp(cert->issuer, "import") == 0;
}

/* By the certificate's own key where the authority does not take the account's word, or has never heard it. */
static int ask_to_revoke(struct manager_job *j, const struct issuer *by, enum meta_slot slot, struct job *job,
                         struct err *e)
{
    const bool imported = is_imported(&j->result.meta.certs[slot]);
    char *chain_path, *key_path;
    struct buf chain = { 0 };
    struct signer *key = NULL;
    struct acme_why why;
    int rc = -1;

    acme_why_init(&why);
    if (!store_pair(j->m->store, &j->result.meta, slot, &chain_path, &key_path))
        err_set(e, ERR_MISSING, "it is not in the store any more");
    else if (file_read(chain_path, CHAIN_MAX_BYTES, &chain, e) == 0 && (key = signer_load(key_path, e)))
        rc = (imported ? revoke_by_key : revoke_run)(by->ca, job, buf_text(&chain), key, j->reason, &why);
    if (rc != 0 && why.err.code != ERR_NONE)
        err_set(e, why.err.code, "%s", why.err.text);
    signer_free(key);
    buf_free(&chain);
    free(chain_path);
    free(key_path);
    acme_why_free(&why);
    return rc;
}

/* Which authority it is from is not known; its own knows it. */
static int revoke_imported(struct manager_job *j, enum meta_slot slot, struct job *job, struct err *e)
{
    static const char remedy[] = "revoke it with the program that has ordered it";
    struct err why = { 0 };

    for (size_t i = 0; i < issuers_count(j->issuers) && why.code != ERR_STOPPED; i++) {
        const struct issuer *by = issuers_get(j->issuers, i);

        why = (struct err){ 0 };
        if (ask_to_revoke(j, by, slot, job, &why) == 0)
            return 0;
        (void)err_wrap(&why, "%s", by->name);
    }
    if (why.code == ERR_NONE)
        return err_set(e, ERR_MISSING,
                       "the certificate of %s was imported, and relay.ini has no section [acme] to ask; %s",
                       j->names[0], remedy);
    return err_set(e, why.code,
                   "the certificate of %s was imported, and no authority here takes it back (%s); %s",
                   j->names[0], why.text, remedy);
}

static int revoke_ordered(struct manager_job *j, enum meta_slot slot, struct job *job, struct err *e)
{
    const struct meta_cert *cert = &j->result.meta.certs[slot];
    const struct issuer *by = cert->issuer ? issuers_find(j->issuers, cert->issuer) : NULL;

    if (by && cert->directory && strcmp(by->directory, cert->directory) == 0)
        return ask_to_revoke(j, by, slot, job, e);
    return err_set(e, ERR_MISSING,
                   "the certificate of %s is from %s, which is not configured here any more; put its section "
                   "[acme] back into relay.ini",
                   j->names[0], cert->issuer ? cert->issuer : "nobody known");
}

static int revoke_pair(struct manager_job *j, enum meta_slot slot, struct job *job, struct err *e)
{
    struct meta_cert *cert = &j->result.meta.certs[slot];

    if ((is_imported(cert) ? revoke_imported : revoke_ordered)(j, slot, job, e) != 0)
        return -1;
    cert->revoked_at = time(NULL);
    return store_save(j->m->store, &j->result.meta, e);
}

static void run_revoke(struct job *job, void *user)
{
    struct manager_job *j = user;
    struct obtain_result *r = &j->result;
    bool any = false;

    r->end = OBTAIN_FAILED;
    if (store_load(j->m->store, j->names[0], &r->meta, &r->why) != 0)
        return;
    r->loaded = true;
    for (int slot = 0; slot < META_SLOTS; slot++) {
        if (!r->meta.certs[slot].there || r->meta.certs[slot].revoked_at != 0)
            continue;
        any = true;
        if (revoke_pair(j, (enum meta_slot)slot, job, &r->why) != 0)
            return;
    }
    if (any)
        r->end = OBTAIN_WELL;
    else
        err_set(&r->why, ERR_MISSING, "there is no certificate to revoke");
}

static void on_revoked(void *user)
{
    struct manager_job *j = user;
    struct manager *m = j->m;
    struct managed *d = j->site;
    struct obtain_result *r = &j->result;

    if (r->end == OBTAIN_WELL)
        log_warn("certificate revoked", kv_str("domain", d->names[0]));
    if (r->loaded)
        manager_set_meta(m, d, &r->meta, false);
    r->loaded = false;
    d->job = NULL;
    answer(j, r->end == OBTAIN_WELL, r->why.text);
    free_job(j);
    manager_job_ended(m, d);
}

void manager_revoke(struct manager *m, struct managed *d)
{
    struct manager_job *j = new_job(m, d);

    j->revokes = true;
    j->reason = d->reason;
    j->asked = true;
    d->revokes = false;
    begin(j, run_revoke, on_revoked);
}
