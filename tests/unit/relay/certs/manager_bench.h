/* tests/unit/relay/certs/manager_bench.h - a relay's manager of certificates, with jobs that end as a test says: nobody is asked
 * for anything. One test program's own: it stands in for obtain_run. */
#ifndef TESTS_UNIT_RELAY_CERTS_MANAGER_BENCH_H
#define TESTS_UNIT_RELAY_CERTS_MANAGER_BENCH_H
#include "relay/certs/manager.h"
#include "relay/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <cmocka.h>

#include "shared/file.h"
#include "shared/http/answer.h"
#include "shared/json.h"
#include "shared/str.h"
#include "tests/unit/capture.h"
#include "tests/unit/loop_fixture.h"
#include "tests/unit/relay/certs/maker.h"
#include "tests/unit/temp.h"

enum { DAY = 86400 };

/* ---- a job that a test plays ---- */

static struct {
    struct maker *maker;
    atomic_int runs, at_once, most_at_once;
    atomic_bool waits; /* until it is cancelled */
    atomic_bool well;
    atomic_bool disk_full; /* what is issued is kept */
} fake;

static inline void issue(const struct store *s, const char *name, struct made_order *o, struct meta *m,
                         bool deploys)
{
    struct made made;
    struct err e = { 0 };
    struct store_offer offer = { .names = &name, .names_n = 1, .issuer = "acme", .origin = "ordered" };

    o->names = &name;
    o->names_n = 1;
    made = maker_issue(fake.maker, o);
    offer.chain_pem = made.pem;
    offer.key = made.key;
    offer.directory = "https://ca.test/dir";
    offer.deploys = deploys;
    if (store_install(s, &offer, m, time(NULL), &e) != 0)
        fail_msg("%s", e.text);
    made_free(&made);
}

static inline void looked_at(struct meta *m)
{
    for (int slot = 0; slot < META_SLOTS; slot++)
        m->certs[slot].ari_next_look = time(NULL) + DAY;
}

/* Nothing is ordered. */
static inline void described_anew(const struct obtain_ask *ask, struct obtain_result *r)
{
    meta_set(&r->meta.configured, ask->site.configured);
    looked_at(&r->meta);
    r->end = OBTAIN_WELL;
    fake.at_once--;
}

void obtain_run(const struct obtain_ask *ask, struct obtain_result *r)
{
    struct made_order o = { .from = time(NULL) - 60, .life_s = 90 * DAY, .type = KEY_ECDSA };
    int running = ++fake.at_once;

    if (running > fake.most_at_once)
        fake.most_at_once = running;
    r->here = -1;
    r->end = OBTAIN_STOPPED;
    r->loaded = store_load(ask->store, ask->site.names[0], &r->meta, &r->why) == 0;
    if (!ask->forced && !(ask->kept && ask->kept->chain_pem) &&
        !due_orders(&ask->site, &r->meta, time(NULL))) {
        described_anew(ask, r);
        return;
    }
    meta_set(&r->meta.configured, ask->site.configured);
    fake.runs++;
    while (fake.waits && job_sleep(ask->job, 3600 * 1000))
        continue;
    if (job_cancelled(ask->job)) {
        err_set(&r->why, ERR_STOPPED, "it was stopped");
        job_sleep(NULL, 50); /* whoever asks a CA does not end at once */
    } else if (fake.disk_full) {
        struct made made;

        o.names = ask->site.names;
        o.names_n = ask->site.names_n;
        made = maker_issue(fake.maker, &o);
        r->kept = (struct kept){ made.pem, made.key, mem_copy("acme"), KEY_ECDSA };
        err_set(&r->why, ERR_SYSTEM, "no room");
    } else if (fake.well) {
        issue(ask->store, ask->site.names[0], &o, &r->meta, true);
        r->installed = true;
        r->end = OBTAIN_WELL;
    } else {
        r->end = OBTAIN_FAILED;
        err_set(&r->why, ERR_PEER, "no");
        meta_set(&r->meta.last_error, "no");
        renewal_failed(&r->meta.retry, time(NULL), RENEWAL_SOON, 0, 0);
    }
    looked_at(&r->meta);
    fake.at_once--;
}

void obtain_result_free(struct obtain_result *r)
{
    if (r->loaded)
        meta_free(&r->meta);
    kept_free(&r->kept);
    *r = (struct obtain_result){ 0 };
}

/* ---- a relay with its manager ---- */

