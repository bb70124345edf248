#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/opt_walk.h"

#define DIGEST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/"
#define RELAY  "[relay fra1]\nhost = relay.example.net\nhost_key = ssh-ed25519 SHA256:" DIGEST "\n"

static struct opt_conf *load(const char *text, struct opt_errors *errors)
{
    return opt_load_text(&agent_schema, "agent.ini", text, strlen(text), errors);
}

static void test_the_table(void **state)
{
    (void)state;
    walk_schema(&agent_schema);
}

static void test_what_an_empty_file_means(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf = walk_load(&agent_schema, &text);
    const struct daemon_conf *c = &agent_conf_of(conf)->base;

    (void)state;
    assert_string_equal(c->state_dir, "/var/lib/tunnel-agent");
    assert_string_equal(c->control_socket, "/run/tunnel-agent/control.sock");
    assert_null(opt_section(conf, "relay", 0, NULL));
    assert_null(opt_section(conf, "domain", 0, NULL));
    opt_conf_free(conf);
}

static void test_values_and_defaults(void **state)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf =
        load(RELAY "[domain *.a.test]\nservice = http://[::1]:8080\naliases = a.test b.test\n", &errors);
    const struct agent_relay_conf *relay;
    const struct agent_domain_conf *domain;

    (void)state;
    assert_non_null(conf);
    relay = opt_values(conf, "relay", "fra1");
    assert_string_equal(relay->host, "relay.example.net");
    assert_int_equal(relay->port, 22);
    assert_string_equal(relay->user, "tunnel");
    assert_string_equal(relay->key_file, "");
    assert_int_equal(relay->protocol, AGENT_PROTOCOL_TUNNEL);
    assert_string_equal(relay->known_hosts_file, "");
    domain = opt_values(conf, "domain", "*.a.test");
    assert_string_equal(domain->service, "http://[::1]:8080");
    assert_int_equal(domain->aliases.n, 2);
    opt_conf_free(conf);
    opt_errors_free(&errors);
}

#define CLOUDFLARE  "[provider cf]\ntype = cloudflare\ntoken_file = t\n"
#define SITE        "[domain a.test]\nservice = http://x\n"
#define PASSED      "[domain a.test]\nservice = https://x\ntls = passthrough\n"
#define PATH_OF_50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PATH_OF_200 PATH_OF_50 PATH_OF_50 PATH_OF_50 PATH_OF_50

