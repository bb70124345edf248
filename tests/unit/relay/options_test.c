#include "relay/options.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/opt_walk.h"

static void test_the_table(void **state)
{
    (void)state;
    walk_schema(&relay_schema);
}

static void test_what_an_empty_file_means(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf = walk_load(&relay_schema, &text);
    const struct daemon_conf *c = &relay_conf_of(conf)->base;

    (void)state;
    assert_int_equal(value_name(str_of(c->name), NULL), 0);
    assert_string_equal(c->state_dir, "/var/lib/tunnel-relay");
    assert_string_equal(c->control_socket, "/run/tunnel-relay/control.sock");
    assert_string_equal(c->log, "stderr");
    assert_string_equal(daemon_log_levels[c->log_level], "info");
    assert_true(c->drain_ms == 10000);
    opt_conf_free(conf);
}

static void test_what_a_file_says(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf;
    const struct daemon_conf *c;

    (void)state;
    buf_add_text(&text, "[relay]\nname = fra1\nstate_dir = /s\ncontrol_socket = /c\nlog = /l\n"
                        "log_level = debug\ndrain = 2m\n");
    conf = walk_load(&relay_schema, &text);
    c = &relay_conf_of(conf)->base;
    assert_string_equal(c->name, "fra1");
    assert_string_equal(c->state_dir, "/s");
    assert_string_equal(c->control_socket, "/c");
    assert_string_equal(c->log, "/l");
    assert_string_equal(daemon_log_levels[c->log_level], "debug");
    assert_true(c->drain_ms == 120000);
    walk_dump(&relay_schema, conf);
    opt_conf_free(conf);
    buf_free(&text);
}

static void test_domains_that_are_refused(void **state)
{
    static const struct {
        const char *text, *error; /* which the first error must hold */
    } rows[] = {
        { "[domain a.test]\nupstream = nas:1\naccess_log = all\n", "access_log = all: not off or on" },
        { "[domain a.test]\naliases = b.test\n",
          "relay.ini:2: domain a.test.aliases = b.test: only a site with an upstream has aliases here;" },
        { "[domain a.test]\ncert_file = /c\n",
          "relay.ini:2: domain a.test.cert_file = /c: goes with key_file;" },
        { "[domain a.test]\nkey_file = /k\n",
          "relay.ini:2: domain a.test.key_file = /k: goes with cert_file;" },
        { "[domain a.test]\nupstream = nas:1\nkey_file = /k\n",
          "a.test.key_file = /k: goes with cert_file;" },
        { "[domain a.test]\ntls = passthrough\nroute /a = nas:1\n", "the relay sees no paths; leave it out" },
        { "[domain a.test]\ntls = passthrough\nhttps = both\n", "nobody is served without TLS" },
        { "[domain a.test]\ntls = passthrough\nhsts = 1d\n", "the relay sees no requests" },
        { "[domain a.test]\ntls = passthrough\ncert_file = /c\nkey_file = /k\n",
          "the service in the house shows its certificate" },
        { "[domain a.test]\nupstream = 1337\n",
          "relay.ini:2: domain a.test.upstream = 1337: not HOST:PORT (such as 127.0.0.1:1337)" },
        { "[domain a.test]\nupstream = https://nas:80\n",
          "the relay itself reaches servers by HTTP without TLS" },
        { "[domain a.test]\nupstream = http://nas:80/api\n", "the port is not a number from 1 to 65535" },
        { "[domain a.test]\nupstream = nas:1\nroute /api = unix:///run/app\n",
          "write HOST:PORT or http://HOST:PORT" },
        { "[domain a.test]\nupstream = nas:0\n", "the port is not a number from 1 to 65535" },
        { "[domain A.test]\nupstream = nas:1\n", "write a host name in lower case" },
        { "[domain a.test]\nupstream = nas:1\naliases = *.b\n", "*.b is not a host name: it has no dot" },
        { "[domain 192.0.2.007]\nupstream = nas:1\n", "write a host name in lower case" },
        { "[domain a.test]\nupstream = nas:1\naliases = 2001:DB8::7\n",
          "2001:DB8::7 is not how this address is written here; write 2001:db8::7" },
        { "[domain a.test]\nupstream = nas:1\naliases = b.test b.test\n",
          "b.test belongs to [domain a.test] already" },
        { "[domain a.test]\nupstream = nas:1\naliases = b.test\n[domain b.test]\nupstream = nas:1\n",
          "b.test belongs to [domain b.test] already" },
        { "[domain a.test]\nupstream = nas:1\naliases = c.test\n[domain b.test]\nupstream = nas:1\n"
          "aliases = c.test\n",
          "c.test belongs to [domain a.test] already" },
        { "[domain a.test]\nupstream = nas:1\naliases = a.test\n",
          "a.test belongs to [domain a.test] already" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct opt_errors errors = { 0 };

        assert_null(opt_load_text(&relay_schema, "relay.ini", rows[i].text, strlen(rows[i].text), &errors));
        if (!strstr(errors.lines[0], rows[i].error))
            fail_msg("%s\n  said %s, not %s", rows[i].text, errors.lines[0], rows[i].error);
        opt_errors_free(&errors);
    }
}

static void add_sites(struct buf *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(text, "[domain d%zu.test]\nupstream = nas:1\naliases = www.d%zu.test\n", i, i);
}

/* Of so many that whoever looks through all of them for each alias is not done before the test is ended. */
static void test_many_sites_with_aliases(void **state)
{
    enum { SITES = 10000 };
    const struct relay_domain_conf *d;
    struct opt_errors errors = { 0 };
    struct buf text = { 0 };
    struct opt_conf *conf;
    const char *name;

    (void)state;
    add_sites(&text, SITES);
    conf = walk_load(&relay_schema, &text);
    d = opt_section(conf, "domain", SITES - 1, &name);
    assert_string_equal(name, "d9999.test");
    assert_string_equal(d->aliases.words[0], "www.d9999.test");
    assert_ptr_equal(relay_domain(conf, name), d);
    assert_null(opt_section(conf, "domain", SITES, &name));
    opt_check_reload(conf, conf, &errors);
    assert_int_equal(errors.n, 0);
    opt_conf_free(conf);
    buf_add_text(&text, "[domain last.test]\nupstream = nas:1\naliases = www.d7.test d8.test\n");
    assert_null(opt_load_text(&relay_schema, "relay.ini", buf_bytes(&text), text.len, &errors));
    assert_int_equal(errors.n, 2);
    assert_non_null(strstr(errors.lines[0], ": www.d7.test belongs to [domain d7.test] already;"));
    assert_non_null(strstr(errors.lines[1], ": d8.test belongs to [domain d8.test] already;"));
    opt_errors_free(&errors);
    buf_free(&text);
}

static void test_upstreams(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        { "127.0.0.1:1337", "127.0.0.1", 1337 },
        { "http://nas:8080", "nas", 8080 },
        { "HTTP://nas/", "nas", 80 },
        { "http://[::1]:9/", "::1", 9 },
    };
    struct host_port at;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(relay_upstream(&at, rows[i].text, NULL), 0);
        assert_string_equal(at.host, rows[i].host);
        assert_int_equal(at.port, rows[i].port);
    }
}

