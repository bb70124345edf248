/* From what is configured and known to what accounts have to do: a recomputation after each change of either.
 *
 *   configuration, relays' welcomes, the house's address ──▶ wanted_names ──▶ names ──▶ accounts, one for each provider
 *                                                                                 └──▶ STATE_DIR/dns.json            */
#include "agent/dns/dns.h"

#include "agent/dns/check.h"
#include "agent/dns/memory.h"
#include "agent/dns/outcomes.h"
#include "agent/dns/relays.h"
#include "agent/dns/sync.h"
#include "agent/dns/wanted.h"
#include "agent/dns/watch.h"
#include "shared/hook.h"
#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATUS_WAITING = 8 };

struct dns {
    struct loop *loop;
    const struct opt_conf *conf;
    void (*ended)(void *user);
    void *user;
    enum told_state (*cert_of)(void *user, const char *relay, const char *site); /* NULL: nobody knows */
    void *certs;                                                                 /* its user */
    struct memory memory;
    json_t *remembered; /* of accounts, until they are started */
    struct names names;
    struct outcomes outcomes;
    struct account **accounts; /* of the configuration */
    size_t accounts_n, alive;  /* alive: accounts, hooks, address, timer */
    struct relays relays;
    struct address *address;
    uv_timer_t again; /* recomputes; its closing is among what ends us */
    struct sync sync;
    struct watch *watch;
    struct http_later *waiting[STATUS_WAITING]; /* answers that are due when the public has been asked */
    size_t waiting_n;
    bool draining, stopping;
};

static void drop_gone(struct dns *d);
static void recompute(struct dns *d);
static json_t *all_status(const struct dns *d);
static void save(struct dns *d);
static void end_if_done(struct dns *d);

/* ---- accounts ---- */

static const struct dns_provider *provider_of(void *user, const char *name)
{
    const struct dns *d = user;

    for (size_t i = 0; i < d->accounts_n; i++)
        if (strcmp(account_name(d->accounts[i]), name) == 0)
            return account_provider(d->accounts[i]);
    return NULL;
}

static struct account *account_of(const struct dns *d, const char *name)
{
    for (size_t i = 0; i < d->accounts_n; i++)
        if (strcmp(account_name(d->accounts[i]), name) == 0)
            return d->accounts[i];
    return NULL;
}

