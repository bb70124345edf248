/* LIFE OF AN ACCOUNT
 *
 *   look: which names are due? ──▶ a job with copies of them ──▶ learnt, name by name ──▶ look again
 *      │ none                        stops early when the account itself is refused
 *      └──▶ wait till the first one is (a hold, a backoff, the daily check)                                          */
#include "agent/dns/account.h"

#include "agent/dns/reconcile.h"
#include "shared/http/fetch.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH_NAMES = 50, /* so that what is learnt is seen, and kept, soon */
    BATCH_MS = 30 * 1000,
    CHECK_MS = 24 * 3600 * 1000,
    CONFIG_HOLD_S = 24 * 3600,
    ABUSE_HOLD_S = 24 * 3600,
    REFRESH_S = 28 * 24 * 3600, /* services that forget names which say nothing for a month */
    FAILURES_IN_A_ROW = 3,
    FIRST_RETRY_MS = 15 * 1000,
    MAX_RETRY_MS = 3600 * 1000,
    LONGEST_TIMER_MS = 3600 * 1000, /* the wall clock may jump */
    CLOCK_S = 10,                   /* how often a clock that is not set yet is looked at */
};

struct batch {
    struct dns_name **copies;
    size_t n, done;
    json_t *plan; /* NULL: for real */
    bool out_of_time;
};

struct account {
    struct loop *loop;
    char name[NAME_LABEL_BYTES], agent[NAME_LABEL_BYTES];
    struct dns_client *client;
    char digest[DNS_DIGEST_BYTES]; /* of the configuration: what a refusal is remembered with */
    struct names *names;
    const struct account_events *events;
    void *user;
    uv_timer_t timer;
    struct job *job;
    struct batch batch;
    struct retry retry;
    enum dns_class trouble; /* of the account itself: DNS_OK, AUTH, ABUSE, THROTTLED, TRANSIENT */
    char why[NAME_WHY_BYTES];
    int64_t hold_until_s; /* INT64_MAX: until the configuration changes */
    char *plan_site;
    void (*planned)(void *user, json_t *plan, json_t *errors);
    void *planned_user;
    uint64_t requests; /* that the client has made, when no job ran last */
    bool stopping, closed;
};

static void on_timer(uv_timer_t *timer);
static void account_run(struct account *a);
static void on_job_ended(void *user);
static void finish_plan(struct account *a, json_t *takes_plan, json_t *takes_errors);
static void end_if_done(struct account *a);

/* ---- what it is ---- */

struct account *account_start(struct loop *loop, const char *name, const struct dns_conf *conf,
                              const char *agent, struct names *names, const struct account_events *events,
                              void *user)
{
    struct account *a = mem_new(sizeof *a);

    a->loop = loop;
    snprintf(a->name, sizeof a->name, "%s", name);
    snprintf(a->agent, sizeof a->agent, "%s", agent);
    a->client = dns_client_new(conf);
    dns_conf_digest(conf, a->digest);
    a->names = names;
    a->events = events;
    a->user = user;
    retry_init(&a->retry, FIRST_RETRY_MS, MAX_RETRY_MS);
    uv_timer_init(&loop->uv, &a->timer);
    a->timer.data = a;
    return a;
}

const char *account_name(const struct account *a)
{
    return a->name;
}

const struct dns_provider *account_provider(const struct account *a)
{
    return a->client->provider;
}

bool account_follows(const struct account *a, const struct dns_conf *conf, const char *agent)
{
    char digest[DNS_DIGEST_BYTES];

    dns_conf_digest(conf, digest);
    return strcmp(digest, a->digest) == 0 && strcmp(agent, a->agent) == 0;
}

/* ---- what is due ---- */

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static bool is_mine(const struct account *a, const struct dns_name *n)
{
    return strcmp(n->account, a->name) == 0;
}