struct bench {
    struct temp *temp;
    struct loop loop;
    struct opt_conf *conf, *other_conf;
    struct manager *m;
    struct obtain_help help;
    char told[16], error[200];
    int changes;
    bool ended;
};

static inline void on_changed(void *user)
{
    struct bench *b = user;

    b->changes++;
}

static inline void on_told(void *user, const char *site, const json_t *cert)
{
    struct bench *b = user;
    const char *error = json_string_value(json_object_get(cert, "last_error"));

    (void)site;
    snprintf(b->told, sizeof b->told, "%s", json_string_value(json_object_get(cert, "state")));
    snprintf(b->error, sizeof b->error, "%s", error ? error : "");
}

static inline void on_notice(void *user, const char *agent, const char *level, const char *text)
{
    (void)user, (void)agent, (void)level, (void)text;
}

static inline void on_ended(void *user)
{
    struct bench *b = user;

    b->ended = true;
}

static const struct manager_events events = { on_changed, on_told, on_notice, on_ended };

static inline struct opt_conf *conf_with(const char *directory)
{
    char text[100];
    struct opt_conf *conf;

    snprintf(text, sizeof text, "[acme]\ndirectory = %s\npreflight = off\n", directory);
    conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &(struct opt_errors){ 0 });
    assert_non_null(conf);
    return conf;
}

/* By which everything that has failed begins anew. */
static inline void reload_changed(struct bench *b)
{
    b->other_conf = conf_with("https://other.test/dir");
    manager_reload(b->m, b->other_conf);
}

static inline void begin(struct bench *b, struct temp *t)
{
    alarm(LOOP_FIXTURE_PATIENCE_S);
    *b = (struct bench){ .temp = t };
    memset(&fake, 0, sizeof fake);
    fake.maker = maker_new("R10");
    fake.well = true;
    assert_int_equal(loop_init(&b->loop, NULL), 0);
    b->conf = conf_with("https://ca.test/dir");
    b->m = manager_start(&b->loop, b->conf, t->folder, &b->help, &events, b);
}

static inline void end(struct bench *b)
{
    manager_stop(b->m);
    loop_until(&b->loop, &b->ended);
    loop_run(&b->loop);
    loop_free(&b->loop);
    opt_conf_free(b->conf);
    opt_conf_free(b->other_conf);
    maker_free(fake.maker);
    alarm(0);
}

/* As a snapshot does it. NULL: there is no certificate yet. The reference is given back: the manager keeps one. */
static inline SSL_CTX *publish(struct bench *b, const char *const *sites, size_t n)
{
    SSL_CTX *tls = NULL;
    bool trusted;

    for (size_t i = 0; i < n; i++) {
        const struct manager_site site = { .names = &sites[i],
                                           .names_n = 1,
                                           .agent = "pi",
                                           .sites_max = 100,
                                           .wanted = strncmp(sites[i], "*.", 2) != 0,
                                           .spare = strncmp(sites[i], "*.", 2) == 0 };

        SSL_CTX_free(tls);
        tls = manager_context(b->m, &site, &trusted);
    }
    manager_forget_unused(b->m);
    SSL_CTX_free(tls);
    return tls;
}

#define SITES(...)                          \
    ((const char *const[]){ __VA_ARGS__ }), \
        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)

static inline bool is_told(const struct bench *b, const char *state)
{
    return strcmp(b->told, state) == 0;
}

#define UNTIL(b, condition) \
    while (!(condition))    \
    uv_run(&(b)->loop.uv, UV_RUN_ONCE)

/* Something is in the store before the relay starts. */
static inline void store_has(struct bench *b, const char *name, enum key_type type, int64_t age_s,
                             int64_t life_s)
{
    struct made_order o = { .from = time(NULL) - age_s, .life_s = life_s, .type = type };
    struct store *s = store_open(b->temp->folder, NULL);
    struct meta m;

    assert_non_null(s);
    assert_int_equal(store_load(s, name, &m, NULL), 0);
    issue(s, name, &o, &m, true);
    meta_free(&m);
    store_free(s);
}

static inline int certificates_in(SSL_CTX *tls)
{
    int n = 0;

    for (long where = SSL_CERT_SET_FIRST; SSL_CTX_set_current_cert(tls, where) == 1;
         where = SSL_CERT_SET_NEXT)
        n++;
    return n;
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_make, temp_remove)
#endif
