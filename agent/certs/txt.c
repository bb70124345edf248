/* The life of a TXT value:
 *
 *   a relay's txt: may it? ── no ──▶ txt_done
 *      └── yes ──▶ written down ──▶ a job sets it ──▶ txt_done ── clear, an hour, the next start ──▶ a job clears it ──▶ struck out
 *
 * One job at a time: two that read, add and write the same set would lose a value. */
#include "agent/certs/txt.h"

#include "agent/certs/txt_rule.h"
#include "agent/options.h"
#include "shared/dns/client.h"
#include "shared/dns/lookup.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT_MS = 3600 * 1000,
    AGAIN_MS = 600 * 1000, /* for one that could not be cleared */
    VALUES_MAX = 256,
    FILE_BYTES = 1 << 20,
    VERSION = 1,
};

struct value {
    char name[DOMAIN_BYTES], target[DOMAIN_BYTES]; /* target: where the name leads by CNAMEs; "" not known */
    char text[TXT_VALUE_CHARS + 1], provider[64];
    bool was_set;   /* a provider has said so */
    bool clearing;  /* it is to go */
    int64_t due_ms; /* when; for one that is to go, when that is tried */
};

/* What is to be done, in order; the first one is under way while there is a job. */
struct task {
    struct task *next;
    bool set;
    struct value value; /* a copy, of which the job knows more afterwards */
    bool others;        /* values with this name are set, or about to be */
    char relay[64];     /* who asked; "" nobody */
    json_t *id;
    char providers[8][64]; /* whom to ask: the site's own, and for where its name leads to, the others */
    size_t providers_n;
    enum dns_class class;
    struct dns_why why;
};

struct credential {
    char name[64];
    struct dns_client *client;
};

struct txt {
    struct loop *loop;
    const struct opt_conf *conf;
    const struct txt_events *events;
    void *user;
    char *path;
    struct value *values;
    size_t values_n;
    struct task *tasks;
    struct job *job;
    struct credential *credentials; /* the job's while it runs */
    size_t credentials_n;
    struct lookup lookup;
    bool stale; /* the configuration has changed: the credentials are to be read anew */
    uv_timer_t begin;
    bool stopping, closed;
};

static void run_next(struct txt *t);
static void end_if_done(struct txt *t);

/* ---- what is written down ---- */

static void save(struct txt *t)
{
    json_t *list = json_array(), *all;
    struct buf text = { 0 };
    struct err why = { 0 };

    for (size_t i = 0; i < t->values_n; i++) {
        const struct value *v = &t->values[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", v->name, "target", v->target,
                                              "value", v->text, "provider", v->provider));
    }
    all = json_pack("{s:i, s:o}", "v", VERSION, "values", list);
    json_write(&text, all);
    if (file_write(t->path, buf_bytes(&text), text.len, 0600, &why) != 0)
        log_error(
            "what is set in DNS for relays cannot be written down; if this agent is killed now, it stays there",
            kv_str("path", t->path), kv_str("error", why.text));
    buf_free(&text);
    json_decref(all);
}

static struct value *add_value(struct txt *t, const char *name, const char *text, const char *provider)
{
    struct value *v;

    t->values = mem_grow(t->values, (t->values_n + 1) * sizeof *t->values);
    v = &t->values[t->values_n++];
    *v = (struct value){ .due_ms = loop_now_ms(t->loop) + KEPT_MS };
    snprintf(v->name, sizeof v->name, "%s", name);
    snprintf(v->text, sizeof v->text, "%s", text);
    snprintf(v->provider, sizeof v->provider, "%s", provider);
    return v;
}

static int read_value(struct txt *t, const json_t *json, struct err *e)
{
    const char *name, *target, *text, *provider;
    struct value *v;

    if (json_get_text(json, "name", DOMAIN_BYTES - 1, &name, e) != 0 ||
        json_get_text(json, "target", DOMAIN_BYTES - 1, &target, e) != 0 ||
        json_get_text(json, "value", TXT_VALUE_CHARS, &text, e) != 0 ||
        json_get_text(json, "provider", sizeof v->provider - 1, &provider, e) != 0)
        return -1;
    v = add_value(t, name, text, provider);
    snprintf(v->target, sizeof v->target, "%s", target);
    v->was_set = v->clearing = true; /* as far as anybody knows */
    v->due_ms = 0;
    return 0;
}