/* Some services drop a name that has not been told them for a month. */
static bool wants_refresh(const struct account *a, const struct dns_name *n)
{
    return a->client->provider->kind == DNS_DYN && n->told_s > 0 && now_s() >= n->told_s + REFRESH_S &&
           dns_clock_is_set();
}

static bool is_due(const struct account *a, const struct dns_name *n, uint64_t now_ms)
{
    if (!is_mine(a, n))
        return false;
    if (n->forced)
        return true;
    if (n->hold_until_s > now_s() && n->hold_until_s <= now_s() + (int64_t)2 * CONFIG_HOLD_S)
        return false;
    return name_differs(n, a->client->provider) || wants_refresh(a, n) ||
           (n->check_at_ms > 0 && now_ms >= n->check_at_ms && !n->gone &&
            a->client->provider->kind != DNS_DYN);
}

static bool is_held(const struct account *a)
{
    return a->hold_until_s > now_s();
}

static uint64_t loop_ms(const struct account *a)
{
    return (uint64_t)loop_now_ms(a->loop);
}

bool account_works(const struct account *a)
{
    return a->job != NULL;
}

bool account_idle(const struct account *a)
{
    if (a->job)
        return false;
    for (size_t i = 0; i < a->names->n && !is_held(a); i++)
        if (is_due(a, a->names->list[i], loop_ms(a)))
            return false;
    return true;
}

int64_t account_next_s(const struct account *a, const struct dns_name *n)
{
    int64_t next = n->check_at_ms > 0 ? now_s() + ((int64_t)n->check_at_ms - loop_now_ms(a->loop)) / 1000 : 0;

    if (a->hold_until_s == INT64_MAX)
        return 0;
    if (is_held(a) && is_due(a, n, loop_ms(a)))
        return a->hold_until_s; /* it waits for nothing else */
    next = n->hold_until_s > 0 && (next == 0 || n->hold_until_s < next) ? n->hold_until_s : next;
    return a->hold_until_s > now_s() && a->hold_until_s > next ? a->hold_until_s : next;
}

/* ---- the job ---- */

static bool is_of_account(enum dns_class class)
{
    return class == DNS_AUTH || class == DNS_ABUSE || class == DNS_THROTTLED;
}

/* On the thread. */
static void run_batch(struct job *job, void *user)
{
    struct account *a = user;
    struct batch *b = &a->batch;
    uint64_t until = uv_hrtime() / 1000000 + BATCH_MS;
    size_t failures = 0;

    a->client->job = job;
    while (b->done < b->n && !b->out_of_time) {
        enum dns_class class = reconcile(a->client, b->copies[b->done++], a->agent, b->plan);

        failures = class == DNS_TRANSIENT || class == DNS_BADREPLY ? failures + 1 : 0;
        b->out_of_time = is_of_account(class) || class == DNS_STOPPED || failures >= FAILURES_IN_A_ROW ||
                         (uv_hrtime() / 1000000 >= until && !b->plan);
    }
    a->client->job = NULL;
}

static struct dns_name *find(const struct account *a, const struct dns_name *copy)
{
    for (size_t i = 0; i < a->names->n; i++)
        if (is_mine(a, a->names->list[i]) && strcmp(a->names->list[i]->name, copy->name) == 0)
            return a->names->list[i];
    return NULL;
}

static void free_batch(struct account *a)
{
    struct batch *b = &a->batch;
    struct dns_name *n;

    for (size_t i = 0; i < b->n; i++) {
        if (!b->plan && (n = find(a, b->copies[i])))
            n->asked--;
        name_free(b->copies[i]);
    }
    free(b->copies);
    json_decref(b->plan);
    *b = (struct batch){ 0 };
}

