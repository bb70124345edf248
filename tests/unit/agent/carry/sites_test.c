#include "agent/carry/sites.h"

#include "agent/options.h"
#include "shared/lane_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct opt_conf *load(const char *text)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&agent_schema, "agent.ini", text, strlen(text), &errors);

    assert_non_null(conf);
    opt_errors_free(&errors);
    return conf;
}

static void init(struct sites *s, const char *text)
{
    struct opt_conf *conf = load(text);

    sites_init(s, conf);
    opt_conf_free(conf); /* they hold copies */
}

static bool reload(struct sites *s, const char *text)
{
    struct opt_conf *conf = load(text);
    bool changed = sites_reload(s, conf);

    opt_conf_free(conf);
    return changed;
}

static void test_is_filled_from_the_configuration(void **state)
{
    struct sites s;

    (void)state;
    init(&s, "[domain a.test]\nservice = http://nas:81\naliases = b.test, *.c.test\n"
             "[domain *.d.test]\nservice = http://[::1]\n");
    assert_int_equal(s.n, 2);
    assert_int_equal(s.serial, 1);
    assert_string_equal(s.list[0].item, "domain:a.test");
    assert_string_equal(site_name(&s.list[0]), "a.test");
    assert_int_equal(s.list[0].aliases_n, 2);
    assert_string_equal(s.list[0].aliases[1], "*.c.test");
    assert_string_equal(s.list[0].services[0].at.at.host, "nas");
    assert_int_equal(s.list[0].services[0].at.at.port, 81);
    assert_ptr_equal(sites_find(&s, STR("domain:*.d.test")), &s.list[1]);
    assert_null(sites_find(&s, STR("domain:b.test"))); /* claimed by its site's name */
    assert_null(sites_find(&s, STR("domain:a.tes")));
    assert_null(sites_find(&s, STR("")));
    sites_free(&s);
}

static void test_a_reload_counts_what_changed(void **state)
{
    static const struct {
        const char *name, *text;
        bool changed;
    } rows[] = {
        { "the same", "[domain a.test]\nservice = http://x\naliases = b.test\n", false },
        { "another service", "[domain a.test]\nservice = http://y\naliases = b.test\n", true },
        { "no alias", "[domain a.test]\nservice = http://y\n", true },
        { "another alias", "[domain a.test]\nservice = http://y\naliases = c.test\n", true },
        { "one more",
          "[domain a.test]\nservice = http://y\naliases = c.test\n[domain d.test]\nservice = http://z\n",
          true },
        { "another name",
          "[domain a.test]\nservice = http://y\naliases = c.test\n[domain e.test]\nservice = http://z\n",
          true },
        { "none", "[agent]\n", true },
        { "still none", "[agent]\n", false },
    };
    struct sites s;
    int64_t serial = 1;

    (void)state;
    init(&s, rows[0].text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(reload(&s, rows[i].text), rows[i].changed);
        serial += rows[i].changed;
        assert_int_equal(s.serial, serial);
    }
    sites_free(&s);
}

#define RELAYS                                                                                         \
    "[relay a]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" \
    "[relay b]\nhost = b\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

#define RELAY_A \
    "[relay a]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

/* Its lanes stay until no visitor comes by it. */
static void test_a_relay_that_is_left(void **state)
{
    static const char moved[] = RELAY_A "[domain a.test]\nservice = http://x\nrelays = a\n";
    const struct proxy2_use use = { .item = STR("domain:a.test") };
    const struct site *site;
    const char *why;
    struct sites s;

    (void)state;
    init(&s, RELAYS "[domain a.test]\nservice = http://x\nrelays = b\n");
    assert_true(reload(&s, moved));
    for (int i = 0; i < 2; i++) {
        assert_non_null(sites_for(&s, "a", &use, &site, &why));
        assert_non_null(sites_for(&s, "b", &use, &site, &why));
        assert_null(sites_for(&s, "c", &use, &site, &why));
        assert_false(reload(&s, moved));
    }
    reload(&s, RELAYS
           "[domain a.test]\nservice = http://x\nrelays = a\n"); /* there again, and not for this site */
    assert_null(sites_for(&s, "b", &use, &site, &why));
    sites_free(&s);
}