/* All of it is from before this start, and to be cleared. */
static void recall(struct txt *t)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    json_t *all = NULL;
    const json_t *list;
    int rc = file_read(t->path, FILE_BYTES, &text, &why);

    if (rc == 0)
        rc = (all = json_read(buf_bytes(&text), text.len, &why)) ? 0 : -1;
    if (rc == 0)
        rc = json_get_list(all, "values", VALUES_MAX, &list, &why);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
        rc = read_value(t, json_array_get(list, i), &why);
    if (rc != 0 && why.code != ERR_MISSING)
        log_warn("TXT records that were set for relays before this start may have stayed in DNS",
                 kv_str("path", t->path), kv_str("error", why.text));
    buf_free(&text);
    json_decref(all);
}

static struct value *find(struct txt *t, const char *name, const char *text)
{
    for (size_t i = 0; i < t->values_n; i++)
        if (strcmp(t->values[i].name, name) == 0 && strcmp(t->values[i].text, text) == 0)
            return &t->values[i];
    return NULL;
}

static size_t count(const struct txt *t, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < t->values_n; i++)
        n += strcmp(t->values[i].name, name) == 0;
    return n;
}

/* ---- tasks ---- */

static void add_provider(struct task *k, const char *name)
{
    for (size_t i = 0; i < k->providers_n; i++)
        if (strcmp(k->providers[i], name) == 0)
            return;
    if (k->providers_n < sizeof k->providers / sizeof k->providers[0])
        snprintf(k->providers[k->providers_n++], sizeof k->providers[0], "%s", name);
}

static struct task *add_task(struct txt *t, bool set, const struct value *v)
{
    struct task *k = mem_new(sizeof *k), **end = &t->tasks;
    const char *name;

    k->set = set;
    k->value = *v;
    add_provider(k, v->provider);
    for (size_t i = 0; set && opt_section(t->conf, "provider", i, &name); i++)
        add_provider(k, name);
    while (*end)
        end = &(*end)->next;
    *end = k;
    return k;
}

static void free_task(struct task *k)
{
    json_decref(k->id);
    free(k);
}

static void answer(struct txt *t, const char *relay, json_t *id, const char *why)
{
    const struct lane_msg m = { .type = LANE_TXT_DONE, .done = { .id = id, .ok = !*why, .why = why } };

    t->events->answered(t->user, relay, &m);
}

/* ---- the job ---- */

static struct dns_client *client_of(struct txt *t, const char *name)
{
    for (size_t i = 0; i < t->credentials_n; i++)
        if (strcmp(t->credentials[i].name, name) == 0)
            return t->credentials[i].client;
    return NULL;
}

static enum dns_class apply(struct dns_client *c, struct task *k)
{
    struct dns_zone zone = { 0 };
    enum dns_class class = DNS_OK;

    if (k->set && k->others && !(c->provider->can & DNS_CAN_SEVERAL))
        return dns_fail(c, &k->why, DNS_CONFIG, "it keeps one TXT value for %s, and one is in use there",
                        k->value.target);
    if (c->provider->kind != DNS_DYN)
        class = dns_find_zone(c, k->value.target, &zone, &k->why);
    if (class != DNS_OK)
        return class;
    return k->set ? dns_txt_add(c, &zone, k->value.target, k->value.text, &k->why)
                  : dns_txt_remove(c, &zone, k->value.target, k->value.text, &k->why);
}

/* Where nobody can be asked about CNAMEs the name is taken as it is: the relay looks whether the public sees the value. */
static void find_target(struct txt *t, struct task *k)
{
    char target[DOMAIN_BYTES];
    struct err why = { 0 };

    snprintf(target, sizeof target, "%s", k->value.name);
    if (lookup_follow(&t->lookup, target, &why) != 0) {
        log_warn_limited("txt", "it cannot be found out whether a name is kept elsewhere",
                         kv_str("name", k->value.name), kv_str("error", why.text));
        snprintf(target, sizeof target, "%s", k->value.name);
    }
    memcpy(k->value.target, target, sizeof target);
}

/* On the thread. */
static void run(struct job *job, void *user)
{
    struct txt *t = user;
    struct task *k = t->tasks;
    bool leads_elsewhere;

    t->lookup.job = job;
    k->class = DNS_CONFIG;
    err_set(&k->why.err, ERR_MISSING, "there is no [provider %s] any more", k->value.provider);
    if (!k->value.target[0])
        find_target(t, k);
    leads_elsewhere = strcmp(k->value.target, k->value.name) != 0;
    for (size_t i = 0; i < k->providers_n; i++) {
        struct dns_client *c = client_of(t, k->providers[i]);

        if (!c)
            continue;
        c->job = job;
        k->class = apply(c, k);
        c->job = NULL;
        snprintf(k->value.provider, sizeof k->value.provider, "%s", k->providers[i]);
        if (k->class != DNS_CONFIG || !leads_elsewhere)
            return;
    }
}