static void fill_batch(struct account *a)
{
    struct batch *b = &a->batch;

    for (size_t i = 0; i < a->names->n && (b->plan || b->n < BATCH_NAMES); i++) {
        struct dns_name *n = a->names->list[i];

        if (b->plan ? !is_mine(a, n) || (a->plan_site && strcmp(n->site, a->plan_site) != 0)
                    : !is_due(a, n, loop_ms(a)))
            continue;
        b->copies = mem_grow(b->copies, (b->n + 1) * sizeof(struct dns_name *));
        b->copies[b->n++] = name_copy(n);
        n->asked += !b->plan;
        for (int f = 0; f < NAME_FAMILIES && !b->plan; f++)
            if (n->families[f].managed && n->families[f].known)
                n->families[f].state = NAME_UPDATING;
    }
}

static void start_job(struct account *a, bool plan)
{
    struct err why = { 0 };

    a->batch.plan = plan ? json_array() : NULL;
    fill_batch(a);
    a->job = job_start(a->loop, run_batch, on_job_ended, a, &why);
    if (a->job)
        return;
    log_error("no DNS update can be made", kv_str("provider", a->name), kv_str("error", why.text));
    free_batch(a);
    a->hold_until_s = now_s() + 60;
}

static uint32_t some_random(void)
{
    uint32_t n = 0;

    uv_random(NULL, NULL, &n, sizeof n, 0, NULL);
    return n;
}

/* Once a day, each name at a time of its own. */
static uint64_t next_check(const struct account *a)
{
    return loop_ms(a) + CHECK_MS - some_random() % (CHECK_MS / 4);
}

/* ---- looking ---- */

static void set_timer(struct account *a)
{
    uint64_t soonest = LONGEST_TIMER_MS;
    int64_t now = now_s();

    for (size_t i = 0; i < a->names->n; i++) {
        struct dns_name *n = a->names->list[i];
        int64_t next;

        if (!is_mine(a, n))
            continue;
        if (n->check_at_ms == 0) /* known from before a restart */
            n->check_at_ms = next_check(a);
        next = account_next_s(a, n);
        if (next > 0 && (next - now) * 1000 < (int64_t)soonest)
            soonest = next > now ? (uint64_t)(next - now) * 1000 : 1000;
    }
    uv_timer_start(&a->timer, on_timer, soonest, 0);
}

static void account_run(struct account *a)
{
    if (a->stopping || a->job)
        return;
    if (a->planned && is_held(a) && is_of_account(a->trouble))
        finish_plan(a, json_array(), json_pack("[o]", json_any_text(a->why)));
    if (a->planned) {
        start_job(a, true);
        if (a->job)
            return;
    }
    if (!account_idle(a)) {
        uv_timer_stop(&a->timer);
        start_job(a, false);
    }
    if (a->job)
        return;
    fetch_rest();
    set_timer(a);
}

static void on_timer(uv_timer_t *timer)
{
    account_run(timer->data);
}

void account_look(struct account *a)
{
    if (!a->stopping && !a->job)
        uv_timer_start(&a->timer, on_timer, 0, 0); /* at once, but not from inside our caller */
}

void account_force(struct account *a)
{
    if (!is_of_account(a->trouble))
        a->hold_until_s = 0;
    account_look(a);
}

const char *account_refused(const struct account *a)
{
    return is_held(a) ? a->why : NULL;
}

void account_plan(struct account *a, const char *site,
                  void (*planned)(void *user, json_t *plan, json_t *errors), void *user)
{
    a->plan_site = mem_copy(site);
    a->planned = planned;
    a->planned_user = user;
    account_look(a);
}

/* ---- what came of it ---- */

