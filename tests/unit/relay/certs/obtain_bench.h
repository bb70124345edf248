/* tests/unit/relay/certs/obtain_bench.h - a relay's folder with a site in it, and an authority that a test plays: order_run and
 * renewal_info_get are its own. For one file of a program. */
#ifndef TESTS_UNIT_RELAY_CERTS_OBTAIN_BENCH_H
#define TESTS_UNIT_RELAY_CERTS_OBTAIN_BENCH_H
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

static inline int fail_order(const struct order_ask *ask, struct order_result *result, struct err *e)
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

static inline bool concerns(const struct order_ask *ask)
{
    if (!ca.fails_at || !strstr(acme_ca_conf(ask->ca)->directory, ca.fails_at))
        return false;
    for (size_t i = 0; i < ask->names_n; i++)
        if (ca.fails_for && strcmp(ask->names[i], ca.fails_for) == 0)
            return true;
    return !ca.fails_for;
}

static inline void disk_is_full(bool full)
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

static inline void *begin(void *user, const struct issuer *by,
                          const struct challenge_ways *ways[CHALLENGE_TYPES], struct err *e)
{
    (void)by;
    (void)ways;
    (void)e;
    return user;
}

static inline void end(void *begun)
{
    (void)begun;
}

static inline int look(void *user, const struct issuer *by, const char *name, struct job *job,
                       char warning[OBTAIN_WARNING_BYTES], struct err *e)
{
    (void)user;
    (void)by;
    (void)job;
    warning[0] = 0;
    return elsewhere && strcmp(name, elsewhere) == 0 ? err_set(e, ERR_PEER, "it leads elsewhere") : 0;
}

static const char *dns_says; /* NULL: it cannot be asked */

static inline int dns(void *user, const struct issuer *by, const char *name, struct job *job, struct buf *out,
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

static inline void bench_begin(struct bench *b, struct temp *t, const char *text)
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

static inline void bench_end(struct bench *b)
{
    kept_free(&b->kept);
    obtain_result_free(&b->r);
    quota_free(b->quota);
    store_free(b->store);
    issuers_release(b->issuers);
    opt_conf_free(b->conf);
    maker_free(ca.maker);
}

static inline void configure(struct bench *b, const struct temp *t, const char *text)
{
    issuers_release(b->issuers);
    opt_conf_free(b->conf);
    b->conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &(struct opt_errors){ 0 });
    assert_non_null(b->conf);
    b->issuers = issuers_new(b->conf, t->folder, NULL);
}

static inline enum obtain_end obtain(struct bench *b, size_t n, const char *const *names)
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
#endif
