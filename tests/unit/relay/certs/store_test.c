#include "relay/certs/store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/file.h"
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

static void bench_begin(struct bench *b, struct temp *t, const char *authority)
{
    struct err e = { 0 };

    b->store = store_open(t->folder, &e);
    if (!b->store)
        fail_msg("%s", e.text);
    b->maker = maker_new(authority);
    assert_int_equal(store_load(b->store, "a.com", &b->meta, NULL), 0);
}

static void bench_load(struct bench *b, const char *name)
{
    meta_free(&b->meta);
    assert_int_equal(store_load(b->store, name, &b->meta, NULL), 0);
}

static void bench_end(struct bench *b)
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
    bool import;
    const struct maker *maker; /* NULL: the bench's */
};

static bool no_disk; /* what is judged well is not installed */

/* "" when it was installed, or why not. */
static const char *install_at(struct bench *b, struct ask ask, time_t now)
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
                                       .import = ask.import };

    e = (struct err){ 0 };
    judged = store_judge(&offer, &b->meta, now, NULL);
    assert_true(store_install(b->store, &offer, &b->meta, now, &e) == judged || no_disk);
    made_free(&made);
    return e.text;
}

static const char *install(struct bench *b, struct ask ask)
{
    return install_at(b, ask, start);
}

static const struct ask usual = { .names = one, .names_n = 1, .from = 1800000000 - 3600, .life_s = 90 * DAY };

static const char *path_of(const struct temp *t, const char *file)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/certs/a.com/%s", t->folder, file);
    return path;
}

static bool is_there(const struct temp *t, const char *file)
{
    return access(path_of(t, file), F_OK) == 0;
}

static mode_t mode_of(const struct temp *t, const char *file)
{
    struct stat st;

    return stat(path_of(t, file), &st) == 0 ? st.st_mode & 07777 : 0;
}

/* ---- names ---- */

