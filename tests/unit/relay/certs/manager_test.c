/* The certificates of sites over time, with jobs that end as a test says: nobody is asked for anything. */
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

static void issue(const struct store *s, const char *name, struct made_order *o, struct meta *m, bool deploys)
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

static void looked_at(struct meta *m)
{
    for (int slot = 0; slot < META_SLOTS; slot++)
        m->certs[slot].ari_next_look = time(NULL) + DAY;
}

/* Nothing is ordered. */
static void described_anew(const struct obtain_ask *ask, struct obtain_result *r)
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

static void on_changed(void *user)
{
    struct bench *b = user;

    b->changes++;
}

static void on_told(void *user, const char *site, const json_t *cert)
{
    struct bench *b = user;
    const char *error = json_string_value(json_object_get(cert, "last_error"));

    (void)site;
    snprintf(b->told, sizeof b->told, "%s", json_string_value(json_object_get(cert, "state")));
    snprintf(b->error, sizeof b->error, "%s", error ? error : "");
}

static void on_notice(void *user, const char *agent, const char *level, const char *text)
{
    (void)user, (void)agent, (void)level, (void)text;
}

static void on_ended(void *user)
{
    struct bench *b = user;

    b->ended = true;
}

static const struct manager_events events = { on_changed, on_told, on_notice, on_ended };

static struct opt_conf *conf_with(const char *directory)
{
    char text[100];
    struct opt_conf *conf;

    snprintf(text, sizeof text, "[acme]\ndirectory = %s\npreflight = off\n", directory);
    conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &(struct opt_errors){ 0 });
    assert_non_null(conf);
    return conf;
}

/* By which everything that has failed begins anew. */
static void reload_changed(struct bench *b)
{
    b->other_conf = conf_with("https://other.test/dir");
    manager_reload(b->m, b->other_conf);
}

static void begin(struct bench *b, struct temp *t)
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

static void end(struct bench *b)
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
static SSL_CTX *publish(struct bench *b, const char *const *sites, size_t n)
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

static bool is_told(const struct bench *b, const char *state)
{
    return strcmp(b->told, state) == 0;
}

#define UNTIL(b, condition) \
    while (!(condition))    \
    uv_run(&(b)->loop.uv, UV_RUN_ONCE)

/* Something is in the store before the relay starts. */
static void store_has(struct bench *b, const char *name, enum key_type type, int64_t age_s, int64_t life_s)
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

static int certificates_in(SSL_CTX *tls)
{
    int n = 0;

    for (long where = SSL_CERT_SET_FIRST; SSL_CTX_set_current_cert(tls, where) == 1;
         where = SSL_CERT_SET_NEXT)
        n++;
    return n;
}

/* ---- tests ---- */

static void test_a_pair_that_ends_is_shown_no_more(void **state)
{
    struct bench b;
    SSL_CTX *tls;

    begin(&b, *state);
    fake.well = false; /* it cannot be renewed */
    store_has(&b, "a.com", KEY_ECDSA, 1, 5);
    store_has(&b, "a.com", KEY_RSA2048, 1, 90 * DAY);
    tls = publish(&b, SITES("a.com"));
    assert_int_equal(certificates_in(tls), 2);
    UNTIL(&b, publish(&b, SITES("a.com")) != tls);
    assert_true(b.changes > 0);
    tls = publish(&b, SITES("a.com"));
    assert_int_equal(certificates_in(tls), 1);
    assert_int_equal(EVP_PKEY_base_id(X509_get0_pubkey(SSL_CTX_get0_certificate(tls))), EVP_PKEY_RSA);
    end(&b);
}

static void test_who_comes_back_has_one_job(void **state)
{
    struct bench b;

    begin(&b, *state);
    fake.waits = true;
    publish(&b, SITES("a.com"));
    UNTIL(&b, fake.runs == 1);
    publish(&b, SITES("b.com")); /* a.com's agent has gone */
    fake.waits = false;
    publish(&b, SITES("a.com", "b.com"));
    UNTIL(&b, publish(&b, SITES("b.com", "a.com")) != NULL);
    assert_int_equal(fake.runs, 3); /* of a.com the one that was cancelled, and one more */
    assert_true(fake.most_at_once <= 2);
    end(&b);
}

/* What a wildcard covers relies on its certificate as long as that will be renewed in time. */
static void test_who_is_covered_gets_his_own_in_good_time(void **state)
{
    struct bench b;
    SSL_CTX *wildcard, *own;

    begin(&b, *state);
    store_has(&b, "*.a.com", KEY_ECDSA, 0, 90 * DAY);
    publish(&b, SITES("*.a.com", "x.a.com"));
    loop_settle(&b.loop);
    assert_string_equal(b.told, "valid");
    wildcard = publish(&b, SITES("x.a.com", "*.a.com"));
    assert_ptr_equal(publish(&b, SITES("*.a.com", "x.a.com")), wildcard);
    assert_int_equal(fake.runs, 0);
    end(&b);

    temp_remove(state);
    temp_make(state);
    begin(&b, *state);
    fake.well = false;
    store_has(&b, "*.a.com", KEY_ECDSA, 80 * DAY,
              90 * DAY); /* since 20 days ago it should have been renewed */
    wildcard = publish(&b, SITES("x.a.com", "*.a.com"));
    assert_ptr_equal(publish(&b, SITES("*.a.com", "x.a.com")), wildcard); /* until there is another one */
    UNTIL(&b, fake.runs >= 2);
    assert_ptr_equal(publish(&b, SITES("*.a.com", "x.a.com")), wildcard);
    fake.well = true;
    reload_changed(&b);
    UNTIL(&b, (own = publish(&b, SITES("*.a.com", "x.a.com"))) != wildcard);
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(own), "x.a.com", 0, 0, NULL), 1);
    end(&b);
}

