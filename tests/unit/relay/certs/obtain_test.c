/* What is done for a site's certificates, with orders that end as a test says: nobody is asked for anything. */
#include "relay/certs/obtain.h"
#include "relay/certs/renewal_info.h"
#include "relay/options.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/relay/certs/maker.h"
#include "tests/unit/temp.h"

enum { DAY = 86400 };

/* ---- an authority that a test plays ---- */

static struct {
    struct maker *maker;
    int asked; /* orders; what the last of them said: */
    char directory[128], names[128], resume[128];
    const char *fails_at;  /* part of a directory; NULL: no order fails */
    const char *fails_for; /* the name that is to blame; NULL: the whole order */
    const char *blames;    /* another name that it says is to blame; NULL: the same */
    enum acme_class class;
    int fails_type;    /* a kind of key that it does not take; -1: it takes all */
    bool fills_disk;   /* when it issues, nothing can be written any more */
    const char *noted; /* the URL that an order has; NULL: it never came so far */
    int64_t life_s;
} ca;

static int fail_order(const struct order_ask *ask, struct order_result *result, struct err *e)
{
    result->class = ca.class;
    result->retry_after_ms = -1;
    if (ca.fails_for) {
        result->failures = mem_new(sizeof *result->failures);
        result->failures[0] = (struct order_failure){ .name = mem_copy(ca.blames ? ca.blames : ca.fails_for),
                                                      .class = ca.class,
                                                      .text = mem_copy("no such name"),
                                                      .retry_after_ms = -1 };
        result->failures_n = 1;
    }
    (void)ask;
    return err_set(e, ERR_PEER, "the authority says no");
}

static bool concerns(const struct order_ask *ask)
{
    if (!ca.fails_at || !strstr(acme_ca_conf(ask->ca)->directory, ca.fails_at))
        return false;
    for (size_t i = 0; i < ask->names_n; i++)
        if (ca.fails_for && strcmp(ask->names[i], ca.fails_for) == 0)
            return true;
    return !ca.fails_for;
}

static void disk_is_full(bool full)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

int order_run(const struct order_ask *ask, struct order_result *result, struct err *e)
{
    const struct made_order made = { ask->names, ask->names_n, time(NULL) - 60, ca.life_s, ask->key };
    struct made pair;

    ca.asked++;
    snprintf(ca.directory, sizeof ca.directory, "%s", acme_ca_conf(ask->ca)->directory);
    snprintf(ca.resume, sizeof ca.resume, "%s", ask->resume_url);
    ca.names[0] = 0;
    for (size_t i = 0; i < ask->names_n; i++)
        snprintf(ca.names + strlen(ca.names), sizeof ca.names - strlen(ca.names), "%s ", ask->names[i]);
    result->orders = 1;
    if (ca.noted)
        ask->note(ask->user, ca.noted);
    if (concerns(ask) || (int)ask->key == ca.fails_type)
        return fail_order(ask, result, e);
    if (ca.fills_disk)
        disk_is_full(true);
    pair = maker_issue(ca.maker, &made);
    result->chain_pem = pair.pem;
    result->key = pair.key;
    return 0;
}

int renewal_info_get(struct acme_ca *with, struct job *job, const char *cert_id, struct acme_window *out,
                     int64_t *again_ms, struct acme_why *why)
{
    (void)with;
    (void)job;
    (void)cert_id;
    (void)out;
    (void)again_ms;
    acme_fail(why, ACME_REFUSED, "it gives none");
    why->err.code = ERR_MISSING;
    return -1;
}

/* ---- what it needs of other parts ---- */

static const char *elsewhere; /* the name that does not lead here; NULL: all do */

static void *begin(void *user, const struct issuer *by, const struct challenge_ways *ways[CHALLENGE_TYPES],
                   struct err *e)
{
    (void)by;
    (void)ways;
    (void)e;
    return user;
}

static void end(void *begun)
{
    (void)begun;
}