static void test_only_names_have_folders(void **state)
{
    static const struct {
        const char *name, *folder; /* NULL: refused */
    } rows[] = {
        { "a.com", "a.com" },
        { "*.a.com", "_wildcard.a.com" },
        { "192.0.2.7", "192.0.2.7" },
        { "2001:db8::1", "2001:db8::1" },
        { "localhost", "localhost" },
        { "", NULL },
        { ".", NULL },
        { "..", NULL },
        { "../a.com", NULL },
        { "a.com/../../etc", NULL },
        { "/etc/passwd", NULL },
        { "*.*.com", NULL },
        { "_wildcard.a.com", NULL },
        { "lock", NULL },
        { "2001:DB8::1", NULL },
        { "192.0.2.007", NULL },
        { ".gone.a.com", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char folder[STORE_NAME_BYTES];
        int rc = store_folder(rows[i].name, folder, NULL);

        assert_int_equal(rc, rows[i].folder ? 0 : -1);
        if (rows[i].folder)
            assert_string_equal(folder, rows[i].folder);
    }
}

static void note_name(void *user, const char *name)
{
    strcat(strcat(user, name), ";");
}

static void test_lists_the_names_it_has(void **state)
{
    const struct temp *t = *state;
    char seen[200] = "", path[256];
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    store_each(b.store, note_name, seen);
    assert_string_equal(seen, "");
    snprintf(path, sizeof path, "%s/certs/lost+found", t->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    bench_load(&b, "*.a.com");
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0);
    store_each(b.store, note_name, seen);
    assert_string_equal(seen, "*.a.com;");
    bench_end(&b);
}

/* ---- what is in it ---- */

static void test_a_certificate_is_there_for_us_and_for_others(void **state)
{
    struct bench b = { 0 };
    struct buf text = { 0 };
    struct err e;
    SSL_CTX *ctx;

    bench_begin(&b, *state, "R10");
    assert_null(store_context(b.store, &b.meta, &e));
    assert_non_null(strstr(e.text, "no certificate of a.com yet"));
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(mode_of(*state, "fullchain.pem"), 0600);
    assert_int_equal(mode_of(*state, "privkey.pem"), 0600);
    assert_int_equal(mode_of(*state, "meta.json"), 0600);
    assert_int_equal(mode_of(*state, ""), 0700);
    assert_int_equal(mode_of(*state, "current/"), 0700);
    assert_false(is_there(*state, "fullchain-rsa.pem"));
    assert_int_equal(file_read(path_of(*state, "meta.json"), 10000, &text, NULL), 0);
    assert_non_null(strstr(buf_text(&text), "\"names\": [\n        \"a.com\"\n      ]"));
    assert_non_null(strstr(buf_text(&text), "\"not_after\": \"2027-04-15T07:00:00Z\""));
    buf_free(&text);
    bench_load(&b, "a.com");
    assert_true(b.meta.certs[META_ECDSA].there);
    assert_string_equal(b.meta.certs[META_ECDSA].issuer, "acme");
    assert_string_equal(b.meta.certs[META_ECDSA].origin, "ordered");
    ctx = store_context(b.store, &b.meta, &e);
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
    SSL_CTX_free(ctx);
    bench_end(&b);
}

static void test_what_is_noted_stays_and_ends_with_a_certificate(void **state)
{
    struct bench b = { 0 };
    char *key;

    bench_begin(&b, *state, "R10");
    renewal_failed(&b.meta.retry, start, RENEWAL_SOON, 0, 0);
    meta_set(&b.meta.last_error, "no");
    meta_order_began(&b.meta, "https://ca/order/1", "acme", "ecdsa", start);
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0);
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0); /* which writes nothing */
    assert_false(is_there(*state, "2"));
    assert_int_equal(store_order_key(b.store, "a.com", &key, NULL), 0);
    signer_free(signer_open(key, NULL));
    free(key);
    assert_int_equal(mode_of(*state, "order.key"), 0600);
    bench_load(&b, "a.com");
    assert_int_equal(b.meta.retry.next_try, start + 60);
    assert_string_equal(b.meta.order.url, "https://ca/order/1");
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(b.meta.retry.failures, 0);
    assert_null(b.meta.last_error);
    assert_null(b.meta.order.url);
    assert_false(is_there(*state, "order.key"));
    bench_load(&b, "a.com");
    assert_null(b.meta.order.url);
    bench_end(&b);
}

static void test_the_chosen_moment_stays_over_a_restart(void **state)
{
    const struct renewal_window window = { start + 50 * DAY, start + 51 * DAY };
    struct bench b = { 0 };
    int64_t moment;

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(renewal_suggested(&b.meta.certs[META_ECDSA].renewal, &window, 12345678, NULL), 1);
    moment = renewal_at(&b.meta.certs[META_ECDSA].renewal);
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0);
    assert_false(is_there(*state, "2"));
    bench_load(&b, "a.com");
    assert_int_equal(renewal_at(&b.meta.certs[META_ECDSA].renewal), moment);
    assert_int_equal(renewal_suggested(&b.meta.certs[META_ECDSA].renewal, &window, 87654321, NULL), 0);
    bench_end(&b);
}

static void test_ecdsa_and_rsa_side_by_side(void **state)
{
    struct ask rsa = usual;
    struct bench b = { 0 };
    char *chain, *key;
    SSL_CTX *ctx;

    rsa.type = KEY_RSA2048;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, rsa), "");
    assert_true(is_there(*state, "privkey.pem"));
    assert_false(is_there(*state, "privkey-rsa.pem"));
    assert_string_equal(install(&b, usual), ""); /* the RSA one moves aside */
    assert_true(is_there(*state, "privkey-rsa.pem"));
    assert_true(store_pair(b.store, &b.meta, META_RSA, &chain, &key));
    assert_non_null(strstr(chain, "/certs/a.com/current/fullchain-rsa.pem"));
    free(chain);
    free(key);
    bench_load(&b, "a.com");
    assert_true(b.meta.certs[META_RSA].there && b.meta.certs[META_ECDSA].there);
    assert_string_equal(b.meta.certs[META_RSA].facts.key_type, "rsa 2048");
    ctx = store_context(b.store, &b.meta, NULL);
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST), 1);
    assert_int_equal(SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT), 1);
    assert_int_equal(SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT), 0);
    SSL_CTX_free(ctx);
    assert_int_equal(store_drop(b.store, &b.meta, META_RSA, NULL), 0);
    assert_false(is_there(*state, "privkey-rsa.pem"));
    assert_int_equal(readlink(path_of(*state, "privkey-rsa.pem"), (char[8]){ 0 }, 8), -1);
    assert_true(is_there(*state, "privkey.pem"));
    bench_load(&b, "a.com");
    assert_false(b.meta.certs[META_RSA].there);
    assert_true(b.meta.certs[META_ECDSA].there);
    assert_false(store_pair(b.store, &b.meta, META_RSA, &chain, &key));
    bench_end(&b);
}

