#include "relay/edge/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct shot {
    struct snapshot *s;
    SSL_CTX *tls;
    struct counts *counts;
};

static struct shot begin(void)
{
    return (struct shot){ snapshot_new(), SSL_CTX_new(TLS_server_method()), counts_new() };
}

static struct snap_site *add_site(struct shot *shot, const char *name)
{
    struct policy policy;
    struct snap_site *site;

    policy_defaults(&policy, 0);
    site = snapshot_add_site(shot->s, name, shot->tls, &policy, shot->counts);

    snapshot_add_name(shot->s, site, name, true);
    return site;
}

/* The snapshot has references of its own. */
static void finish(struct shot *shot)
{
    SSL_CTX_free(shot->tls);
    counts_release(shot->counts);
    snapshot_finish(shot->s);
}

static void assert_found(const struct snapshot *s, struct str host, const char *expected)
{
    const struct snap_site *site = snapshot_find(s, host);
    const char *name = site ? site->name : "none";

    if (strcmp(name, expected) != 0)
        fail_msg("%.*s: %s, not %s", STR_ARG(host), name, expected);
}

static void test_find(void **state)
{
    static const struct {
        const char *host, *site;
    } rows[] = {
        { "a.test", "a.test" },
        { "A.Test", "a.test" },
        { "a.test.", "a.test" },
        { "a.test..", "none" },
        { "www.a.test", "a.test" }, /* an alias */
        { "WWW.A.TEST.", "a.test" },
        { "x.a.test", "none" },
        { "b.test", "none" }, /* a wildcard does not cover its base */
        { "x.b.test", "*.b.test" },
        { "X.B.test.", "*.b.test" },
        { "xn--bcher-kva.b.test", "*.b.test" },
        { "exact.b.test", "exact.b.test" },
        { "x.exact.b.test", "none" },
        { "x.y.b.test", "none" },
        { "alias.b.test", "a.test" }, /* an exact alias beats another site's wildcard */
        { "x.c.test", "a.test" },     /* a wildcard among the aliases */
        { "c.test", "none" },
        { "localhost", "localhost" },
        { "x.localhost", "none" },
        { "test", "none" },
        { ".b.test", "none" },
        { ".test", "none" },
        { "x..b.test", "none" },
        { ".", "none" },
        { "..", "none" },
        { "", "none" },
        { "a.test:443", "none" },
        { "[::1]", "none" },
        { "127.0.0.1", "none" },
        { "b.test.a.test", "none" },
        { "a.tes", "none" },
        { "aa.test", "none" },
    };
    struct shot shot = begin();
    struct snap_site *a;

    (void)state;
    add_site(&shot, "localhost");
    add_site(&shot, "*.b.test");
    a = add_site(&shot, "a.test");
    snapshot_add_name(shot.s, a, "www.a.test", true);
    snapshot_add_name(shot.s, a, "alias.b.test", true);
    snapshot_add_name(shot.s, a, "*.c.test", true);
    add_site(&shot, "exact.b.test");
    finish(&shot);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_found(shot.s, str_of(rows[i].host), rows[i].site);
    assert_found(shot.s, (struct str){ "a.testing", 6 }, "a.test");
    assert_found(shot.s, (struct str){ "a.test\0", 7 }, "none");
    assert_found(shot.s, (struct str){ "a.test\0.b.test", 14 }, "none");
    assert_string_equal(snapshot_find(shot.s, STR("www.a.test"))->own.item, "domain:a.test");
    assert_string_equal(snapshot_find(shot.s, STR("y.b.test"))->own.item, "domain:*.b.test");
    snapshot_release(shot.s);
}