static int look(void *user, const struct issuer *by, const char *name, struct job *job,
                char warning[OBTAIN_WARNING_BYTES], struct err *e)
{
    (void)user;
    (void)by;
    (void)job;
    warning[0] = 0;
    return elsewhere && strcmp(name, elsewhere) == 0 ? err_set(e, ERR_PEER, "it leads elsewhere") : 0;
}

static const char *dns_says; /* NULL: it cannot be asked */

static int dns(void *user, const struct issuer *by, const char *name, struct job *job, struct buf *out,
               struct err *e)
{
    (void)user;
    (void)by;
    (void)name;
    (void)job;
    if (!dns_says)
        return err_set(e, ERR_PEER, "no resolver answers");
    buf_printf(out, "%s", dns_says);
    return 0;
}

/* ---- a relay's folder, and a site in it ---- */

struct bench {
    struct opt_conf *conf;
    struct issuers *issuers;
    struct store *store;
    struct quota *quota;
    struct obtain_help help;
    struct obtain_result r;
    bool forced, look_again;
    struct kept kept; /* by the last one */
    int here;
};

static void bench_begin(struct bench *b, struct temp *t, const char *text)
{
    struct opt_errors errors = { 0 };
    struct err e = { 0 };

    memset(&ca, 0, sizeof ca);
    ca.maker = maker_new("R10");
    ca.life_s = 90 * DAY;
    ca.class = ACME_CONFIG;
    ca.fails_type = -1;
    elsewhere = dns_says = NULL;
    *b = (struct bench){ .here = -1, .help = { begin, end, look, dns, b } };
    b->conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &errors);
    assert_non_null(b->conf);
    b->issuers = issuers_new(b->conf, t->folder, NULL);
    b->store = store_open(t->folder, &e);
    b->quota = quota_open(t->folder, &e);
    assert_non_null(b->store);
    assert_non_null(b->quota);
}

static void bench_end(struct bench *b)
{
    kept_free(&b->kept);
    obtain_result_free(&b->r);
    quota_free(b->quota);
    store_free(b->store);
    issuers_release(b->issuers);
    opt_conf_free(b->conf);
    maker_free(ca.maker);
}

static void configure(struct bench *b, const struct temp *t, const char *text)
{
    issuers_release(b->issuers);
    opt_conf_free(b->conf);
    b->conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &(struct opt_errors){ 0 });
    assert_non_null(b->conf);
    b->issuers = issuers_new(b->conf, t->folder, NULL);
}

static enum obtain_end obtain(struct bench *b, size_t n, const char *const *names)
{
    struct obtain_ask ask = { .site = { names, n, b->issuers, NULL, NULL },
                              .store = b->store,
                              .quota = b->quota,
                              .help = &b->help,
                              .forced = b->forced,
                              .look_again = b->look_again,
                              .here = b->here };
    char *print = due_print(&ask.site);

    assert_int_equal(strlen(print), 64);
    obtain_result_free(&b->r);
    ask.site.configured = print;
    ask.kept = &b->kept;
    obtain_run(&ask, &b->r);
    if (!b->r.keep) {
        kept_free(&b->kept);
        b->kept = b->r.kept;
        b->r.kept = (struct kept){ 0 };
    }
    free(print);
    return b->r.end;
}

#define SITE(...)                                                                              \
    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *), (const char *const[]) \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }

static const char plain[] = "[acme]\ndirectory = https://ca.test/dir\npreflight = off\n";

/* ---- tests ---- */

static void test_the_staging_area_comes_first(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\n");
    ca.fails_at = "staging";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    assert_non_null(strstr(b.r.why.text, "staging: the authority says no"));
    assert_true(b.r.meta.retry.next_try > time(NULL));
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL); /* nothing is tried before then */
    assert_int_equal(ca.asked, 1);
    ca.fails_at = NULL;
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 3);
    assert_string_equal(ca.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_true(b.r.installed);
    b.forced = false;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 3);
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL); /* it has worked before */
    assert_int_equal(ca.asked, 4);
    assert_string_equal(ca.names, "a.com www.a.com ");
    bench_end(&b);
}