static void test_a_few_old_ones_stay(void **state)
{
    struct ask ask = usual;
    struct bench b = { 0 };
    char version[16];

    bench_begin(&b, *state, "R10");
    for (int i = 1; i <= 12; i++) {
        ask.from = usual.from + i;
        assert_string_equal(install(&b, ask), "");
    }
    for (int i = 1; i <= 13; i++) {
        snprintf(version, sizeof version, "%d", i);
        assert_int_equal(is_there(*state, version), i >= 12 - STORE_KEPT && i <= 12);
    }
    bench_end(&b);
}

/* ---- what stays outside ---- */

static void test_refuses_what_cannot_be_used(void **state)
{
    static const char *const other[] = { "b.com" };
    const struct made_order order = { other, 1, start, DAY, KEY_ECDSA };
    struct ask late = usual, early = usual;
    struct store_offer offer = { .names = one, .names_n = 1 };
    struct bench b = { 0 };
    struct made made, another;
    struct err e;

    late.from = start - 91 * DAY;
    early.from = start + 2 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_not_equal(install(&b, late), "");
    assert_string_not_equal(install(&b, early), "");
    made = maker_issue(b.maker, &order);
    another = maker_issue(b.maker, &order);
    offer.chain_pem = made.pem;
    offer.key = made.key;
    assert_int_equal(store_install(b.store, &offer, &b.meta, start, &e), -1);
    assert_non_null(strstr(e.text, "a.com"));
    offer.names = other;
    offer.key = another.key;
    assert_int_equal(store_install(b.store, &offer, &b.meta, start, &e), -1);
    assert_non_null(strstr(e.text, "key"));
    offer.chain_pem = "hello";
    assert_int_equal(store_install(b.store, &offer, &b.meta, start, &e), -1);
    assert_false(is_there(*state, "current"));
    made_free(&made);
    made_free(&another);
    bench_end(&b);
}

static void test_a_staging_certificate_never_takes_the_place_of_a_real_one(void **state)
{
    struct maker *staging = maker_new("(STAGING) Wannabe Watercress R11");
    struct ask ask = usual;
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    ask.maker = staging;
    assert_string_equal(install(&b, ask), "");   /* better than nothing */
    assert_string_equal(install(&b, usual), ""); /* a real one */
    assert_non_null(strstr(install(&b, ask), "staging"));
    assert_string_equal(b.meta.certs[META_ECDSA].facts.ca, "R10");
    assert_string_equal(
        install_at(
            &b,
            (struct ask){
                .names = one, .names_n = 1, .from = start + 91 * DAY, .life_s = DAY, .maker = staging },
            start + 91 * DAY),
        ""); /* the real one has expired */
    bench_end(&b);
    maker_free(staging);
}

/* As long as the one in place is good for a name that fails, it stays; when time runs out, the others go ahead. */
static void test_a_name_is_left_out_only_when_time_runs_out(void **state)
{
    struct ask both = usual, less = usual;
    struct bench b = { 0 };

    both.names = two;
    both.names_n = 2;
    less.wanted = two;
    less.wanted_n = 2;
    less.from = start + 60 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, both), "");
    assert_non_null(strstr(install_at(&b, less, start + 60 * DAY), "does not cover www.a.com"));
    assert_int_equal(b.meta.certs[META_ECDSA].facts.names_n, 2);
    assert_string_equal(install_at(&b, less, start + 76 * DAY), "");
    assert_int_equal(b.meta.certs[META_ECDSA].facts.names_n, 1);
    bench_end(&b);
}