static void test_some_relays_alone(void **state)
{
    const struct proxy2_use use = { .item = STR("domain:a.test") };
    const struct site *site;
    const char *why;
    struct sites s;

    (void)state;
    init(&s, RELAYS "[domain a.test]\nservice = http://x\nrelays = b\n");
    assert_null(sites_for(&s, "a", &use, &site, &why));
    assert_string_equal(why, "this item is not served here");
    assert_ptr_equal(sites_for(&s, "b", &use, &site, &why), &s.list[0].services[0]);
    assert_false(reload(&s, RELAYS "[domain a.test]\nservice = http://x\nrelays = b\n"));
    assert_true(reload(&s, RELAYS "[domain a.test]\nservice = http://x\nrelays = b a\n"));
    assert_non_null(sites_for(&s, "a", &use, &site, &why));
    assert_true(reload(&s, RELAYS "[domain a.test]\nservice = http://x\n"));
    assert_non_null(sites_for(&s, "a", &use, &site, &why));
    sites_free(&s);
}

static void test_a_reload_keeps_what_is_known(void **state)
{
    struct sites s;

    (void)state;
    init(&s, "[domain a.test]\nservice = http://x\n[domain b.test]\nservice = http://y\n");
    for (size_t i = 0; i < s.n; i++) {
        s.list[i].services[0].state = LANE_SERVICE_REFUSED;
        s.list[i].claim = SITE_ACCEPTED;
    }
    reload(&s, "[domain b.test]\nservice = http://z\n[domain a.test]\nservice = http://x\n");
    assert_int_equal(sites_find(&s, STR("domain:a.test"))->services[0].state, LANE_SERVICE_REFUSED);
    assert_int_equal(sites_find(&s, STR("domain:a.test"))->claim, SITE_ACCEPTED);
    assert_int_equal(sites_find(&s, STR("domain:b.test"))->services[0].state,
                     LANE_SERVICE_UNKNOWN); /* another service */
    sites_free(&s);
}

static void test_routes(void **state)
{
    static const struct {
        const char *name, *text;
        bool changed;
        const char *policy; /* of the claim */
    } rows[] = {
        { "the same", "route /a = http://y\nroute /b = unix:/b\n", false, "[\"/a\",\"/b\"]" },
        { "another service", "route /a = https://z\nroute /b = unix:/b\nverify = off\n", true,
          "[\"/a\",\"/b\"]" },
        { "one less", "route /b = unix:/b\n", true, "[\"/b\"]" },
        { "another path", "route /b/ = unix:/b\n", true, "[\"/b/\"]" },
        { "none", "", true, NULL },
    };
    struct sites s;
    int64_t serial = 1;

    (void)state;
    init(&s, "[domain a.test]\nservice = http://x\nroute /a = http://y\nroute /b = unix:/b\n");
    assert_int_equal(s.list[0].services_n, 3);
    assert_ptr_equal(sites_service(&s.list[0], STR("")), &s.list[0].services[0]);
    assert_string_equal(sites_service(&s.list[0], STR("/a"))->text, "http://y");
    assert_int_equal(sites_service(&s.list[0], STR("/b"))->at.kind, SERVICE_UNIX);
    assert_null(sites_service(&s.list[0], STR("/")));
    assert_null(sites_service(&s.list[0], STR("/a/")));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        char ini[200];

        snprintf(ini, sizeof ini, "[domain a.test]\nservice = http://x\n%s", rows[i].text);
        assert_int_equal(reload(&s, ini), rows[i].changed);
        serial += rows[i].changed;
        assert_int_equal(s.serial, serial);
        if (json_object_get(s.list[0].policy, "routes"))
            text = json_dumps(json_object_get(s.list[0].policy, "routes"), JSON_COMPACT);
        assert_int_equal(!text, !rows[i].policy);
        if (text)
            assert_string_equal(text, rows[i].policy);
        free(text);
    }
    sites_free(&s);
}

static void test_who_speaks_http2(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "service = http://x\n", NULL },
        { "service = h2c://x:1\n", "{\"\":\"h2c\"}" },
        { "service = https://x\n", "{\"\":\"h2\"}" },
        { "service = http://x\nroute /a = h2c://y:1\nroute /b = https://z\n",
          "{\"/a\":\"h2c\",\"/b\":\"h2\"}" },
        { "service = unix:/x\n", NULL },
    };
    struct sites s;

    (void)state;
    init(&s, "[domain a.test]\nservice = http://y\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        char ini[200];

        snprintf(ini, sizeof ini, "[domain a.test]\n%s", rows[i].text);
        assert_true(reload(&s, ini));
        if (json_object_get(s.list[0].policy, "http2"))
            text = json_dumps(json_object_get(s.list[0].policy, "http2"), JSON_COMPACT | JSON_SORT_KEYS);
        assert_int_equal(!text, !rows[i].words);
        if (text)
            assert_string_equal(text, rows[i].words);
        free(text);
    }
    sites_free(&s);
}