static void test_proxies(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf;
    const struct relay_conf *c;

    (void)state;
    buf_add_text(&text,
                 "[relay]\nlisten_https = :443 127.0.0.1:8443\nlisten_http = [::1]:80\n"
                 "proxy_listeners = [0::1]:80, :443\ntrusted_proxies = 10.0.0.0/8 ::1\nmax_uri = 1k\n");
    conf = walk_load(&relay_schema, &text);
    c = relay_conf_of(conf);
    assert_int_equal(c->proxy_listeners.n, 2);
    assert_true(opt_addresses_have(&c->proxy_listeners, &c->listen_https.list[0]));
    assert_false(opt_addresses_have(&c->proxy_listeners, &c->listen_https.list[1]));
    assert_true(opt_addresses_have(&c->proxy_listeners, &c->listen_http.list[0]));
    assert_int_equal(c->trusted_proxies.n, 2);
    assert_true(c->max_uri == 1024 && c->max_header == 65536);
    walk_dump(&relay_schema, conf);
    opt_conf_free(conf);
    buf_free(&text);
}

static void test_proxy_listeners_that_are_none(void **state)
{
    static const char text[] = "[relay]\nproxy_listeners = :80 :443 0.0.0.0:443\n";
    struct opt_errors errors = { 0 };

    (void)state;
    assert_null(opt_load_text(&relay_schema, "relay.ini", text, sizeof text - 1, &errors));
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.lines[0],
                        "relay.ini:2: relay.proxy_listeners = :80 :443 0.0.0.0:443: 0.0.0.0:443 is none of "
                        "listen_https and listen_http; write it as it stands there, or add it there");
    opt_errors_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_what_an_empty_file_means),
        cmocka_unit_test(test_what_a_file_says),
        cmocka_unit_test(test_domains_that_are_refused),
        cmocka_unit_test(test_many_sites_with_aliases),
        cmocka_unit_test(test_upstreams),
        cmocka_unit_test(test_proxies),
        cmocka_unit_test(test_proxy_listeners_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