static void join_values(struct buf *out, const struct dns_rrset *set)
{
    for (size_t i = 0; i < set->n; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", set->values[i].text);
}

static void on_hook_ended(void *user, const struct hook_end *end)
{
    struct dns *d = user;

    (void)end;
    d->alive--;
    end_if_done(d);
}

static void tell_change(struct dns *d, const struct dns_name *n, const struct name_family *f)
{
    const char *hook = agent_conf_of(d->conf)->on_change;
    struct buf now = { 0 }, old = { 0 };
    const char *type = dns_type_text(f->have.type);

    join_values(&now, &f->have);
    join_values(&old, &f->replaced);
    log_info("DNS record changed", kv_str("name", n->name), kv_str("type", type),
             kv_str("provider", n->account), kv_str("before", buf_text(&old)), kv_str("now", buf_text(&now)));
    if (*hook) {
        const struct hook_variable variables[] = {
            { "TUNNEL_SITE", n->site },       { "TUNNEL_NAME", n->name },
            { "TUNNEL_TYPE", type },          { "TUNNEL_PROVIDER", n->account },
            { "TUNNEL_OLD", buf_text(&old) }, { "TUNNEL_NEW", buf_text(&now) },
        };

        d->alive++;
        hook_run(d->loop, "on_change", hook, variables, sizeof variables / sizeof *variables, on_hook_ended,
                 d);
    }
    buf_free(&now);
    buf_free(&old);
}

static void tell_trouble(const struct dns_name *n, const struct name_family *f,
                         const struct name_family *before)
{
    if (!f->managed || strcmp(f->why, before->why) == 0 || !f->why[0])
        return;
    if (f->state == NAME_FAILED || f->state == NAME_FOREIGN)
        log_warn("DNS record is not as it should be", kv_str("name", n->name),
                 kv_str("type", dns_type_text(f->want.type)), kv_str("provider", n->account),
                 kv_str("state", name_state_text(f->state)), kv_str("error", f->why));
}

static void drop(struct dns *d, const struct dns_name *n)
{
    size_t i = 0;

    while (d->names.list[i] != n)
        i++;
    name_free(d->names.list[i]);
    d->names.list[i] = d->names.list[--d->names.n];
}

static void on_looked(void *user, struct dns_name *n, const struct dns_name *before)
{
    struct dns *d = user;

    for (int i = 0; i < NAME_FAMILIES; i++) {
        if (n->families[i].changed_s != before->families[i].changed_s)
            tell_change(d, n, &n->families[i]);
        tell_trouble(n, &n->families[i], &before->families[i]);
    }
    name_note_time(n, time(NULL));
    outcomes_note(&d->outcomes, n, before);
    if (d->watch)
        watch_soon(d->watch);
}

static void on_settled(void *user, struct account *a)
{
    struct dns *d = user;

    (void)a;
    if (!d->stopping)
        drop_gone(d); /* else accounts have ended that it would miss */
    save(d);
    sync_look(&d->sync);
    if (d->draining)
        dns_drain(d);
}

static void on_account_ended(void *user, struct account *a)
{
    struct dns *d = user;

    for (size_t i = 0; i < d->accounts_n; i++)
        if (d->accounts[i] == a)
            d->accounts[i] = d->accounts[--d->accounts_n];
    d->alive--;
    end_if_done(d);
}

static struct account *start_account(struct dns *d, const char *name, const struct dns_conf *conf)
{
    static const struct account_events events = { on_looked, on_settled, on_account_ended };
    struct account *a =
        account_start(d->loop, name, conf, agent_conf_of(d->conf)->base.name, &d->names, &events, d);

    account_of_json(a, json_object_get(d->remembered, name));
    d->alive++;
    return a;
}

/* Those whose section is as it was stay as they are, whatever they wait for. */
static void set_accounts(struct dns *d)
{
    struct account **old = d->accounts;
    size_t old_n = d->accounts_n, n = 0;
    const struct dns_conf *conf;
    const char *name;

    while (opt_section(d->conf, "provider", n, NULL))
        n++;
    d->accounts = mem_new((n + 1) * sizeof(struct account *));
    d->accounts_n = n;
    for (size_t i = 0; (conf = opt_section(d->conf, "provider", i, &name)); i++) {
        for (size_t j = 0; j < old_n && !d->accounts[i]; j++)
            if (old[j] && strcmp(account_name(old[j]), name) == 0 &&
                account_follows(old[j], conf, agent_conf_of(d->conf)->base.name)) {
                d->accounts[i] = old[j];
                old[j] = NULL;
            }
        if (!d->accounts[i])
            d->accounts[i] = start_account(d, name, conf);
    }
    for (size_t j = 0; j < old_n; j++)
        if (old[j])
            account_stop(old[j]);
    free(old);
}

/* ---- relays ---- */

void dns_relay_says(struct dns *d, const char *relay, const char *const *publish, size_t n,
                    const char *seen_from)
{
    if (d->address)
        address_relay_says(d->address, relay, seen_from);
    if (relays_says(&d->relays, relay, publish, n)) {
        recompute(d);
        save(d);
    }
}

void dns_relay_is(struct dns *d, const char *relay, bool up)
{
    if (!up && d->address)
        address_relay_says(d->address, relay, ""); /* who knows where we would come from now */
    if (relays_is(&d->relays, relay, up, loop_now_ms(d->loop)))
        recompute(d);
}

void dns_ask_certs(struct dns *d, enum told_state (*cert_of)(void *user, const char *relay, const char *site),
                   void *user)
{
    d->cert_of = cert_of;
    d->certs = user;
}

void dns_cert_changed(struct dns *d)
{
    recompute(d);
}

int64_t dns_relay_left_ms(struct dns *d, const char *relay)
{
    return relays_left_ms(&d->relays, relay, &d->names, loop_now_ms(d->loop));
}

/* ---- what is wanted ---- */

static enum told_state cert_of(void *user, const char *relay, const char *site)
{
    const struct dns *d = user;

    return d->cert_of ? d->cert_of(d->certs, relay, site) : TOLD_NOTHING;
}

static void on_again(uv_timer_t *timer)
{
    recompute(timer->data);
}

static void on_address_changed(void *user)
{
    struct dns *d = user;

    recompute(d);
}

/* One that a job has a copy of stays until that has ended: the job may be about to make what is to be deleted then. */
static void drop_gone(struct dns *d)
{
    for (size_t i = d->names.n; i-- > 0;) {
        struct dns_name *n = d->names.list[i];
        bool there = account_of(d, n->account) != NULL;

        if (!n->gone || n->asked > 0 ||
            (there && (n->families[NAME_V4].managed || n->families[NAME_V6].managed)))
            continue;
        if (name_is_ours(n) && n->kept)
            log_info(
                "a DNS record is no longer kept by this agent; it stays as it is, and is yours to change",
                kv_str("name", n->name), kv_str("provider", n->account));
        else if (name_is_ours(n))
            log_warn(
                "a name is no longer configured, and what was set there stays", kv_str("name", n->name),
                kv_str("provider", n->account),
                kv_str("why", there ? "it was there before this agent changed it, or cannot be deleted there"
                                    : "its [provider] section is gone as well"));
        drop(d, n);
    }
}

/* Records without a provider: set by hand, and right when the public sees them. */
static void judge_manual(struct dns *d)
{
    for (size_t i = 0; i < d->names.n; i++)
        if (strcmp(d->names.list[i]->account, DNS_MANUAL) == 0)
            name_judge_manual(d->names.list[i]);
}

static void note_times(struct dns *d)
{
    for (size_t i = 0; i < d->names.n; i++) {
        const struct account *a = account_of(d, d->names.list[i]->account);

        if (a && account_refused(a))
            name_refused(d->names.list[i], account_refused(a));
        name_note_time(d->names.list[i], time(NULL));
    }
}

static void recompute(struct dns *d)
{
    struct wanted w = { .conf = d->conf,
                        .relays = d->relays.list,
                        .relays_n = d->relays.n,
                        .now_ms = loop_now_ms(d->loop),
                        .house = address_now(d->address),
                        .provider_of = provider_of,
                        .cert_of = cert_of,
                        .user = d };
    int64_t again_ms;

    if (d->draining || d->stopping)
        return;
    again_ms = wanted_names(&w, &d->names);
    drop_gone(d);
    if (again_ms > 0)
        uv_timer_start(&d->again, on_again, (uint64_t)again_ms, 0);
    for (size_t i = 0; i < d->accounts_n; i++)
        account_look(d->accounts[i]);
    judge_manual(d);
    note_times(d);
}

void dns_network_changed(struct dns *d)
{
    if (d->address)
        address_look(d->address);
}

/* ---- what is remembered ---- */

static void save(struct dns *d)
{
    json_t *names = json_array(), *accounts = json_object(), *one;
    struct err why = { 0 };

    for (size_t i = 0; i < d->names.n; i++)
        json_array_append_new(names, name_to_json(d->names.list[i]));
    for (size_t i = 0; i < d->accounts_n; i++)
        if ((one = account_to_json(d->accounts[i])))
            json_object_set_new(accounts, account_name(d->accounts[i]), one);
    if (memory_save(&d->memory,
                    json_pack("{s:o, s:o, s:o}", "names", names, "relays", relays_to_json(&d->relays),
                              "accounts", accounts),
                    &why) != 0)
        log_warn_limited("dns", "what is known of DNS records cannot be written; a restart asks anew",
                         kv_str("path", d->memory.path), kv_str("error", why.text));
}

static void recall(struct dns *d, const json_t *all)
{
    const json_t *value;
    size_t i;

    json_array_foreach(json_object_get(all, "names"), i, value)
    {
        struct dns_name *n = name_of_json(value);

        if (n)
            names_add(&d->names, n);
    }
    relays_of_json(&d->relays, json_object_get(all, "relays"));
    d->remembered = json_incref(json_object_get(all, "accounts"));
}

/* ---- start and reload ---- */

static void on_address_ended(void *user)
{
    struct dns *d = user;

    d->address = NULL;
    d->alive--;
    end_if_done(d);
}

static void on_watch_ended(void *user)
{
    struct dns *d = user;

    d->watch = NULL;
    d->alive--;
    end_if_done(d);
}

static const struct opt_words *resolvers(void *user)
{
    const struct dns *d = user;

    return &agent_conf_of(d->conf)->resolvers;
}

static void on_public_seen(void *user)
{
    struct dns *d = user;
    size_t n = d->waiting_n;

    judge_manual(d);
    note_times(d);
    d->waiting_n = 0;
    for (size_t i = 0; i < n; i++)
        http_later_json(d->waiting[i], 200, all_status(d));
}

struct dns *dns_start(struct loop *loop, const struct opt_conf *conf, void (*ended)(void *user), void *user)
{
    struct dns *d = mem_new(sizeof *d);
    json_t *all;

    d->loop = loop;
    d->conf = conf;
    d->ended = ended;
    d->user = user;
    d->alive = 3;
    uv_timer_init(&loop->uv, &d->again);
    d->again.data = d;
    d->address = address_start(loop, conf, on_address_changed, on_address_ended, d);
    d->watch = watch_start(loop, &d->names, resolvers, on_public_seen, on_watch_ended, d);
    sync_init(&d->sync, &d->names, &d->accounts, &d->accounts_n);
    relays_set(&d->relays, conf, loop_now_ms(d->loop));
    all = memory_open(&d->memory, agent_conf_of(conf)->base.state_dir);
    recall(d, all);
    json_decref(all);
    set_accounts(d);
    recompute(d);
    return d;
}

void dns_reload(struct dns *d, const struct opt_conf *conf)
{
    d->conf = conf;
    address_reload(d->address, conf);
    relays_set(&d->relays, conf, loop_now_ms(d->loop));
    set_accounts(d);
    recompute(d);
    save(d);
}

/* ---- status ---- */

/* While we end it may be gone already. */
json_t *dns_public_status(const struct dns *d)
{
    return d->address ? address_status(d->address) : json_pack("{s:n, s:n, s:[]}", "v4", "v6", "sources");
}

static int64_t next_of(const struct dns *d, const struct dns_name *n)
{
    const struct account *a = account_of(d, n->account);

    return a ? account_next_s(a, n) : 0;
}

json_t *dns_site_status(const struct dns *d, const char *site)
{
    json_t *records = json_array();
    const char *account = NULL;

    for (size_t i = 0; i < d->names.n; i++) {
        const struct dns_name *n = d->names.list[i];

        if (strcmp(n->site, site) != 0 || n->gone)
            continue;
        account = n->account;
        name_add_status(n, next_of(d, n), records);
    }
    if (!account) {
        json_decref(records);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "provider", account, "records", records);
}

static json_t *all_status(const struct dns *d)
{
    json_t *records = json_array(), *providers = json_array();

    for (size_t i = 0; i < d->names.n; i++) {
        json_t *own = json_array(), *record;
        size_t j;

        name_add_status(d->names.list[i], next_of(d, d->names.list[i]), own);
        json_array_foreach(own, j, record)
        {
            json_object_set_new(record, "domain", json_string(d->names.list[i]->site));
            json_object_set_new(record, "account", json_string(d->names.list[i]->account));
        }
        json_array_extend(records, own);
        json_decref(own);
    }
    for (size_t i = 0; i < d->accounts_n; i++)
        json_array_append_new(providers, account_status(d->accounts[i]));
    return json_pack("{s:o, s:o, s:o}", "public", dns_public_status(d), "records", records, "providers",
                     providers);
}

json_t *dns_outcomes(const struct dns *d)
{
    return outcomes_status(&d->outcomes);
}

void dns_answer_status(struct dns *d, const struct http_request *request, struct http_reply *reply)
{
    if (!str_eq(request->query, "public") || d->waiting_n == STATUS_WAITING || d->stopping) {
        http_reply_json(reply, 200, all_status(d));
        return;
    }
    d->waiting[d->waiting_n++] = http_reply_later(reply);
    watch_now(d->watch);
}

void dns_answer_sync(struct dns *d, const struct http_request *request, struct http_reply *reply)
{
    if (d->draining || d->stopping)
        http_reply_error(reply, 503, "the agent is stopping");
    else
        sync_answer(&d->sync, request, reply);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct dns *d = handle->data;

    d->alive--;
    end_if_done(d);
}

void dns_stop(struct dns *d)
{
    if (d->stopping)
        return;
    d->stopping = true;
    sync_stop(&d->sync);
    for (size_t i = 0; i < d->waiting_n; i++)
        http_later_error(d->waiting[i], 503, "the agent is stopping");
    d->waiting_n = 0;
    watch_stop(d->watch);
    uv_close((uv_handle_t *)&d->again, on_closed);
    address_stop(d->address);
    for (size_t i = 0; i < d->accounts_n; i++)
        account_stop(d->accounts[i]);
}

void dns_drain(struct dns *d)
{
    bool waiting = false;

    for (size_t i = 0; i < d->names.n && !d->draining; i++)
        if (d->names.list[i]->cleanup && !d->names.list[i]->gone) {
            name_take_leave(d->names.list[i]);
            d->names.list[i]->hold_until_s = 0;
        }
    if (!d->draining)
        for (size_t i = 0; i < d->accounts_n; i++)
            account_look(d->accounts[i]);
    d->draining = true;
    for (size_t i = 0; i < d->accounts_n; i++)
        waiting = waiting || account_works(d->accounts[i]) || !account_idle(d->accounts[i]);
    if (!waiting)
        dns_stop(d);
}

static void end_if_done(struct dns *d)
{
    void (*ended)(void *user) = d->ended;
    void *user = d->user;

    if (!d->stopping || d->alive > 0)
        return;
    names_free(&d->names);
    relays_free(&d->relays);
    free(d->accounts);
    json_decref(d->remembered);
    memory_close(&d->memory);
    outcomes_free(&d->outcomes);
    free(d);
    ended(user);
}
