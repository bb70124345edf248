/* tests/unit/relay/certs/store_bench.h - a store in a test's folder, an authority, and what is installed from it. */
#ifndef TESTS_UNIT_RELAY_CERTS_STORE_BENCH_H
#define TESTS_UNIT_RELAY_CERTS_STORE_BENCH_H
#include "relay/certs/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/relay/certs/maker.h"
#include "tests/unit/temp.h"

enum { DAY = 86400 };

static const time_t start = 1800000000;
static const char *const one[] = { "a.com" }, *const two[] = { "a.com", "www.a.com" };

/* A store in the test's folder, and an authority. */
struct bench {
    struct store *store;
    struct maker *maker;
    struct meta meta; /* of a.com, as last loaded or installed */
};

static inline void bench_begin(struct bench *b, struct temp *t, const char *authority)
{
    struct err e = { 0 };

    b->store = store_open(t->folder, &e);
    if (!b->store)
        fail_msg("%s", e.text);
    b->maker = maker_new(authority);
    assert_int_equal(store_load(b->store, "a.com", &b->meta, NULL), 0);
}

static inline void bench_load(struct bench *b, const char *name)
{
    meta_free(&b->meta);
    assert_int_equal(store_load(b->store, name, &b->meta, NULL), 0);
}

static inline void bench_end(struct bench *b)
{
    meta_free(&b->meta);
    maker_free(b->maker);
    store_free(b->store);
}

/* What is installed: from when, for how long, and how else it is unusual. */
struct ask {
    const char *const *names;
    size_t names_n;
    time_t from, life_s;
    enum key_type type;
    const char *const *wanted;
    size_t wanted_n;
    bool import, deploys;
    const struct maker *maker; /* NULL: the bench's */
};

static bool no_disk; /* what is judged well is not installed */

/* "" when it was installed, or why not. */
static inline const char *install_at(struct bench *b, struct ask ask, time_t now)
{
    static struct err e;
    int judged;
    const struct made_order order = { ask.names, ask.names_n, ask.from, ask.life_s, ask.type };
    struct made made = maker_issue(ask.maker ? ask.maker : b->maker, &order);
    const struct store_offer offer = { .chain_pem = made.pem,
                                       .key = made.key,
                                       .names = ask.names,
                                       .names_n = ask.names_n,
                                       .issuer = "acme",
                                       .directory = "https://ca/dir",
                                       .origin = ask.import ? "/etc/letsencrypt" : "ordered",
                                       .wanted = ask.wanted,
                                       .wanted_n = ask.wanted_n,
                                       .import = ask.import,
                                       .deploys = ask.deploys };

    e = (struct err){ 0 };
    judged = store_judge(&offer, &b->meta, now, NULL);
    assert_true(store_install(b->store, &offer, &b->meta, now, &e) == judged || no_disk);
    made_free(&made);
    return e.text;
}

static inline const char *install(struct bench *b, struct ask ask)
{
    return install_at(b, ask, start);
}

static const struct ask usual = { .names = one, .names_n = 1, .from = 1800000000 - 3600, .life_s = 90 * DAY };

static inline const char *path_of(const struct temp *t, const char *file)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/certs/a.com/%s", t->folder, file);
    return path;
}

static inline bool is_there(const struct temp *t, const char *file)
{
    return access(path_of(t, file), F_OK) == 0;
}

static inline mode_t mode_of(const struct temp *t, const char *file)
{
    struct stat st;

    return stat(path_of(t, file), &st) == 0 ? st.st_mode & 07777 : 0;
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_make, temp_remove)
#endif
