#include "relay/lanes/fixed.h"

#include "relay/edge/tls.h"
#include "relay/lanes/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHz+vJAoEvvBWnTrR2izXe8L05agjPE67ZI7+YlPN7cH"

static struct opt_conf *load(const char *text)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&relay_schema, "relay.ini", text, strlen(text), &errors);

    if (!conf)
        fail_msg("%s: %s", text, errors.lines[0]);
    opt_errors_free(&errors);
    return conf;
}

static void add_site(void *user, const struct lanes_site *site)
{
    SSL_CTX *tls = tls_site_context();
    struct counts *counts = counts_new();
    struct policy policy;
    struct snap_site *added;

    policy_defaults(&policy, 0);
    added = snapshot_add_site(user, site->name, tls, &policy, counts);

    snapshot_add_name(user, added, site->name, true);
    for (size_t i = 0; i < site->aliases_n; i++)
        snapshot_add_name(user, added, site->aliases[i], true);
    counts_release(counts);
    SSL_CTX_free(tls);
}

static struct snapshot *publish(const struct fixed *f)
{
    struct snapshot *s = snapshot_new();

    fixed_each_site(f, add_site, s);
    fixed_add_to_snapshot(f, s);
    snapshot_finish(s);
    return s;
}

static const struct snap_lane *lane_of(const struct snapshot *s, const char *host)
{
    const struct snap_site *site = snapshot_find(s, str_of(host));

    assert_non_null(site);
    assert_int_equal(site->own.lanes_n, 1);
    return site->own.lanes[0].lane;
}

static void test_sites_have_a_plain_lane_each(void **state)
{
    struct opt_conf *conf = load("[domain a.test]\nupstream = 127.0.0.1:1337\naliases = www.a.test\n"
                                 "[domain *.b.test]\nupstream = [::1]:80\n");
    struct fixed *f = fixed_new(conf);
    struct snapshot *s = publish(f);
    const struct snap_lane *a = lane_of(s, "a.test"), *b = lane_of(s, "x.b.test");
    json_t *status = fixed_site_status(f, "a.test");

    (void)state;
    assert_true(snap_lane_is_plain(a) && snap_lane_is_plain(b));
    assert_ptr_equal(lane_of(s, "WWW.a.test."), a);
    assert_string_equal(a->plain.host, "127.0.0.1");
    assert_int_equal(a->plain.port, 1337);
    assert_string_equal(b->plain.host, "::1");
    assert_true(a->id != b->id && a->id >= UINT64_C(1) << 63);
    assert_null(snapshot_find(s, STR("b.test")));
    assert_int_equal(json_array_size(json_object_get(status, "agents")), 0);
    assert_int_equal(json_array_size(json_object_get(status, "aliases")), 1);
    assert_string_equal(json_string_value(json_object_get(status, "upstream")), "127.0.0.1:1337");
    assert_null(fixed_site_status(f, "www.a.test"));
    json_decref(status);
    snapshot_release(s);
    fixed_free(f);
    opt_conf_free(conf);
}

static void test_reload_keeps_what_stays(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } rows[] = {
        { "[domain a.test]\nupstream = 127.0.0.1:1337\n", true },
        { "[domain b.test]\nupstream = nas:1\n[domain a.test]\nupstream = 127.0.0.1:1337\naliases = c.test\n",
          true },
        { "[domain a.test]\nupstream = 127.0.0.1:1338\n", false },
        { "[domain a.test]\nupstream = nas:1337\n", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct opt_conf *before = load(rows[0].text), *after = load(rows[i].text), *none = load("");
        struct fixed *f = fixed_new(before);
        struct snapshot *first = publish(f), *second, *third;

        fixed_reload(f, after);
        second = publish(f);
        assert_int_equal(lane_of(first, "a.test")->id == lane_of(second, "a.test")->id, rows[i].same);
        assert_int_equal(lane_of(first, "a.test")->counts == lane_of(second, "a.test")->counts, rows[i].same);
        fixed_reload(f, none);
        third = publish(f);
        assert_null(snapshot_find(third, STR("a.test")));
        snapshot_release(first);
        snapshot_release(second);
        snapshot_release(third);
        fixed_free(f);
        opt_conf_free(before);
        opt_conf_free(after);
        opt_conf_free(none);
    }
}

