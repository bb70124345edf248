/* The life of a TXT value of ours:
 *
 *   put: where does the name lead? ──▶ written down ──▶ set ──▶ every name server shows it ──▶ the CA may be told
 *   take_away, or the next start:  cleared ──▶ struck out                                                          */
#include "relay/certs/dns01.h"

#include "relay/certs/authority.h"
#include "relay/certs/dns01_book.h"
#include "shared/dns/client.h"
#include "shared/domain.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_MS = 120 * 1000, CLEAR_MS = 30 * 1000, CLEAN_AGAIN_MS = 600 * 1000 };

/* One [provider] at work: its calls go one after another, or two that read, add and write a set would lose a value. */
struct keeper {
    struct keeper *next;
    char name[64];
    struct dns_client *client;
    uv_mutex_t lock;
    unsigned users;
    bool gone; /* from the configuration */
};

struct dns01 {
    struct loop *loop;
    struct errands *errands;
    uv_mutex_t lock; /* for keepers and book; nobody waits for anything else while he holds it */
    struct keeper *keepers;
    struct dns01_book book;
    struct job *cleaning;
    int64_t cleaned_ms;
    uv_timer_t end; /* its closing is the last thing that the loop has of us */
    bool stopping, handle_closed;
    void (*closed)(void *user);
    void *user;
};

static int put(void *user, const struct challenge *c, struct job *job, struct err *e);
static void take_away(void *user, const struct challenge *c);
static void clean(struct dns01 *d);

/* ---- the providers ---- */

static void free_keeper(struct keeper *k)
{
    dns_client_free(k->client);
    uv_mutex_destroy(&k->lock);
    free(k);
}

/* Under the lock. */
static void free_unused(struct dns01 *d)
{
    struct keeper **at = &d->keepers;

    while (*at) {
        struct keeper *k = *at;

        if (!k->gone || k->users > 0) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        free_keeper(k);
    }
}

static void add_keeper(struct dns01 *d, const char *name, const struct dns_conf *conf)
{
    struct keeper *k = mem_new(sizeof *k);

    if (uv_mutex_init(&k->lock) != 0)
        abort(); /* glibc's cannot fail */
    snprintf(k->name, sizeof k->name, "%s", name);
    k->client = dns_client_new(conf);
    k->next = d->keepers;
    d->keepers = k;
}

/* Credentials are read anew: that is what a reload is often for. */
void dns01_reload(struct dns01 *d, const struct opt_conf *conf)
{
    const struct dns_conf *provider;
    const char *name;

    uv_mutex_lock(&d->lock);
    for (struct keeper *k = d->keepers; k; k = k->next)
        k->gone = true;
    for (size_t i = 0; (provider = opt_section(conf, "provider", i, &name)); i++)
        add_keeper(d, name, provider);
    free_unused(d);
    uv_mutex_unlock(&d->lock);
}

static struct keeper *borrow(struct dns01 *d, const char *name, struct err *e)
{
    struct keeper *k;

    uv_mutex_lock(&d->lock);
    for (k = d->keepers; k && (k->gone || strcmp(k->name, name) != 0); k = k->next)
        ;
    if (k)
        k->users++;
    uv_mutex_unlock(&d->lock);
    if (!k)
        err_set(e, ERR_MISSING, "there is no [provider %.60s] any more", name);
    return k;
}

static void give_back(struct dns01 *d, struct keeper *k)
{
    uv_mutex_lock(&d->lock);
    k->users--;
    free_unused(d);
    uv_mutex_unlock(&d->lock);
}

/* ---- set and cleared by a provider of ours ---- */

static enum dns_class call(struct dns_client *c, const struct dns01_entry *v, bool set, bool others,
                           struct dns_why *why)
{
    struct dns_zone zone = { 0 };
    enum dns_class class = DNS_OK;

    if (set && others && !(c->provider->can & DNS_CAN_SEVERAL))
        return dns_fail(c, why, DNS_CONFIG, "it keeps one TXT value for %s, and one is in use there",
                        v->target);
    if (c->provider->kind != DNS_DYN)
        class = dns_find_zone(c, v->target, &zone, why);
    if (class != DNS_OK)
        return class;
    return set ? dns_txt_add(c, &zone, v->target, v->value, why)
               : dns_txt_remove(c, &zone, v->target, v->value, why);
}

/* What was left behind may be needed again by the time that it is its turn: an order that is resumed has the same value. */
enum what { SET, CLEAR, CLEAN };

static bool is_needed_again(struct dns01 *d, const struct dns01_entry *v, bool *others)
{
    bool left;

    uv_mutex_lock(&d->lock);
    *others = dns01_book_others(&d->book, v) > 0;
    left = dns01_book_is_left(&d->book, v);
    uv_mutex_unlock(&d->lock);
    return !left;
}

