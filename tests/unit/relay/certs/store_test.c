#include "relay/certs/store.h"

#include <signal.h>
#include <sys/resource.h>

#include "shared/file.h"
#include "tests/unit/relay/certs/store_bench.h"

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
    assert_null(store_context(b.store, &b.meta, time(NULL), &e));
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
    ctx = store_context(b.store, &b.meta, time(NULL), &e);
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
    ctx = store_context(b.store, &b.meta, time(NULL), NULL);
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

/* Not one that would have to be ordered anew. A link to itself cannot be read by root either. */
static void test_a_pair_that_cannot_be_read_is_not_missing(void **state)
{
    static const char *const files[] = { "1/privkey.pem", "1/fullchain.pem" };
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    for (size_t i = 0; i < 2; i++) {
        struct err e = { 0 };
        char aside[300], *path = mem_copy(path_of(*state, files[i]));

        snprintf(aside, sizeof aside, "%s", path_of(*state, "aside"));
        assert_int_equal(rename(path, aside), 0);
        assert_int_equal(symlink(strrchr(path, '/') + 1, path), 0);
        meta_free(&b.meta);
        assert_int_equal(store_load(b.store, "a.com", &b.meta, &e), -1);
        assert_int_equal(e.code, ERR_SYSTEM);
        assert_non_null(strstr(e.text, strrchr(path, '/')));
        assert_int_equal(rename(aside, path), 0);
        bench_load(&b, "a.com");
        assert_true(b.meta.certs[META_ECDSA].there);
        free(path);
    }
    bench_end(&b);
}

static void test_what_is_good_is_shown_alone(void **state)
{
    struct ask rsa = usual;
    struct bench b = { 0 };
    SSL_CTX *ctx;

    rsa.type = KEY_RSA2048;
    rsa.life_s = 30 * DAY;
    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, rsa), "");
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(store_shown(&b.meta, start), 1U << META_ECDSA | 1U << META_RSA);
    assert_int_equal(store_shown(&b.meta, start + 31 * DAY), 1U << META_ECDSA);
    ctx = store_context(b.store, &b.meta, start + 31 * DAY, NULL);
    assert_non_null(ctx);
    assert_int_equal(EVP_PKEY_base_id(X509_get0_pubkey(SSL_CTX_get0_certificate(ctx))), EVP_PKEY_EC);
    assert_int_equal(SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST), 1);
    assert_int_equal(SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT), 0);
    SSL_CTX_free(ctx);
    assert_int_equal(store_shown(&b.meta, start + 91 * DAY),
                     1U << META_ECDSA | 1U << META_RSA); /* better than none */
    b.meta.certs[META_ECDSA].revoked_at = start;
    assert_int_equal(store_shown(&b.meta, start), 1U << META_RSA);
    bench_end(&b);
}

static void test_how_long_a_name_is_kept(void **state)
{
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0);
    assert_false(store_is_old(b.store, "a.com", time(NULL)));
    assert_true(store_is_old(b.store, "a.com", time(NULL) + STORE_OLD_S + 1));
    renewal_failed(&b.meta.retry, start, RENEWAL_SOON, 0, 0);
    assert_int_equal(store_save(b.store, &b.meta, NULL), 0);
    assert_false(store_is_old(b.store, "a.com", start + STORE_OLD_S - 1));
    assert_true(store_is_old(b.store, "a.com", start + STORE_OLD_S));
    assert_string_equal(install(&b, usual), ""); /* 90 days, less an hour */
    assert_false(store_is_old(b.store, "a.com", start + 90 * DAY - 3601 + STORE_OLD_S));
    assert_true(store_is_old(b.store, "a.com", start + 90 * DAY - 3600 + STORE_OLD_S));
    bench_end(&b);
}

/* Somebody lets another program read it: that is no reason to order another one. */
static void test_a_key_that_others_can_read_is_used(void **state)
{
    struct bench b = { 0 };
    SSL_CTX *ctx;

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    assert_int_equal(chmod(path_of(*state, "privkey.pem"), 0644), 0);
    bench_load(&b, "a.com");
    assert_true(b.meta.certs[META_ECDSA].there);
    ctx = store_context(b.store, &b.meta, time(NULL), NULL);
    assert_non_null(ctx);
    SSL_CTX_free(ctx);
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

static void test_what_cannot_be_switched_to_stays(void **state)
{
    struct bench b = { 0 };

    bench_begin(&b, *state, "R10");
    assert_string_equal(install(&b, usual), "");
    bench_end(&b);
    assert_int_equal(unlink(path_of(*state, "current")), 0);
    assert_int_equal(mkdir(path_of(*state, ".current.new"), 0700), 0); /* no link can be made there */
    b.meta = (struct meta){ 0 };
    bench_begin(&b, *state, "R10");
    assert_false(b.meta.certs[META_ECDSA].there);
    assert_true(is_there(*state, "1/privkey.pem"));
    bench_end(&b);
    assert_int_equal(rmdir(path_of(*state, ".current.new")), 0);
    b.meta = (struct meta){ 0 };
    bench_begin(&b, *state, "R10");
    assert_true(b.meta.certs[META_ECDSA].there);
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
        IN_A_FOLDER(test_a_damaged_note_does_not_cost_the_certificate),
        IN_A_FOLDER(test_a_damaged_pair_is_none),
        IN_A_FOLDER(test_how_long_a_name_is_kept),
        IN_A_FOLDER(test_what_is_good_is_shown_alone),
        IN_A_FOLDER(test_a_key_that_others_can_read_is_used),
        IN_A_FOLDER(test_a_pair_that_cannot_be_read_is_not_missing),
        IN_A_FOLDER(test_clears_away_what_a_kill_has_left),
        IN_A_FOLDER(test_a_version_without_the_link_is_found_again),
        IN_A_FOLDER(test_what_cannot_be_switched_to_stays),
        IN_A_FOLDER(test_one_process_at_a_time),
        IN_A_FOLDER(test_forgets_a_name_as_a_whole),
        IN_A_FOLDER(test_a_full_disk_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