static void ask(struct bench *b,
                void (*answer)(struct manager *, const struct http_request *, struct http_reply *),
                int *status, char *text, size_t room)
{
    const struct http_request request = { .name = STR("a.com") };
    struct http_reply reply = { .status = 200 };

    answer(b->m, &request, &reply);
    *status = reply.later ? 0 : reply.status;
    snprintf(text, room, "%s", buf_text(&reply.body));
    buf_free(&reply.body);
}

/* An answer that comes later. */
struct heard {
    bool done;
    int status;
    char text[400];
};

static void on_answered(void *conn, const struct http_reply *reply)
{
    struct heard *h = conn;

    *h = (struct heard){ .done = true, .status = reply->status };
    snprintf(h->text, sizeof h->text, "%.*s", (int)reply->body.len, buf_bytes(&reply->body));
}

static void import(struct bench *b, const char *name, struct heard *h)
{
    const struct made_order o = { &name, 1, time(NULL) - 60, 30 * DAY, KEY_RSA2048 };
    struct made made = maker_issue(fake.maker, &o);
    struct http_request request = { 0 };
    struct http_reply reply = { .status = 200 };
    struct buf key = { 0 };
    json_t *content;

    assert_int_equal(signer_save(made.key, temp_path(b->temp, "imported.pem"), NULL), 0);
    assert_int_equal(file_read(temp_path(b->temp, "imported.pem"), 10000, &key, NULL), 0);
    content = json_pack("{s:s, s:s, s:s}", "chain", made.pem, "key", buf_text(&key), "origin", "elsewhere");
    request.json = content;
    *h = (struct heard){ 0 };
    manager_answer_import(b->m, &request, &reply);
    if (reply.later)
        *reply.later = (struct http_later){ .finished = on_answered, .conn = h };
    else
        on_answered(h, &reply);
    json_decref(content);
    buf_free(&reply.body);
    buf_free(&key);
    made_free(&made);
}

/* The order that is under way ends for it, and what is brought does. */
static void test_an_import_waits_for_the_order_under_way(void **state)
{
    struct bench b;
    struct heard heard;
    SSL_CTX *tls;

    begin(&b, *state);
    fake.waits = true;
    publish(&b, SITES("a.com"));
    UNTIL(&b, fake.runs == 1);
    import(&b, "a.com", &heard);
    assert_false(heard.done);
    loop_until(&b.loop, &heard.done);
    assert_int_equal(heard.status, 200);
    assert_non_null(strstr(heard.text, "\"taken\""));
    tls = publish(&b, SITES("a.com"));
    assert_int_equal(EVP_PKEY_base_id(X509_get0_pubkey(SSL_CTX_get0_certificate(tls))), EVP_PKEY_RSA);
    end(&b);
}

static void test_an_import_does_not_stop_what_a_person_waits_for(void **state)
{
    struct bench b;
    struct heard asked = { 0 }, heard;
    const struct http_request request = { .name = STR("a.com") };
    struct http_reply reply = { .status = 200 };

    begin(&b, *state);
    store_has(&b, "a.com", KEY_ECDSA, 0, 90 * DAY);
    publish(&b, SITES("a.com"));
    fake.waits = true;
    manager_answer_renew(b.m, &request, &reply);
    assert_non_null(reply.later);
    *reply.later = (struct http_later){ .finished = on_answered, .conn = &asked };
    UNTIL(&b, fake.runs > 0 && fake.at_once == 1);
    import(&b, "a.com", &heard);
    assert_true(heard.done && !asked.done);
    assert_non_null(strstr(heard.text, "tunnelctl certs renew or revoke is at work for it"));
    end(&b); /* which ends both */
    assert_int_equal(asked.status, 502);
}

static void test_folders_of_sites_that_are_no_more_go(void **state)
{
    struct bench b;

    begin(&b, *state);
    store_has(&b, "lately.com", KEY_ECDSA, 0, 3600);
    store_has(&b, "a.com", KEY_ECDSA, 0, 90 * DAY);
    assert_int_equal(mkdir(temp_path(*state, "certs/long.com"), 0700), 0);
    assert_int_equal(
        utimes(temp_path(*state, "certs/long.com"),
               (struct timeval[2]){ { time(NULL) - 31 * DAY, 0 }, { time(NULL) - 31 * DAY, 0 } }),
        0);
    publish(&b, SITES("a.com"));
    UNTIL(&b, access(temp_path(*state, "certs/long.com"), F_OK) != 0);
    end(&b);
    assert_int_equal(access(temp_path(*state, "certs/lately.com/fullchain.pem"), F_OK), 0);
    assert_int_equal(access(temp_path(*state, "certs/a.com/fullchain.pem"), F_OK), 0);
}