/* It only says how a site is served. */
static void test_a_section_without_upstream_is_no_site(void **state)
{
    struct opt_conf *conf = load("[domain a.test]\naccess_log = off\n[domain b.test]\nupstream = nas:1\n");
    struct fixed *f = fixed_new(conf);
    struct snapshot *s = publish(f);

    (void)state;
    assert_null(snapshot_find(s, str_of("a.test")));
    assert_non_null(lane_of(s, "b.test"));
    assert_null(fixed_site_status(f, "a.test"));
    assert_int_equal(relay_domain(conf, "a.test")->policy.access_log, 0);
    assert_int_equal(relay_domain(conf, "b.test")->policy.access_log, -1);
    assert_null(relay_domain(conf, "c.test"));
    snapshot_release(s);
    fixed_free(f);
    opt_conf_free(conf);
}

/* A section that only brings a certificate leaves the site to the agent. */
static void test_a_section_without_an_upstream(void **state)
{
    const struct lane_item items[] = { { .item = "domain:a.test" } };
    const struct lane_msg claim = { .type = LANE_CLAIM, .claim = { 1, 1, true, items, 1 } };
    struct opt_conf *conf = load("[agent pi]\nkey = " KEY "\ndomains = a.test\n[domain a.test]\n"
                                 "cert_file = /c\nkey_file = /k\n[domain b.test]\nupstream = nas:80\n");
    struct claims *c = claims_new();
    struct fixed *f = fixed_new(conf);
    struct snapshot *s = publish(f);
    struct lane_msg answer;
    struct roster roster;

    (void)state;
    assert_null(snapshot_find(s, STR("a.test")));
    assert_null(fixed_site_status(f, "a.test"));
    assert_int_equal(lane_of(s, "b.test")->plain.port, 80);
    roster_init(&roster, conf, NULL);
    claims_follow(c, conf, &roster);
    assert_int_equal(claims_take(c, "pi", "boot", &claim, &answer, NULL), 0);
    assert_true(answer.claimed.items[0].ok);
    roster_free(&roster);
    claims_free(c);
    snapshot_release(s);
    fixed_free(f);
    opt_conf_free(conf);
}

/* What an agent claims of these names is refused, with a reason that names the section. */
static void test_an_upstream_wins_over_claims(void **state)
{
    static const char *const alias[] = { "www.a.test" };
    const struct lane_item items[] = { { .item = "domain:a.test" },
                                       { .item = "domain:b.test", .aliases = alias, .aliases_n = 1 },
                                       { .item = "domain:c.test" } };
    const struct lane_msg claim = { .type = LANE_CLAIM, .claim = { 1, 1, true, items, 3 } };
    struct opt_conf *conf = load("[agent pi]\nkey = " KEY "\ndomains = a.test b.test c.test www.a.test\n"
                                 "[domain a.test]\nupstream = nas:80\naliases = www.a.test\n");
    struct claims *c = claims_new();
    struct claims_site site;
    struct lane_msg answer;
    struct roster roster;

    (void)state;
    roster_init(&roster, conf, NULL);
    claims_follow(c, conf, &roster);
    roster_free(&roster);
    assert_int_equal(claims_take(c, "pi", "boot", &claim, &answer, NULL), 0);
    assert_int_equal(answer.type, LANE_CLAIMED);
    assert_false(answer.claimed.items[0].ok);
    assert_string_equal(answer.claimed.items[0].why,
                        "a.test has an upstream in the relay's own [domain], which wins");
    assert_false(answer.claimed.items[1].ok);
    assert_string_equal(answer.claimed.items[1].why,
                        "www.a.test has an upstream in the relay's own [domain], which wins");
    assert_true(answer.claimed.items[2].ok);
    for (size_t i = 0; claims_site(c, i, &site); i++) {
        assert_string_not_equal(site.name, "a.test");
        assert_string_not_equal(site.name, "www.a.test");
    }
    claims_free(c);
    opt_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sites_have_a_plain_lane_each),
        cmocka_unit_test(test_reload_keeps_what_stays),
        cmocka_unit_test(test_a_section_without_upstream_is_no_site),
        cmocka_unit_test(test_a_section_without_an_upstream),
        cmocka_unit_test(test_an_upstream_wins_over_claims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