static void test_an_order_may_end_sooner_and_cover_less_as_configured(void **state)
{
    struct ask both = usual, shorter = usual;
    struct bench b = { 0 };

    both.names = two;
    both.names_n = 2;
    shorter.life_s = 6 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, both), "");
    assert_string_equal(install(&b, shorter), "");
    bench_end(&b);
}

static void test_an_import_has_to_be_better(void **state)
{
    struct ask both = usual, import = usual;
    struct bench b = { 0 };

    both.names = two;
    both.names_n = 2;
    import.import = true;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, both), "");
    import.life_s = 80 * DAY;
    assert_string_equal(install(&b, import), "the one in the store is good for longer");
    import.life_s = 100 * DAY;
    assert_non_null(strstr(install(&b, import), "does not cover www.a.com"));
    import.names = two;
    import.names_n = 2;
    assert_string_equal(install(&b, import), "");
    assert_string_equal(b.meta.certs[META_ECDSA].origin, "/etc/letsencrypt");
    import.life_s = 50 * DAY;
    b.meta.certs[META_ECDSA].revoked_at = start;
    assert_string_equal(install(&b, import), ""); /* anything is better than a revoked one */
    bench_end(&b);
}

/* ---- damage, kills, forgetting ---- */

static void test_a_damaged_note_does_not_cost_the_certificate(void **state)
{
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(truncate(path_of(*state, "meta.json"), 20), 0);
    bench_load(&b, "a.com");
    assert_true(b.meta.certs[META_ECDSA].there);
    assert_string_equal(b.meta.certs[META_ECDSA].origin, "put there by hand");
    assert_true(renewal_at(&b.meta.certs[META_ECDSA].renewal) > start + 50 * DAY);
    assert_true(is_there(*state, "current/meta.json.damaged"));
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0);
    assert_true(is_there(*state, "meta.json"));
    bench_end(&b);
}

static void test_a_damaged_pair_is_none(void **state)
{
    static const char *const files[] = { "privkey.pem", "fullchain.pem" };
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(install(&b, usual), "");
        assert_int_equal(truncate(path_of(*state, files[i]), 100), 0);
        bench_load(&b, "a.com");
        assert_false(b.meta.certs[META_ECDSA].there);
    }
    assert_string_equal(install(&b, usual), "");
    bench_end(&b);
}

/* What a kill leaves: a version that is not complete, files that were being written, a folder that was to go. */
static void test_clears_away_what_a_kill_has_left(void **state)
{
    const struct temp *t = *state;
    struct bench b = { 0 };
    char gone[256];

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    bench_end(&b);
    assert_int_equal(mkdir(path_of(*state, "2"), 0700), 0);
    fclose(fopen(path_of(*state, "2/fullchain.pem"), "w"));
    fclose(fopen(path_of(*state, "order.key.AbCdEf"), "w"));
    fclose(fopen(path_of(*state, "current/meta.json.AbCdEf"), "w"));
    fclose(fopen(path_of(*state, "notes"), "w"));
    assert_int_equal(symlink("2", path_of(*state, ".current.new")), 0);
    snprintf(gone, sizeof gone, "%s/certs/.gone.b.com", t->folder);
    assert_int_equal(mkdir(gone, 0700), 0);
    b.meta = (struct meta){ 0 };
    bench_begin(&b, *state, "R10");
    assert_true(b.meta.certs[META_ECDSA].there);
    assert_false(is_there(*state, "2"));
    assert_false(is_there(*state, "order.key.AbCdEf"));
    assert_false(is_there(*state, "current/meta.json.AbCdEf"));
    assert_int_equal(readlink(path_of(*state, ".current.new"), (char[8]){ 0 }, 8), -1);
    assert_true(is_there(*state, "notes")); /* somebody's own */
    assert_int_equal(access(gone, F_OK), -1);
    bench_end(&b);
}