/* 0: done. -1: and `unclear` says whether it may have been done all the same, as when an answer is lost. */
static int apply(struct dns01 *d, const struct dns01_entry *v, enum what what, struct job *job, bool *unclear,
                 struct err *e)
{
    struct dns_why why = { .retry_after_ms = -1 };
    struct keeper *k = borrow(d, v->provider, e);
    enum dns_class class;
    bool others, needed;

    *unclear = false;
    if (!k)
        return -1;
    uv_mutex_lock(&k->lock);
    k->client->job = job;
    needed = is_needed_again(d, v, &others);
    class = what == CLEAN && needed ? DNS_NOCHANGE : call(k->client, v, what == SET, others, &why);
    k->client->job = NULL;
    uv_mutex_unlock(&k->lock);
    give_back(d, k);
    if (class == DNS_OK || class == DNS_NOCHANGE)
        return 0;
    *unclear = class == DNS_TRANSIENT || class == DNS_BADREPLY || class == DNS_STOPPED;
    return err_set(e, why.err.code, "[provider %.60s]: %s", v->provider, why.err.text);
}

static void strike_out(struct dns01 *d, const struct dns01_entry *v, enum what what)
{
    uv_mutex_lock(&d->lock);
    if (what != CLEAN || dns01_book_is_left(&d->book, v))
        dns01_book_remove(&d->book, v);
    uv_mutex_unlock(&d->lock);
}

/* What cannot be cleared now is tried again later, and at the next start. */
static void clear(struct dns01 *d, const struct dns01_entry *v, struct job *job)
{
    struct err why = { 0 };
    bool unclear;

    if (apply(d, v, CLEAR, job, &unclear, &why) == 0) {
        strike_out(d, v, CLEAR);
        return;
    }
    log_warn_limited("dns-01", "a TXT record that was set for a CA cannot be cleared yet",
                     kv_str("name", v->target), kv_str("provider", v->provider), kv_str("error", why.text));
    uv_mutex_lock(&d->lock);
    dns01_book_leave(&d->book, v);
    uv_mutex_unlock(&d->lock);
}

static int set_by_provider(struct dns01 *d, const struct dns01_entry *v, struct job *job, struct err *e)
{
    bool unclear;
    int rc;

    uv_mutex_lock(&d->lock);
    rc = dns01_book_add(&d->book, v, e);
    uv_mutex_unlock(&d->lock);
    if (rc != 0)
        return -1;
    if (apply(d, v, SET, job, &unclear, e) == 0)
        return 0;
    if (unclear)
        clear(d, v, NULL);
    else
        strike_out(d, v, SET);
    return -1;
}

/* ---- by an agent ---- */

static int by_agent(struct dns01 *d, const struct challenge *c, const struct dns01_entry *v, bool set,
                    struct job *job, struct err *e)
{
    char host[DOMAIN_BYTES + 2];
    const struct errand errand = { .host = host, /* whose the wildcard is need not have the name below it */
                                   .who = ERRAND_FIRST,
                                   .msg = { .type = LANE_TXT,
                                            .txt = { .set = set, .name = v->name, .value = v->value } },
                                   .patience_ms = set ? SET_MS : CLEAR_MS };
    struct errand_answer answer;

    snprintf(host, sizeof host, "%s%s", c->wildcard ? "*." : "", c->name);
    if (errands_run(d->errands, &errand, job, &answer, e) == 0)
        return 0;
    return err_wrap(e, "no [provider] is named by dns in [acme], so an agent is asked to set %.150s",
                    v->name);
}

/* ---- as an order sees it ---- */

static int fill_entry(const struct dns01_way *w, const struct challenge *c, struct dns01_entry *v,
                      struct err *e)
{
    *v = (struct dns01_entry){ 0 };
    if ((size_t)snprintf(v->name, sizeof v->name, "_acme-challenge.%s", c->name) >= sizeof v->name)
        return err_set(e, ERR_INPUT, "%.200s is too long to have a TXT record in front of it", c->name);
    snprintf(v->target, sizeof v->target, "%s", v->name);
    snprintf(v->provider, sizeof v->provider, "%s", w->provider);
    snprintf(v->value, sizeof v->value, "%s", c->digest);
    return 0;
}

static int set(struct dns01 *d, const struct challenge *c, const struct dns01_entry *v, struct job *job,
               struct err *e)
{
    return *v->provider ? set_by_provider(d, v, job, e) : by_agent(d, c, v, true, job, e);
}

static void unset(struct dns01 *d, const struct challenge *c, const struct dns01_entry *v)
{
    struct err why = { 0 };

    if (*v->provider)
        clear(d, v, NULL);
    else if (by_agent(d, c, v, false, NULL, &why) != 0)
        log_info("an agent clears a TXT record by itself, within the hour", kv_str("name", v->name),
                 kv_str("error", why.text));
}