static void test_another_authority_takes_over(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://one.test/dir\npreflight = off\n"
                "[acme second]\ndirectory = https://two.test/dir\npreflight = off\n");
    b.forced = true;
    ca.fails_at = "one.test";
    for (int i = 0; i < DUE_FALL_BACK; i++) {
        assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
        assert_string_equal(ca.directory, "https://one.test/dir");
    }
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_string_equal(ca.directory, "https://two.test/dir");
    assert_string_equal(b.r.meta.certs[META_ECDSA].issuer, "second");
    b.forced = false;
    assert_int_equal(obtain(&b, SITE("a.com", "b.com")),
                     OBTAIN_FAILED); /* another configuration: from the beginning */
    assert_string_equal(ca.directory, "https://one.test/dir");
    assert_true(b.r.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

static void test_what_is_refused_is_not_asked_for_twice(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://one.test/dir\npreflight = off\n"
                "[acme second]\ndirectory = https://two.test/dir\npreflight = off\n");
    ca.fails_at = "one.test";
    ca.class = ACME_REFUSED;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_true(b.r.meta.retry.next_try >= time(NULL) + DAY - 5);
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_string_equal(ca.directory, "https://two.test/dir");
    bench_end(&b);
}

static void test_a_name_that_fails_is_left_out(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    ca.fails_for = "bad.com";
    assert_int_equal(obtain(&b, SITE("a.com", "bad.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_string_equal(ca.names, "a.com ");
    assert_int_equal(b.r.meta.left_out_n, 1);
    assert_string_equal(b.r.meta.left_out[0].name, "bad.com");
    assert_null(b.r.meta.last_error);
    ca.fails_for = "worse.com"; /* what there is does for the others */
    assert_int_equal(obtain(&b, SITE("a.com", "worse.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 3);
    assert_false(b.r.installed);
    assert_string_equal(b.r.meta.left_out[0].name, "worse.com");
    ca.fails_for = "a.com"; /* it has a certificate, which is good for long */
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com", "c.com")), OBTAIN_FAILED);
    assert_int_equal(b.r.meta.left_out_n, 0);
    assert_true(chain_has_name(&b.r.meta.certs[META_ECDSA].facts.chain, "a.com"));
    bench_end(&b);
}

static void test_a_strangers_name_is_no_reason_to_order_again(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    ca.fails_for = "bad.com";
    ca.blames = "elsewhere.com";
    assert_int_equal(obtain(&b, SITE("a.com", "bad.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    assert_int_equal(b.r.meta.left_out_n, 0);
    bench_end(&b);
}

static void test_a_later_failure_blames_no_name(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    ca.fails_for = "bad.com";
    ca.class = ACME_LATER;
    assert_int_equal(obtain(&b, SITE("a.com", "bad.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    assert_int_equal(b.r.meta.left_out_n, 0);
    bench_end(&b);
}

static void test_an_order_is_taken_up_again(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    b.forced = true;
    ca.fails_at = "ca.test";
    ca.class = ACME_STOPPED;
    ca.noted = "https://ca.test/order/1";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED);
    assert_null(b.r.meta.last_error);
    ca.fails_at = NULL;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_string_equal(ca.resume, "https://ca.test/order/1");
    assert_null(b.r.meta.order.url);
    bench_end(&b);
}

static void test_what_does_not_lead_here_is_not_ordered(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\ndirectory = https://ca.test/dir\n");
    elsewhere = "a.com";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_HELD);
    assert_string_equal(b.r.why.text, "it leads elsewhere");
    assert_int_equal(b.r.meta.retry.failures, 0);
    elsewhere = "www.a.com";
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL);
    assert_string_equal(ca.names, "a.com ");
    b.look_again = true;
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 1);
    elsewhere = NULL; /* its DNS was mended */
    assert_int_equal(obtain(&b, SITE("a.com", "www.a.com")), OBTAIN_WELL);
    assert_string_equal(ca.names, "a.com www.a.com ");
    assert_int_equal(b.r.meta.left_out_n, 0);
    bench_end(&b);
}

static void test_mended_dns_is_noticed_while_tries_fail(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\ndirectory = https://ca.test/dir\n");
    ca.fails_at = "ca.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    elsewhere = "a.com";
    b.look_again = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(b.r.here, 0);
    ca.fails_at = elsewhere = NULL;
    b.here = 0;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_true(b.r.installed);
    bench_end(&b);
}

/* With preflight = off nobody looks whether the names lead here. */
static void test_changed_dns_hastens_the_next_try(void **state)
{
    static const struct {
        const char *says;
        int asked; /* orders, so far */
    } looks[] = { { NULL, 1 }, { "192.0.2.1", 1 }, { "192.0.2.1", 1 },
                  { NULL, 1 }, { "192.0.2.2", 2 }, { "192.0.2.2", 2 } };
    struct bench b;

    bench_begin(&b, *state, plain);
    ca.fails_at = "ca.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    b.look_again = true;
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        dns_says = looks[i].says;
        assert_int_equal(obtain(&b, SITE("a.com")),
                         looks[i].asked > looks[i > 0 ? i - 1 : 0].asked ? OBTAIN_FAILED : OBTAIN_WELL);
        assert_int_equal(ca.asked, looks[i].asked);
    }
    ca.fails_at = NULL;
    dns_says = "192.0.2.3";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.installed && !b.r.meta.dns);
    bench_end(&b);
}

static void test_two_kinds_of_keys(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://ca.test/dir\npreflight = off\nkey_types = rsa p384\n");
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_true(b.r.meta.certs[META_RSA].there && b.r.meta.certs[META_ECDSA].there);
    configure(&b, *state, plain);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    assert_false(b.r.meta.certs[META_RSA].there);
    assert_true(b.r.installed);
    bench_end(&b);
}

/* Another authority wants it; or the other one is not good. */
static void test_a_pair_that_is_needed_stays(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://one.test/dir\npreflight = off\nkey_types = ecdsa rsa\n");
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    configure(&b, *state,
              "[acme]\ndirectory = https://one.test/dir\npreflight = off\n"
              "[acme second]\ndirectory = https://two.test/dir\npreflight = off\nkey_types = rsa\n");
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.meta.certs[META_RSA].there && b.r.meta.certs[META_ECDSA].there);
    b.r.meta.certs[META_ECDSA].revoked_at = time(NULL);
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    configure(&b, *state, "[acme]\ndirectory = https://one.test/dir\npreflight = off\n");
    ca.fails_at = "one.test";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL); /* the next try is later */
    assert_true(b.r.meta.certs[META_RSA].there && b.r.meta.certs[META_ECDSA].there);
    ca.fails_at = NULL;
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_false(b.r.meta.certs[META_RSA].there);
    bench_end(&b);
}

static void test_one_kind_of_key_does_not_hold_up_the_other(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://ca.test/dir\npreflight = off\nkey_types = ecdsa rsa\n");
    ca.fails_type = KEY_ECDSA;
    ca.class = ACME_REFUSED;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 2);
    assert_true(b.r.meta.certs[META_RSA].there && b.r.installed);
    assert_string_equal(b.r.why.text, "with a key of the kind ecdsa: the authority says no");
    assert_string_equal(b.r.meta.last_error, b.r.why.text); /* also when the other went well after it */
    assert_true(b.r.meta.retry.next_try >= time(NULL) + DAY - 5);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 2);
    ca.fails_type = -1;
    b.forced = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

/* It would fail for the same reason, and count once more. */
static void test_names_that_fail_fail_once(void **state)
{
    struct bench b;

    bench_begin(&b, *state,
                "[acme]\ndirectory = https://ca.test/dir\npreflight = off\nkey_types = ecdsa rsa\n");
    ca.fails_at = "ca.test";
    ca.fails_for = "a.com";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 1);
    bench_end(&b);
}

static void test_our_own_disk_is_nobodys_refusal(void **state)
{
    struct bench b;
    SSL_CTX *tls;

    bench_begin(&b, *state, plain);
    ca.fills_disk = true;
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED);
    assert_non_null(strstr(b.r.why.text, "what acme has issued: cannot write "));
    assert_int_equal(b.r.meta.issuers_n, 0);
    assert_int_equal(b.r.meta.retry.failures, 0);
    assert_non_null(b.kept.chain_pem);
    tls = kept_context(&b.kept, NULL);
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(tls), "a.com", 0, 0, NULL), 1);
    SSL_CTX_free(tls);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED); /* still */
    assert_true(b.r.keep && b.kept.chain_pem);
    disk_is_full(false);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_true(b.r.installed && b.r.meta.certs[META_ECDSA].there);
    assert_null(b.kept.chain_pem);
    assert_int_equal(ca.asked, 1);
    bench_end(&b);
}