static void hold_account(struct account *a, enum dns_class class, int64_t retry_after_ms, const char *why)
{
    int64_t wait_ms = retry_failed(&a->retry, some_random());

    a->trouble = class;
    snprintf(a->why, sizeof a->why, "%s", why);
    if (class == DNS_AUTH)
        a->hold_until_s = INT64_MAX;
    else if (class == DNS_ABUSE)
        a->hold_until_s =
            now_s() + (retry_after_ms > ABUSE_HOLD_S * 1000LL ? retry_after_ms / 1000 : ABUSE_HOLD_S);
    else
        a->hold_until_s = now_s() + (retry_after_ms > 0 ? retry_after_ms + 999 : wait_ms) / 1000;
    if (class == DNS_AUTH || class == DNS_ABUSE)
        log_error("a DNS provider refuses us, and is not asked again", kv_str("provider", a->name),
                  kv_str("state", dns_class_text(class)), kv_str("error", why));
    else
        log_warn("a DNS provider is left alone for a while", kv_str("provider", a->name),
                 kv_str("state", dns_class_text(class)),
                 kv_int("retry_ms", (a->hold_until_s - now_s()) * 1000), kv_str("error", why));
}

/* Nobody was asked, so nobody is to be spared: it is soon looked at again, however often that has been in vain. */
static void wait_for_clock(struct account *a, const char *why)
{
    if (a->trouble != DNS_TRANSIENT)
        log_warn("a DNS provider is not asked while the clock is not set", kv_str("provider", a->name));
    a->trouble = DNS_TRANSIENT;
    a->hold_until_s = now_s() + CLOCK_S;
    snprintf(a->why, sizeof a->why, "%s", why);
}

static const char *why_of(const struct dns_name *n)
{
    for (int i = 0; i < NAME_FAMILIES; i++)
        if (n->families[i].why[0] && n->families[i].state == NAME_FAILED)
            return n->families[i].why;
    return "";
}

static void hold_name(struct account *a, struct dns_name *n)
{
    int64_t wait_ms;

    n->hold_until_s = 0;
    n->check_at_ms = next_check(a);
    if (a->client->clock_missing)
        return; /* the account waits for it */
    if (n->trouble == DNS_OK && !(name_was_tried(n) && is_due(a, n, loop_ms(a)))) {
        retry_succeeded(&n->retry);
    } else if (n->trouble == DNS_CONFIG) {
        n->hold_until_s = now_s() + CONFIG_HOLD_S;
    } else if (!is_of_account(n->trouble) && n->trouble != DNS_STOPPED) {
        wait_ms = (int64_t)retry_failed(&n->retry, some_random()) * (n->trouble == DNS_BADREPLY ? 6 : 1);
        n->hold_until_s = now_s() + (n->retry_after_ms > wait_ms ? n->retry_after_ms : wait_ms) / 1000;
    }
}

static void learn(struct account *a, const struct dns_name *copy)
{
    struct dns_name *n = find(a, copy), *before;

    if (!n || copy->trouble == DNS_STOPPED)
        return;
    before = name_copy(n);
    name_learn(n, copy);
    name_fit(n, a->client->provider);
    n->forced = false;
    hold_name(a, n);
    a->events->looked(a->user, n, before);
    name_free(before);
}

static void unlock(struct account *a, const struct dns_name *copy)
{
    struct dns_name *n = find(a, copy);

    for (int i = 0; n && i < NAME_FAMILIES; i++)
        if (n->families[i].state == NAME_UPDATING)
            n->families[i].state = copy->families[i].state;
}

static void learn_all(struct account *a)
{
    const struct batch *b = &a->batch;
    const struct dns_name *last = b->done > 0 ? b->copies[b->done - 1] : NULL;
    size_t failures = 0;

    for (size_t i = 0; i < b->n; i++) {
        if (i >= b->done || b->copies[i]->trouble == DNS_STOPPED) {
            unlock(a, b->copies[i]);
            continue;
        }
        failures = b->copies[i]->trouble == DNS_TRANSIENT || b->copies[i]->trouble == DNS_BADREPLY
                       ? failures + 1
                       : 0;
        learn(a, b->copies[i]);
    }
    if (!last || last->trouble == DNS_STOPPED)
        return;
    if (a->client->clock_missing) {
        wait_for_clock(a, why_of(last));
    } else if (is_of_account(last->trouble) || failures >= FAILURES_IN_A_ROW) {
        hold_account(a, last->trouble, last->retry_after_ms, why_of(last));
    } else if (failures == 0) {
        retry_succeeded(&a->retry);
        a->trouble = DNS_OK;
        a->hold_until_s = 0;
        a->why[0] = 0;
    }
}