static void test_trouble_is_told_when_it_begins(void **state)
{
    struct bench b;
    char text[400];
    int status;

    begin(&b, *state);
    store_has(&b, "a.com", KEY_ECDSA, 1, 90 * DAY);
    assert_int_equal(mkdir(temp_path(*state, "acme"), 0700), 0);
    temp_file(*state, "acme/limits.json", "{", 0600);
    assert_non_null(publish(&b, SITES("a.com")));
    UNTIL(&b, b.told[0]);
    assert_string_equal(b.told, "failing");
    assert_non_null(strstr(b.error, "limits.json"));
    assert_int_equal(fake.runs, 0);
    ask(&b, manager_answer_renew, &status, text, sizeof text);
    assert_int_equal(status, 500);
    assert_non_null(strstr(text, "limits.json"));
    end(&b);
}

static void test_an_end_is_told(void **state)
{
    struct bench b;

    begin(&b, *state);
    fake.waits = true;
    store_has(&b, "a.com", KEY_ECDSA, 80 * DAY, 80 * DAY + 3);
    publish(&b, SITES("a.com"));
    fake.waits = fake.well = false;
    UNTIL(&b, is_told(&b, "failing"));
    UNTIL(&b, is_told(&b, "expired"));
    assert_string_equal(b.error, "no");
    end(&b);
}

static void test_what_cannot_be_written_is_served_from_memory(void **state)
{
    struct bench b;
    SSL_CTX *tls;

    begin(&b, *state);
    fake.disk_full = true;
    assert_null(publish(&b, SITES("a.com")));
    UNTIL(&b, is_told(&b, "failing"));
    assert_string_equal(b.error,
                        "no room; it is served from memory, and written as soon as that can be done");
    tls = publish(&b, SITES("a.com"));
    SSL_CTX_up_ref(tls); /* so that no other one has its place in memory */
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(tls), "a.com", 0, 0, NULL), 1);
    fake.disk_full = false;
    manager_reload(b.m, b.conf); /* else it is tried again in a minute */
    UNTIL(&b, is_told(&b, "valid"));
    assert_ptr_not_equal(publish(&b, SITES("a.com")), tls);
    SSL_CTX_free(tls);
    end(&b);
}

/* Noted by an earlier start of the relay, which did not see its end. */
static void test_a_deployment_that_was_cut_off_is_made_up_for(void **state)
{
    static const char script[] = "#!/bin/sh\necho $TUNNEL_DOMAIN >> ${TUNNEL_CERT%%/certs/*}/told\n";
    char text[300];
    struct bench b;
    struct store *s;
    struct opt_conf *conf;

    begin(&b, *state);
    fake.well = false; /* so that no further one comes */
    snprintf(text, sizeof text, "[acme]\ndirectory = https://ca.test/dir\ndeploy_hook = %s\n",
             temp_file(*state, "hook", script, 0755));
    conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &(struct opt_errors){ 0 });
    assert_non_null(conf);
    manager_reload(b.m, conf);
    store_has(&b, "a.com", KEY_ECDSA, 0, 90 * DAY);
    assert_int_equal(access(temp_path(*state, "certs/a.com/deploy.due"), F_OK), 0);
    publish(&b, SITES("a.com"));
    UNTIL(&b, access(temp_path(*state, "certs/a.com/deploy.due"), F_OK) != 0);
    manager_stop(b.m); /* which waits for the program */
    loop_until(&b.loop, &b.ended);
    assert_int_equal(access(temp_path(*state, "told"), F_OK), 0);
    s = store_open(b.temp->folder, NULL);
    assert_false(store_deploys(s, "a.com"));
    store_free(s);
    opt_conf_free(conf);
    loop_run(&b.loop);
    loop_free(&b.loop);
    opt_conf_free(b.conf);
    maker_free(fake.maker);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(test_a_pair_that_ends_is_shown_no_more),
        IN_A_FOLDER(test_who_comes_back_has_one_job),
        IN_A_FOLDER(test_who_is_covered_gets_his_own_in_good_time),
        IN_A_FOLDER(test_trouble_is_told_when_it_begins),
        IN_A_FOLDER(test_an_end_is_told),
        IN_A_FOLDER(test_an_import_waits_for_the_order_under_way),
        IN_A_FOLDER(test_an_import_does_not_stop_what_a_person_waits_for),
        IN_A_FOLDER(test_folders_of_sites_that_are_no_more_go),
        IN_A_FOLDER(test_what_cannot_be_written_is_served_from_memory),
        IN_A_FOLDER(test_a_deployment_that_was_cut_off_is_made_up_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