static void test_what_cannot_be_counted_is_not_ordered(void **state)
{
    struct bench b;

    bench_begin(&b, *state, plain);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL); /* which notes what the authority suggests */
    b.forced = true;
    disk_is_full(true);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_STOPPED);
    disk_is_full(false);
    assert_non_null(strstr(b.r.why.text, "nothing can be ordered: cannot write "));
    assert_int_equal(ca.asked, 1);
    assert_int_equal(b.r.meta.issuers[0].failures, 0);
    bench_end(&b);
}

/* Counted from the first look on, on disk. */
static void test_a_look_holds_nothing_back_for_more_than_a_day(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\ndirectory = https://ca.test/dir\n");
    elsewhere = "a.com";
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_HELD);
    assert_true(b.r.meta.held_since >= time(NULL) - 5);
    b.r.meta.held_since -= DAY - 60;
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_HELD);
    assert_true(b.r.meta.held_since < time(NULL) - DAY / 2); /* as it was */
    b.r.meta.held_since -= 60;
    assert_int_equal(store_save(b.store, &b.r.meta, NULL), 0);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(ca.asked, 1);
    assert_true(b.r.meta.held_since == 0);
    bench_end(&b);
}

static void test_limits_are_kept_here(void **state)
{
    struct bench b;

    bench_begin(&b, *state, "[acme]\nstaging_first = off\npreflight = off\n");
    b.forced = true;
    for (int i = 0; i < 5; i++)
        assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_WELL);
    assert_int_equal(obtain(&b, SITE("a.com")), OBTAIN_FAILED);
    assert_int_equal(ca.asked, 5);
    assert_non_null(strstr(b.r.why.text, "5 certificates for the same names"));
    assert_int_equal(b.r.meta.issuers[0].failures, 0); /* it was not asked */
    assert_true(b.r.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_staging_area_comes_first, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_another_authority_takes_over, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_is_refused_is_not_asked_for_twice, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_name_that_fails_is_left_out, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_strangers_name_is_no_reason_to_order_again, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_a_later_failure_blames_no_name, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_an_order_is_taken_up_again, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_does_not_lead_here_is_not_ordered, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_mended_dns_is_noticed_while_tries_fail, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_changed_dns_hastens_the_next_try, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_two_kinds_of_keys, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_pair_that_is_needed_stays, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_one_kind_of_key_does_not_hold_up_the_other, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_names_that_fail_fail_once, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_our_own_disk_is_nobodys_refusal, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_counted_is_not_ordered, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_look_holds_nothing_back_for_more_than_a_day, temp_make,
                                        temp_remove),
        cmocka_unit_test_setup_teardown(test_limits_are_kept_here, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