static void on_changed(void *user, const struct site_service *service)
{
    struct buf *out = user;

    buf_printf(out, "%s%s %s %s;", service->item, service->route, lane_service_text(service->state),
               service->detail ? service->detail : "-");
}

static void test_what_attempts_have_shown(void **state)
{
    static const char text[] = "[domain a.test]\nservice = https://x\nroute /a = https://y\n";
    struct buf told = { 0 };
    struct sites s;

    (void)state;
    init(&s, text);
    s.service_changed = on_changed;
    s.user = &told;
    sites_note_service(&s, "domain:a.test", "", LANE_SERVICE_REFUSED, "why");
    sites_note_service(&s, "domain:a.test", "", LANE_SERVICE_REFUSED, "why");
    sites_note_service(&s, "domain:a.test", "", LANE_SERVICE_REFUSED, "why not");
    sites_note_service(&s, "domain:a.test", "/a", LANE_SERVICE_OK, "");
    sites_note_service(&s, "domain:a.test", "/b", LANE_SERVICE_OK, "");
    sites_note_service(&s, "domain:b.test", "", LANE_SERVICE_OK, "");
    assert_string_equal(buf_text(&told),
                        "domain:a.test refused why;domain:a.test refused why not;domain:a.test/a ok -;");
    reload(&s, text);
    assert_string_equal(s.list[0].services[0].detail, "why not");
    assert_int_equal(s.list[0].services[1].state, LANE_SERVICE_OK);
    reload(&s,
           "[domain a.test]\nservice = https://x\nroute /a = https://y\nverify = off\n"); /* that may help */
    assert_int_equal(s.list[0].services[0].state, LANE_SERVICE_UNKNOWN);
    assert_null(s.list[0].services[0].detail);
    assert_int_equal(s.list[0].services[1].state, LANE_SERVICE_UNKNOWN);
    buf_free(&told);
    sites_free(&s);
}

/* Of a file that has gone since it was checked. */
static void test_nobody_is_let_in_without_the_passwords(void **state)
{
    static const char text[] = "[domain a.test]\nservice = http://x\n",
                      more[] = "basic_auth_file = /nowhere/passwords\n";
    json_t *nobody = json_pack("[s, s]", "0.0.0.0/0", "::/0");
    char whole[256];
    struct sites s;

    (void)state;
    snprintf(whole, sizeof whole, "%s%s", text, more);
    init(&s, text);
    assert_null(json_object_get(s.list[0].policy, "deny"));
    assert_true(reload(&s, whole));
    assert_true(json_equal(json_object_get(s.list[0].policy, "deny"), nobody));
    assert_true(reload(&s, text));
    assert_null(json_object_get(s.list[0].policy, "deny"));
    sites_free(&s);
    init(&s, whole);
    assert_true(json_equal(json_object_get(s.list[0].policy, "deny"), nobody));
    sites_free(&s);
    json_decref(nobody);
}

static void test_status(void **state)
{
    struct sites s;
    json_t *list;
    char *text;

    (void)state;
    init(&s, "[domain a.test]\nservice = http://x\nroute /api = https://y\n");
    sites_note_service(&s, "domain:a.test", "/api", LANE_SERVICE_REFUSED, "no \xff trust");
    s.list[0].services[1].since_s = 1700000000;
    list = sites_status(&s);
    text = json_dumps(list, JSON_COMPACT);
    assert_string_equal(
        text,
        "[{\"name\":\"a.test\",\"mode\":\"tunnel\",\"service\":\"http://x\",\"service_state\":"
        "\"unknown\",\"service_since\":null,\"service_detail\":\"\",\"routes\":[{\"path\":\"/api\",\"service\":\"https://y\","
        "\"service_state\":\"refused\",\"service_since\":\"2023-11-14T22:13:20Z\",\"service_detail\":\"no ? trust\"}],\"claim\":\"waiting\",\"claim_why\":null,\"claim_since\":null,\"guard\":null}]");
    free(text);
    json_decref(list);
    sites_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_filled_from_the_configuration),
        cmocka_unit_test(test_a_reload_counts_what_changed),
        cmocka_unit_test(test_some_relays_alone),
        cmocka_unit_test(test_a_relay_that_is_left),
        cmocka_unit_test(test_a_reload_keeps_what_is_known),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_who_speaks_http2),
        cmocka_unit_test(test_what_attempts_have_shown),
        cmocka_unit_test(test_nobody_is_let_in_without_the_passwords),
        cmocka_unit_test(test_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