static void test_refused(void **state)
{
    static const struct {
        const char *text, *error; /* which the first error must hold */
    } rows[] = {
        { "[relay fra1]\nhost_key = ssh-ed25519 SHA256:" DIGEST "\n", "[relay fra1] has no host;" },
        { "[relay fra1]\nhost = x\n", "relay fra1: has neither host_key nor known_hosts_file; add host_key" },
        { "[relay fra1]\nhost = x:22\nhost_key = ssh-ed25519 SHA256:" DIGEST "\n",
          "relay fra1.host = x:22: not a host name or an address" },
        { "[relay fra1]\nhost = x\nhost_key = " DIGEST "\n", "agent.ini:3: relay fra1.host_key" },
        { "[relay fra1]\nhost = x\nhost_key = ssh-rsa SHA256:" DIGEST "\n", "not ssh-ed25519 SHA256:" },
        { "[relay fra1]\nhost = x\nhost_key = ssh-ed25519 SHA256:" DIGEST "A\n", "and 43 characters" },
        { "[relay fra1]\nhost = x\nhost_key = ssh-ed25519 SHA256:=" DIGEST "\n", "and 43 characters" },
        { RELAY "port = 0\n", "not a whole number from 1 to 65535" },
        { RELAY "user =\n", "relay fra1.user" },
        { "[domain a.test]\n", "domain a.test: has no service, which mode = tunnel needs" },
        { "[domain a.test]\nmode = direct\ndns = manual\nroute /x = http://x\n",
          "there is no service beside it" },
        { "[domain a.test]\nmode = direct\n", "with direct it is for DNS alone, and there is no dns" },
        { SITE "dns = cf\n", "there is no [provider cf]; add one" },
        { SITE "dns = manual\nttl = 60s\n", "is for records that a [provider] keeps; leave it out" },
        { SITE "dns = manual\nowner_txt = on\n", "is for records that a [provider] keeps; leave it out" },
        { SITE "dns = cf\nttl = 59s\n" CLOUDFLARE, "Cloudflare takes nothing below 60s" },
        { SITE "dns = cf\nttl = 86401s\n" CLOUDFLARE, "Cloudflare takes nothing above 86400s" },
        { SITE "dns = cf\nttl = 60500ms\n" CLOUDFLARE, "not whole seconds" },
        { SITE "dns = pdns\nproxied = on\n[provider pdns]\ntype = powerdns\nkey_file = k\n",
          "PowerDNS has no proxies" },
        { "[provider cf]\ntype = cloudflare\n", "has no token_file, which type = cloudflare needs" },
        { CLOUDFLARE "user = me\n",
          "is not for type = cloudflare, which takes token_file, zone, url, ca_file" },
        { CLOUDFLARE "url = ftp://x\n", "not an https:// URL" },
        { CLOUDFLARE "url = https://a:b@x/\n", "holds no password" },
        { CLOUDFLARE "zone = not_a_zone..\n", "cf.zone" },
        { "[provider b]\ntype = rfc2136\nkey_file = k\nserver = a:b:c\n", "server is not HOST or HOST:PORT" },
        { "[provider manual]\ntype = cloudflare\ntoken_file = t\n", "give this one another name" },
        { "[provider b]\ntype = nobody\n", "provider b.type = nobody: not " },
        { "[address]\nsources = relay fixed:1.2.3\n", "fixed:1.2.3: behind fixed: is no address" },
        { "[domain a.test]\nservice = ftp://x\n",
          "agent.ini:2: domain a.test.service = ftp://x: not http://HOST, http://HOST:PORT" },
        { "[domain a.test]\nservice = tcp://x:1\n", "a site's visitors speak HTTP; write http://HOST:PORT" },
        { "[domain a.test]\nservice = unix:app.sock\n", "not unix: and an absolute path" },
        { "[domain a.test]\nservice = http://x\nverify = off\n",
          "domain a.test.verify = off: is for https:// services, and this site has none" },
        { "[domain a.test]\nservice = https://x/y\n", "a service has no path" },
        { SITE "tls = passthrough\n",
          "with tls = passthrough this service ends the TLS of visitors; write https://" },
        { SITE "tls = sni\n", "domain a.test.tls = sni" },
        { PASSED "route /api = https://y\n", "nobody but the service sees paths; leave it out" },
        { PASSED "verify = off\n", "it is visitors who look at the certificate; leave it out" },
        { PASSED "https = both\n", "nobody is served without TLS; write redirect or only" },
        { PASSED "hsts = 1d\n",
          "domain a.test.hsts = 1d: with tls = passthrough the relay sees no requests" },
        { PASSED "max_body = 1m\n", "domain a.test.max_body = 1m: with tls = passthrough" },
        { PASSED "aliases = www.a.test\nwww = add\n", "domain a.test.www = add: with tls = passthrough" },
        { PASSED "set_header A = b\n", "with tls = passthrough the relay sees no requests" },
        { PASSED "unset_header A =\n", "with tls = passthrough the relay sees no requests" },
        { SITE "route /api =\n", "domain a.test.route /api =: not http://HOST" },
        { SITE "route api = http://y\n", "api is not a path: it begins with /" },
        { SITE "route /a?b = http://y\n", "/a?b is not a path" },
        { SITE "route /a\x01 = http://y\n", "agent.ini:3: " },
        { SITE "route /\xc3\xa4 = http://y\n", "is not a path: printable ASCII" },
        { SITE "route /a = tcp://y:1\n", "/a = tcp://y:1: a site's visitors speak HTTP" },
        { SITE "route /a = http://y\nroute /a = http://z\n", "was given before, at agent.ini:3" },
        { SITE "route /" PATH_OF_200 " = http://y\n", "is longer than 200 bytes" },
        { RELAY "known_hosts_file = /k\n", "host_key is given too" },
        { RELAY "protocol = plain\nservice = https://x\nremote_port = 1\n",
          "with protocol = plain the bytes are carried as they are; write tcp://HOST:PORT" },
        { RELAY "protocol = ssh\n", "relay fra1.protocol = ssh" },
        { RELAY "protocol = plain\nservice = http://x\n",
          "has no remote_port, which protocol = plain needs" },
        { RELAY "protocol = plain\nremote_port = 1\n", "has no service, which protocol = plain needs" },
        { RELAY "protocol = plain\nservice = http://x\nremote_port = 0\n",
          "relay fra1.remote_port = 0: not a whole number from 1 to 65535" },
        { RELAY "protocol = plain\nservice = http://x\nremote_port = 65536\n",
          "not a whole number from 1 to 65535" },
        { RELAY "protocol = plain\nservice = x\nremote_port = 1\n",
          "relay fra1.service = x: not http://HOST, http://HOST:PORT" },
        { RELAY "protocol = plain\nservice = http://x\nremote_port = 1\nremote_address = relay.test\n",
          "relay fra1.remote_address = relay.test: not an address, localhost or *" },
        { RELAY "remote_port = 1337\n", "relay fra1.remote_port = 1337: is for protocol = plain" },
        { RELAY "service = http://x\n", "relay fra1.service = http://x: is for protocol = plain" },
        { "[domain A.test]\nservice = http://x\n", "write a host name in lower case" },
        { "[domain a_.*.test]\nservice = http://x\n", "write a host name in lower case" },
        { SITE "relays = ams1\n", "domain a.test.relays = ams1: there is no [relay ams1]; add one" },
        { RELAY "[domain a.test]\nservice = http://x\nrelays = fra1 fra1\n", "fra1 stands there twice" },
        { RELAY "protocol = plain\nservice = http://x\nremote_port = 1\n[domain a.test]\nservice = http://x\n"
                "relays = fra1\n",
          "[relay fra1] has protocol = plain, and knows nothing of sites" },
        { "[domain a.test]\nservice = http://x\naliases = *.b\n", "*.b is not a host name: it has no dot" },
        { "[domain a.test]\nmode = direct\ndns = manual\nbasic_auth_file = p\n",
          "/p: with mode = direct visitors come to the house itself" },
        { "[domain a.test]\nmode = direct\ndns = manual\nallow = 192.0.2.1\n",
          "and no relay keeps anybody out" },
        { "[domain a.test]\nmode = direct\ndns = manual\ndeny = 192.0.2.1\n",
          "and no relay keeps anybody out" },
        { "[domain a.test]\nmode = direct\ndns = manual\nrate = 1/s\n", "and no relay keeps anybody out" },
        { "[domain 192.0.2.7]\nservice = http://x\n", "an address has no DNS records" },
        { "[domain a.test]\nservice = http://x\naliases = b.test 2001:db8::7\n",
          "domain a.test.aliases = b.test 2001:db8::7: an address has no DNS records" },
        { "[domain a.test]\nservice = http://x\naliases = b.test a.test\n",
          "a.test belongs to [domain a.test] already" },
        { "[domain a.test]\nservice = http://x\naliases = b.test b.test\n",
          "b.test belongs to [domain a.test] already" },
        { "[domain a.test]\nservice = http://x\naliases = c.test\n[domain b.test]\nservice = http://x\n"
          "aliases = c.test\n",
          "c.test belongs to [domain a.test] already" },
        { "[domain a.test]\nservice = http://x\naliases = b.test\n[domain b.test]\nservice = http://x\n",
          "is an alias of [domain a.test] already" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct opt_errors errors = { 0 };
        struct opt_conf *conf = load(rows[i].text, &errors);

        assert_null(conf);
        assert_true(errors.n > 0);
        if (!strstr(errors.lines[0], rows[i].error))
            fail_msg("%s\n  said %s, not %s", rows[i].text, errors.lines[0], rows[i].error);
        opt_errors_free(&errors);
    }
}

static void test_plain(void **state)
{
    static const char *const addresses[] = { "0.0.0.0", "::", "*", "localhost", "::1", "192.0.2.1" };

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct opt_errors errors = { 0 };
        const struct agent_relay_conf *relay;
        struct opt_conf *conf;
        struct buf text = { 0 };

        buf_printf(&text,
                   "[relay vm]\nhost = x\nknown_hosts_file = /k\nprotocol = plain\nremote_port = 1337\n"
                   "service = unix:/run/a.sock\nremote_address = %s\n",
                   addresses[i]);
        conf = load(buf_text(&text), &errors);
        assert_non_null(conf);
        relay = opt_values(conf, "relay", "vm");
        assert_int_equal(relay->protocol, AGENT_PROTOCOL_PLAIN);
        assert_string_equal(relay->remote_address, addresses[i]);
        assert_int_equal(relay->remote_port, 1337);
        assert_string_equal(relay->service, "unix:/run/a.sock");
        assert_string_equal(relay->known_hosts_file, "/k");
        assert_string_equal(relay->host_key, "");
        opt_conf_free(conf);
        opt_errors_free(&errors);
        buf_free(&text);
    }
}

static void test_too_much_for_a_claim(void **state)
{
    struct opt_errors errors = { 0 };
    struct buf text = { 0 };

    (void)state;
    buf_add_text(&text, "[domain a.test]\nservice = http://x\naliases =");
    for (int i = 0; i < 101; i++)
        buf_printf(&text, " %d.b.test", i);
    assert_null(load(buf_text(&text), &errors));
    assert_non_null(strstr(errors.lines[0], "more than 100"));
    opt_errors_free(&errors);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_what_an_empty_file_means),
        cmocka_unit_test(test_values_and_defaults),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_too_much_for_a_claim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