static void test_a_version_without_the_link_is_found_again(void **state)
{
    struct ask later = usual;
    struct bench b = { 0 };

    later.from += 1;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    assert_string_equal(install(&b, later), "");
    bench_end(&b);
    assert_int_equal(unlink(path_of(*state, "current")), 0);
    assert_int_equal(mkdir(path_of(*state, "3"), 0700), 0); /* not complete */
    b.meta = (struct meta){ 0 };
    bench_begin(&b, *state, "R10");
    assert_int_equal(b.meta.certs[META_ECDSA].facts.not_before, later.from);
    assert_false(is_there(*state, "3"));
    bench_end(&b);
}

static void test_one_process_at_a_time(void **state)
{
    const struct temp *t = *state;
    struct bench b = { 0 };
    struct err e;

    bench_begin(&b, *state, "R10");
    assert_null(store_open(t->folder, &e));
    assert_int_equal(e.code, ERR_TAKEN);
    assert_non_null(strstr(e.text, "/certs is held by"));
    bench_end(&b);
}

static void test_forgets_a_name_as_a_whole(void **state)
{
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(store_forget(b.store, "a.com", NULL), 0);
    assert_int_equal(store_forget(b.store, "a.com", NULL), 0);
    assert_int_equal(store_forget(b.store, "../a.com", NULL), -1);
    assert_false(is_there(*state, ""));
    bench_load(&b, "a.com");
    assert_false(b.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

/* The disk says no half-way, at each size that a file of it could have: all is as before. */
static void test_a_full_disk_changes_nothing(void **state)
{
    struct rlimit before, less;
    struct ask later = usual;
    struct bench b = { 0 };
    bool done = false;
    char serial[64];

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    snprintf(serial, sizeof serial, "%s", b.meta.certs[META_ECDSA].facts.serial);
    later.from += 1;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    no_disk = true;
    for (rlim_t size = 0; !done; size += 100) {
        const char *why;

        less = (struct rlimit){ size, before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
        why = install(&b, later);
        done = !*why;
        assert_true(done || strstr(why, "cannot write "));
        assert_true(done == (strcmp(b.meta.certs[META_ECDSA].facts.serial, serial) != 0));
        assert_int_equal(is_there(*state, "2"), done);
    }
    no_disk = false;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    bench_load(&b, "a.com");
    assert_true(b.meta.certs[META_ECDSA].there);
    bench_end(&b);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_names_have_folders),
        IN_A_FOLDER(test_lists_the_names_it_has),
        IN_A_FOLDER(test_a_certificate_is_there_for_us_and_for_others),
        IN_A_FOLDER(test_what_is_noted_stays_and_ends_with_a_certificate),
        IN_A_FOLDER(test_the_chosen_moment_stays_over_a_restart),
        IN_A_FOLDER(test_ecdsa_and_rsa_side_by_side),
        IN_A_FOLDER(test_a_few_old_ones_stay),
        IN_A_FOLDER(test_refuses_what_cannot_be_used),
        IN_A_FOLDER(test_a_staging_certificate_never_takes_the_place_of_a_real_one),
        IN_A_FOLDER(test_a_name_is_left_out_only_when_time_runs_out),
        IN_A_FOLDER(test_an_order_may_end_sooner_and_cover_less_as_configured),
        IN_A_FOLDER(test_an_import_has_to_be_better),
        IN_A_FOLDER(test_a_damaged_note_does_not_cost_the_certificate),
        IN_A_FOLDER(test_a_damaged_pair_is_none),
        IN_A_FOLDER(test_clears_away_what_a_kill_has_left),
        IN_A_FOLDER(test_a_version_without_the_link_is_found_again),
        IN_A_FOLDER(test_one_process_at_a_time),
        IN_A_FOLDER(test_forgets_a_name_as_a_whole),
        IN_A_FOLDER(test_a_full_disk_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