static void finish_plan(struct account *a, json_t *takes_plan, json_t *takes_errors)
{
    void (*planned)(void *user, json_t *plan, json_t *errors) = a->planned;

    a->planned = NULL;
    free(a->plan_site);
    a->plan_site = NULL;
    if (planned) {
        planned(a->planned_user, takes_plan, takes_errors);
        return;
    }
    json_decref(takes_plan);
    json_decref(takes_errors);
}

/* One name's trouble hides nothing of the others. */
static void end_plan(struct account *a)
{
    const struct batch *b = &a->batch;
    json_t *errors = json_array();

    for (size_t i = 0; i < b->done; i++)
        if (b->copies[i]->trouble != DNS_OK && *why_of(b->copies[i]))
            json_array_append_new(errors, json_any_text(why_of(b->copies[i])));
    finish_plan(a, json_incref(b->plan), errors);
}

static void on_job_ended(void *user)
{
    struct account *a = user;

    a->job = NULL;
    a->requests = a->client->requests;
    if (a->batch.plan)
        end_plan(a);
    else
        learn_all(a);
    free_batch(a);
    a->events->settled(a->user, a);
    account_run(a);
    end_if_done(a);
}

/* ---- what is remembered, and shown ---- */

json_t *account_to_json(const struct account *a)
{
    if (a->trouble != DNS_AUTH && a->trouble != DNS_ABUSE && a->trouble != DNS_THROTTLED)
        return NULL;
    return json_pack("{s:s, s:s, s:I, s:o}", "digest", a->digest, "class", dns_class_text(a->trouble),
                     "until", (json_int_t)a->hold_until_s, "why", json_any_text(a->why));
}

void account_of_json(struct account *a, const json_t *json)
{
    static const enum dns_class kept[] = { DNS_AUTH, DNS_ABUSE, DNS_THROTTLED };
    const char *digest = json_string_value(json_object_get(json, "digest"));
    const char *class = json_string_value(json_object_get(json, "class"));
    const char *why = json_string_value(json_object_get(json, "why"));

    if (!digest || !class || !why || strcmp(digest, a->digest) != 0)
        return; /* another configuration: it is asked again */
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (strcmp(class, dns_class_text(kept[i])) == 0) {
            a->trouble = kept[i];
            a->hold_until_s = json_integer_value(json_object_get(json, "until"));
            snprintf(a->why, sizeof a->why, "%s", why);
        }
}

json_t *account_status(const struct account *a)
{
    bool forever = a->hold_until_s == INT64_MAX, held = is_held(a);

    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:I}", "name", a->name, "type", a->client->provider->type, "state",
        held     ? dns_class_text(a->trouble)
        : a->job ? "working"
                 : "ok",
        "hold_until", held && !forever ? json_time((time_t)a->hold_until_s) : json_null(), "last_error",
        held ? json_any_text(a->why) : json_null(), "requests", (json_int_t)a->requests);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct account *a = handle->data;

    a->closed = true;
    end_if_done(a);
}

void account_stop(struct account *a)
{
    if (a->stopping)
        return;
    a->stopping = true;
    if (a->job)
        job_cancel(a->job);
    else if (a->planned)
        finish_plan(a, json_array(),
                    json_pack("[s]", "the agent is stopping, or its configuration has changed"));
    uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void end_if_done(struct account *a)
{
    if (!a->stopping || !a->closed || a->job)
        return;
    a->events->ended(a->user, a);
    dns_client_free(a->client);
    free(a->plan_site);
    free(a);
}