static void free_credentials(struct txt *t)
{
    for (size_t i = 0; i < t->credentials_n; i++)
        dns_client_free(t->credentials[i].client);
    free(t->credentials);
    t->credentials = NULL;
    t->credentials_n = 0;
    t->stale = false;
}

static void read_credentials(struct txt *t)
{
    const struct dns_conf *conf;
    const char *name;

    if (t->stale)
        free_credentials(t);
    for (size_t i = 0; (conf = opt_section(t->conf, "provider", i, &name)); i++) {
        struct credential *c;

        if (client_of(t, name))
            continue;
        t->credentials = mem_grow(t->credentials, (t->credentials_n + 1) * sizeof *t->credentials);
        c = &t->credentials[t->credentials_n++];
        *c = (struct credential){ .client = dns_client_new(conf) };
        snprintf(c->name, sizeof c->name, "%s", name);
    }
}

/* ---- what came of it ---- */

static void strike_out(struct txt *t, const struct value *v)
{
    struct value *there = find(t, v->name, v->text);

    if (there)
        *there = t->values[--t->values_n];
    save(t);
}

/* The answer may have been lost on its way. */
static bool may_be_there(enum dns_class class)
{
    return class == DNS_TRANSIENT || class == DNS_BADREPLY || class == DNS_STOPPED;
}

static void learn_set(struct txt *t, const struct task *k)
{
    struct value *v = find(t, k->value.name, k->value.text);
    bool well = k->class == DNS_OK || k->class == DNS_NOCHANGE;

    if (v) {
        memcpy(v->target, k->value.target, sizeof v->target);
        memcpy(v->provider, k->value.provider, sizeof v->provider);
        v->was_set = v->was_set || well || may_be_there(k->class);
        save(t);
    }
    if (well)
        log_info("TXT record set for a relay", kv_str("relay", k->relay), kv_str("name", k->value.target),
                 kv_str("provider", k->value.provider));
    else
        log_warn_limited(k->relay, "a TXT record could not be set for a relay", kv_str("relay", k->relay),
                         kv_str("name", k->value.name), kv_str("error", k->why.err.text));
    if (v && !well && !v->was_set) {
        strike_out(t, &k->value);
    } else if (v && !well) {
        v->clearing = true;
        v->due_ms = 0;
    }
}

static void clear_later(const struct txt *t, struct value *v)
{
    if (v && v->clearing) /* and was not asked for again meanwhile */
        v->due_ms = loop_now_ms(t->loop) + AGAIN_MS;
}

static void learn_clear(struct txt *t, const struct task *k)
{
    struct value *v = find(t, k->value.name, k->value.text);

    if (k->class == DNS_OK || k->class == DNS_NOCHANGE) {
        log_info("TXT record cleared", kv_str("name", k->value.target),
                 kv_str("provider", k->value.provider));
        if (v && v->clearing) /* and was not asked for again meanwhile */
            strike_out(t, &k->value);
        return;
    }
    log_warn_limited("txt", "a TXT record that was set for a relay cannot be cleared yet",
                     kv_str("name", k->value.name), kv_str("provider", k->value.provider),
                     kv_str("error", k->why.err.text));
    clear_later(t, v);
}

static void on_job_ended(void *user)
{
    struct txt *t = user;
    struct task *k = t->tasks;
    bool well = k->class == DNS_OK || k->class == DNS_NOCHANGE;

    t->job = NULL;
    t->tasks = k->next;
    if (k->class != DNS_STOPPED && k->set)
        learn_set(t, k);
    else if (k->class != DNS_STOPPED)
        learn_clear(t, k);
    if (k->id && !t->stopping)
        answer(t, k->relay, k->id, well ? "" : k->why.err.text);
    free_task(k);
    if (!t->stopping)
        txt_tick(t);
    end_if_done(t);
}

static void start_job(struct txt *t, struct err *e)
{
    read_credentials(t);
    if (lookup_open(&t->lookup, &agent_conf_of(t->conf)->resolvers, e) == 0)
        t->job = job_start(t->loop, run, on_job_ended, t, e);
}

/* A provider that has gone from the configuration since cannot be asked. */
static bool can_be_done(const struct txt *t, const struct task *k)
{
    return opt_values(t->conf, "provider", k->value.provider) != NULL;
}