static void test_a_name_with_its_own_certificate(void **state)
{
    SSL_CTX *own = SSL_CTX_new(TLS_server_method());
    struct shot shot = begin();
    struct snap_site *a;

    (void)state;
    a = add_site(&shot, "a.test");
    snapshot_add_name(shot.s, a, "www.a.test", true);
    snapshot_add_name(shot.s, a, "*.a.lan", true);
    snapshot_show_apart(shot.s, own, false);
    SSL_CTX_free(own);
    a->trusted_cert = true;
    finish(&shot);
    assert_found(shot.s, STR("x.a.lan"), "a.test");
    assert_ptr_equal(snapshot_pick_tls(shot.s, STR("x.a.lan"), false), own);
    assert_ptr_equal(snapshot_pick_tls(shot.s, STR("www.a.test"), false), a->tls);
    assert_ptr_equal(snapshot_pick_tls(shot.s, STR("a.test"), false), a->tls);
    assert_false(snapshot_browsers_trust(shot.s, a, STR("x.a.lan")));
    assert_true(snapshot_browsers_trust(shot.s, a, STR("www.a.test")));
    snapshot_release(shot.s);
}

static void test_long_hosts(void **state)
{
    char host[70000], name[254];
    struct shot shot = begin();

    (void)state;
    memset(name, 'x', sizeof name);
    memcpy(name, "*.", 2);
    for (size_t i = 65; i < 253; i += 64)
        name[i] = '.';
    name[253] = 0;
    add_site(&shot, name);
    finish(&shot);
    assert_found(shot.s, str_of(name), name);
    name[0] = 'y';
    assert_string_equal(snapshot_find(shot.s, str_of(name))->name + 1, name + 1);
    memset(host, 'x', sizeof host);
    assert_found(shot.s, (struct str){ host, sizeof host }, "none");
    memset(host, '.', sizeof host);
    assert_found(shot.s, (struct str){ host, sizeof host }, "none");
    for (size_t n = 250; n < 258; n++)
        assert_found(shot.s, (struct str){ host, n }, "none");
    snapshot_release(shot.s);
}

static void test_many_names(void **state)
{
    struct shot shot = begin();
    char name[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%d.a.test", i * 7919 % 1000);
        add_site(&shot, name);
    }
    finish(&shot);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%d.a.test", i);
        assert_found(shot.s, str_of(name), name);
    }
    assert_found(shot.s, STR("1000.a.test"), "none");
    snapshot_release(shot.s);
}

static void test_nothing_in_it(void **state)
{
    struct snapshot *s = snapshot_new();
    const struct snap_lane *const *lanes;

    (void)state;
    snapshot_finish(s);
    assert_found(s, STR("a.test"), "none");
    assert_int_equal(snapshot_lanes(s, &lanes), 0);
    snapshot_release(s);
    snapshot_release(NULL);
}

static void test_lanes(void **state)
{
    unsigned char secret[PROXY2_SECRET_BYTES];
    char agent[] = "pi";
    struct shot shot = begin();
    const struct snap_lane *one, *two, *const *lanes;
    const struct snap_site *a;

    (void)state;
    memset(secret, 7, sizeof secret);
    one = snapshot_add_lane(shot.s, 1, agent, "boot", 1, 40000, false, secret, shot.counts);
    memset(secret, 8, sizeof secret);
    agent[0] = 'x';
    two = snapshot_add_lane(shot.s, UINT64_MAX, "nas", "boot", 1, 65535, false, secret, shot.counts);
    memset(secret, 9, sizeof secret);
    add_site(&shot, "a.test");
    add_site(&shot, "b.test");
    snapshot_add_site_lane(shot.s, "a.test", two, 0, NULL);
    snapshot_add_site_lane(shot.s, "a.test", one, 0, NULL);
    snapshot_add_site_lane(shot.s, "none.test", one, 0, NULL);
    finish(&shot);
    assert_int_equal(snapshot_lanes(shot.s, &lanes), 2);
    assert_ptr_equal(lanes[0], one);
    assert_ptr_equal(lanes[1], two);
    assert_string_equal(one->agent, "pi");
    assert_int_equal(one->port, 40000);
    assert_int_equal(one->secret[31], 7);
    assert_true(two->id == UINT64_MAX);
    assert_int_equal(two->secret[0], 8);
    a = snapshot_find(shot.s, STR("a.test"));
    assert_int_equal(a->own.lanes_n, 2);
    assert_ptr_equal(a->own.lanes[0].lane, two);
    assert_ptr_equal(a->own.lanes[1].lane, one);
    assert_int_equal(snapshot_find(shot.s, STR("b.test"))->own.lanes_n, 0);
    snapshot_release(shot.s);
}