static int put(void *user, const struct challenge *c, struct job *job, struct err *e)
{
    struct dns01_way *w = user;
    struct lookup lookup = w->lookup;
    struct authority authority;
    struct dns01_entry v;

    lookup.job = job;
    if (fill_entry(w, c, &v, e) != 0)
        return -1;
    if (lookup_follow(&lookup, v.target, e) != 0)
        return err_wrap(e, "whether %.150s leads elsewhere", v.name);
    if (authority_find(&authority, &lookup, v.target, e) != 0 || set(w->dns01, c, &v, job, e) != 0)
        return -1;
    if (authority_wait(&authority, v.target, v.value, job, e) == 0) {
        log_info("TXT record is shown to a CA", kv_str("name", v.target), kv_str("provider", v.provider));
        return 0;
    }
    unset(w->dns01, c, &v);
    return -1;
}

static void take_away(void *user, const struct challenge *c)
{
    struct dns01_way *w = user;
    struct dns01_entry v;

    if (fill_entry(w, c, &v, NULL) != 0)
        return; /* then it was never put */
    uv_mutex_lock(&w->dns01->lock);
    dns01_book_find(&w->dns01->book, &v); /* where it was put, whatever the name leads to now */
    uv_mutex_unlock(&w->dns01->lock);
    unset(w->dns01, c, &v);
}

int dns01_way_init(struct dns01_way *w, struct dns01 *d, const char *provider,
                   const struct opt_words *resolvers, struct err *e)
{
    *w = (struct dns01_way){ .ways = { put, take_away, w }, .dns01 = d };
    snprintf(w->provider, sizeof w->provider, "%s", provider);
    return lookup_open(&w->lookup, resolvers, e);
}

/* ---- what was left behind ---- */

/* On the thread. */
static void run_clean(struct job *job, void *user)
{
    struct dns01 *d = user;
    struct dns01_entry v;
    bool more = true;

    for (size_t i = 0; more && !job_cancelled(job);) {
        struct err why = { 0 };
        bool unclear;

        uv_mutex_lock(&d->lock);
        more = dns01_book_left(&d->book, i, &v);
        uv_mutex_unlock(&d->lock);
        if (!more)
            break;
        if (apply(d, &v, CLEAN, job, &unclear, &why) == 0) {
            log_info("TXT record cleared that was left behind", kv_str("name", v.target),
                     kv_str("provider", v.provider));
            strike_out(d, &v, CLEAN);
            continue;
        }
        log_warn_limited("dns-01", "a TXT record that was left behind cannot be cleared",
                         kv_str("name", v.target), kv_str("provider", v.provider), kv_str("error", why.text));
        i++;
    }
}

static void end_if_done(struct dns01 *d)
{
    if (d->stopping && d->handle_closed && !d->cleaning)
        d->closed(d->user);
}

static void on_cleaned(void *user)
{
    struct dns01 *d = user;

    d->cleaning = NULL;
    d->cleaned_ms = loop_now_ms(d->loop);
    end_if_done(d);
}

static bool has_left(struct dns01 *d)
{
    struct dns01_entry ignored;
    bool left;

    uv_mutex_lock(&d->lock);
    left = dns01_book_left(&d->book, 0, &ignored);
    uv_mutex_unlock(&d->lock);
    return left;
}

static void clean(struct dns01 *d)
{
    struct err why = { 0 };

    if (d->stopping || d->cleaning || !has_left(d))
        return;
    d->cleaned_ms = loop_now_ms(d->loop);
    d->cleaning = job_start(d->loop, run_clean, on_cleaned, d, &why);
    if (!d->cleaning)
        log_warn("TXT records that were left behind are not cleared now", kv_str("error", why.text));
}

void dns01_tick(struct dns01 *d)
{
    if (loop_now_ms(d->loop) - d->cleaned_ms >= CLEAN_AGAIN_MS)
        clean(d);
}

/* ---- start and end ---- */

struct dns01 *dns01_start(struct loop *loop, const struct opt_conf *conf, const char *state_dir,
                          struct errands *errands)
{
    struct dns01 *d = mem_new(sizeof *d);

    d->loop = loop;
    d->errands = errands_hold(errands);
    if (uv_mutex_init(&d->lock) != 0)
        abort(); /* glibc's cannot fail */
    uv_timer_init(&loop->uv, &d->end);
    d->end.data = d;
    dns01_book_open(&d->book, state_dir);
    dns01_reload(d, conf);
    clean(d);
    return d;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct dns01 *d = handle->data;

    d->handle_closed = true;
    end_if_done(d);
}

void dns01_stop(struct dns01 *d, void (*closed)(void *user), void *user)
{
    d->stopping = true;
    d->closed = closed;
    d->user = user;
    if (d->cleaning)
        job_cancel(d->cleaning);
    uv_close((uv_handle_t *)&d->end, on_handle_closed);
}

void dns01_free(struct dns01 *d)
{
    if (!d)
        return;
    for (struct keeper *k = d->keepers; k; k = k->next)
        k->gone = true;
    free_unused(d);
    dns01_book_close(&d->book);
    errands_release(d->errands);
    uv_mutex_destroy(&d->lock);
    free(d);
}