static void run_next(struct txt *t)
{
    while (!t->job && !t->stopping && t->tasks) {
        struct task *k = t->tasks;
        struct err why = { 0 };

        k->why.err = (struct err){ 0 };
        if (can_be_done(t, k))
            start_job(t, &why);
        else
            err_set(&why, ERR_MISSING, "there is no [provider %s] any more", k->value.provider);
        if (t->job)
            return;
        log_warn("a TXT record stays as it is", kv_str("name", k->value.name), kv_str("error", why.text));
        if (k->id)
            answer(t, k->relay, k->id, why.text);
        if (!can_be_done(t, k))
            strike_out(t, &k->value);
        else if (!k->set)
            clear_later(t, find(t, k->value.name, k->value.text));
        t->tasks = k->next;
        free_task(k);
    }
}

/* ---- what relays ask for ---- */

static void set(struct txt *t, const char *relay, const struct lane_msg *m)
{
    struct value *v = find(t, m->txt.name, m->txt.value);
    const char *provider;
    struct err why = { 0 };
    struct task *k;

    if (txt_rule(t->conf, relay, m->txt.name, m->txt.value, &provider, &why) == 0 && !v &&
        (count(t, m->txt.name) >= TXT_VALUES_OF_NAME || t->values_n >= VALUES_MAX))
        err_set(&why, ERR_LIMIT, "%d values are set for %.200s already", TXT_VALUES_OF_NAME, m->txt.name);
    if (why.code != ERR_NONE) {
        log_warn_limited(relay, "a relay asks for a TXT record that it does not get", kv_str("relay", relay),
                         kv_str("name", m->txt.name), kv_str("error", why.text));
        answer(t, relay, m->txt.id, why.text);
        return;
    }
    if (!v) {
        v = add_value(t, m->txt.name, m->txt.value, provider);
        save(t);
    }
    v->clearing = false;
    v->due_ms = loop_now_ms(t->loop) + KEPT_MS;
    k = add_task(t, true, v);
    k->others = count(t, m->txt.name) > 1;
    snprintf(k->relay, sizeof k->relay, "%s", relay);
    k->id = json_incref(m->txt.id);
}

/* What this agent has not set is not its to clear; and after a restart it has been cleared already. */
static void clear(struct txt *t, const char *relay, const struct lane_msg *m)
{
    struct value *v = find(t, m->txt.name, m->txt.value);
    struct task *k;

    if (!v) {
        answer(t, relay, m->txt.id, "");
        return;
    }
    v->clearing = true;
    v->due_ms = INT64_MAX; /* the task is its try */
    k = add_task(t, false, v);
    snprintf(k->relay, sizeof k->relay, "%s", relay);
    k->id = json_incref(m->txt.id);
}

void txt_hear(struct txt *t, const char *relay, const struct lane_msg *m)
{
    if (t->stopping)
        return;
    if (m->txt.set)
        set(t, relay, m);
    else
        clear(t, relay, m);
    run_next(t);
}

void txt_tick(struct txt *t)
{
    int64_t now_ms = loop_now_ms(t->loop);

    for (size_t i = 0; i < t->values_n; i++) {
        struct value *v = &t->values[i];

        if (now_ms < v->due_ms)
            continue;
        v->clearing = true;
        v->due_ms = INT64_MAX;
        add_task(t, false, v);
    }
    run_next(t);
}

/* ---- start, reload, end ---- */

static void on_begin(uv_timer_t *timer)
{
    txt_tick(timer->data);
}

struct txt *txt_start(struct loop *loop, const struct opt_conf *conf, const struct txt_events *events,
                      void *user)
{
    struct txt *t = mem_new(sizeof *t);

    t->loop = loop;
    t->conf = conf;
    t->events = events;
    t->user = user;
    t->path = mem_format("%s/txt.json", agent_conf_of(conf)->base.state_dir);
    uv_timer_init(&loop->uv, &t->begin);
    t->begin.data = t;
    recall(t);
    if (t->values_n > 0)
        uv_timer_start(&t->begin, on_begin, 0, 0);
    return t;
}

void txt_reload(struct txt *t, const struct opt_conf *conf)
{
    t->conf = conf;
    t->stale = true;
}

static void on_closed(uv_handle_t *handle)
{
    struct txt *t = handle->data;

    t->closed = true;
    end_if_done(t);
}

void txt_stop(struct txt *t)
{
    if (t->stopping)
        return;
    t->stopping = true;
    if (t->job)
        job_cancel(t->job);
    uv_close((uv_handle_t *)&t->begin, on_closed);
}

static void end_if_done(struct txt *t)
{
    void (*ended)(void *user) = t->events->ended;
    void *user = t->user;

    if (!t->stopping || !t->closed || t->job)
        return;
    while (t->tasks) {
        struct task *k = t->tasks;

        t->tasks = k->next;
        free_task(k);
    }
    free_credentials(t);
    free(t->values);
    free(t->path);
    free(t);
    ended(user);
}