/* The last one to let go frees it, and with it what only it still held. */
static void test_references(void **state)
{
    struct shot shot = begin();
    const struct snap_site *site;
    struct counts *counts = counts_hold(shot.counts);
    struct snapshot *other;

    (void)state;
    add_site(&shot, "a.test");
    finish(&shot);
    other = snapshot_hold(shot.s);
    assert_ptr_equal(other, shot.s);
    snapshot_release(shot.s);
    site = snapshot_find(other, STR("a.test"));
    assert_ptr_equal(site->counts, counts);
    assert_true(SSL_CTX_get_min_proto_version(site->tls) >= 0);
    assert_int_equal(atomic_load(&counts->refs), 2);
    snapshot_release(other);
    assert_int_equal(atomic_load(&counts->refs), 1);
    counts_release(counts);
    counts_release(NULL);
}

/* A site's own certificate, else the one for unknown names, else none. */
static void test_which_certificate(void **state)
{
    static const struct {
        const char *host;
        bool known;
    } rows[] = { { "a.test", true },  { "A.Test.", true }, { "x.w.test", true },   { "b.test", false },
                 { "w.test", false }, { "", false },       { "a.test:443", false } };

    (void)state;
    for (int with = 0; with < 2; with++) {
        struct shot shot = begin();
        SSL_CTX *first = SSL_CTX_new(TLS_server_method()), *fallback = SSL_CTX_new(TLS_server_method());
        SSL_CTX *site = shot.tls, *other = with ? fallback : NULL;

        snapshot_set_tls(shot.s, first, other);
        add_site(&shot, "a.test");
        add_site(&shot, "*.w.test");
        finish(&shot);
        SSL_CTX_free(first);
        SSL_CTX_free(fallback);
        assert_ptr_equal(snapshot_tls_begin(shot.s), first);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            assert_ptr_equal(snapshot_pick_tls(shot.s, str_of(rows[i].host), false),
                             rows[i].known ? site : other);
        snapshot_release(shot.s);
    }
}

static void test_sites_that_end_tls_themselves(void **state)
{
    struct shot shot = begin();
    SSL_CTX *first = SSL_CTX_new(TLS_server_method()), *fallback = SSL_CTX_new(TLS_server_method());
    struct policy policy;
    struct snap_site *site;

    (void)state;
    snapshot_set_tls(shot.s, first, fallback);
    add_site(&shot, "a.test");
    assert_false(snapshot_has_passthrough(shot.s));
    policy_defaults(&policy, 0);
    policy.tls = POLICY_PASSTHROUGH;
    site = snapshot_add_site(shot.s, "*.b.test", NULL, &policy, shot.counts);
    snapshot_add_name(shot.s, site, "*.b.test", true);
    snapshot_add_name(shot.s, site, "b.test", true);
    finish(&shot);
    assert_true(snapshot_has_passthrough(shot.s));
    assert_ptr_equal(snapshot_passes(shot.s, STR("b.test")), site);
    assert_ptr_equal(snapshot_passes(shot.s, STR("X.B.test.")), site);
    assert_null(snapshot_passes(shot.s, STR("a.test")));
    assert_null(snapshot_passes(shot.s, STR("c.test")));
    assert_null(snapshot_passes(shot.s, STR("")));
    assert_null(snapshot_pick_tls(shot.s, STR("b.test"), false)); /* and not the one for unknown names */
    SSL_CTX_free(first);
    SSL_CTX_free(fallback);
    snapshot_release(shot.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_a_name_with_its_own_certificate),
        cmocka_unit_test(test_long_hosts),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_nothing_in_it),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_which_certificate),
        cmocka_unit_test(test_sites_that_end_tls_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
