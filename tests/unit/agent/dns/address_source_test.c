#include "agent/dns/address_source.h"

#include "agent/dns/address_command.h"
#include "agent/dns/address_conf.h"
#include "agent/dns/address_dns.h"
#include "agent/dns/address_web.h"
#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_judging(void **state)
{
    static const struct {
        const char *text, *canonical, *why; /* canonical NULL: refused */
        int family;
    } cases[] = {
        { "8.8.4.4", "8.8.4.4", NULL, AF_INET },
        { "2A01:4F8:0:0::1", "2a01:4f8::1", NULL, AF_INET6 },
        { "::ffff:8.8.4.4", "8.8.4.4", NULL, AF_INET },
        { "8.8.4.4", NULL, "not an IPv6", AF_INET6 },
        { "2a01:4f8::1", NULL, "not an IPv4", AF_INET },
        { "", NULL, "nothing", AF_INET },
        { "8.8.4.4 ", NULL, "no address", AF_INET },
        { "8.8.4.4, 8.8.4.5", NULL, "no address", AF_INET },
        { "08.8.4.4", NULL, "no address", AF_INET },
        { "<!DOCTYPE html><html><body>log in, 8.8.4.4", NULL, "portal", AF_INET },
        { "192.168.1.7", NULL, "RFC 1918", AF_INET },
        { "100.64.0.1", NULL, "CGNAT", AF_INET },
        { "169.254.1.1", NULL, "link-local", AF_INET },
        { "203.0.113.7", NULL, "documentation", AF_INET },
        { "224.0.0.1", NULL, "multicast", AF_INET },
        { "fd00::1", NULL, "ULA", AF_INET6 },
        { "fe80::1", NULL, "link-local", AF_INET6 },
        { "2001:db8::1", NULL, "documentation", AF_INET6 },
        { "ff02::1", NULL, "multicast", AF_INET6 },
        { "::1", NULL, "loopback", AF_INET6 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address_said said;

        address_judge(str_of(cases[i].text), cases[i].family, &said);
        if (strcmp(said.text, cases[i].canonical ? cases[i].canonical : "") != 0)
            fail_msg("%s becomes %s (%s)", cases[i].text, said.text, said.why);
        if (cases[i].why ? strstr(said.why, cases[i].why) == NULL : said.why[0] != 0)
            fail_msg("%s: %s", cases[i].text, said.why);
    }
}

static void test_words(void **state)
{
    static const char *const good[] = { "relay",
                                        "web",
                                        "dns",
                                        "router",
                                        "interface:eth0",
                                        "command:/bin/x",
                                        "url:https://a.test/x",
                                        "fixed:10.0.0.1",
                                        "fixed:2001:db8::1",
                                        NULL };
    static const char *const bad[] = { "",
                                       "relays",
                                       "web:",
                                       "interface:",
                                       "interface:a-name-that-is-too-long",
                                       "interface:a/b",
                                       "command:x",
                                       "url:http://a.test",
                                       "url:https://",
                                       "url:https:///x",
                                       "fixed:",
                                       "fixed:x",
                                       "fixed:10.0.0.0/8",
                                       "router:x",
                                       NULL };
    const char *arg;

    (void)state;
    for (size_t i = 0; good[i]; i++)
        if (!address_kind_of(good[i], &arg, NULL))
            fail_msg("%s is well", good[i]);
    for (size_t i = 0; bad[i]; i++) {
        struct err e = { 0 };

        if (address_kind_of(bad[i], &arg, &e))
            fail_msg("%s is refused", bad[i]);
        assert_true(e.text[0]);
    }
}

static void test_names_hide_what_may_be_secret(void **state)
{
    char name[ADDRESS_NAME_BYTES];
    const char *arg;
    const struct address_kind *kind =
        address_kind_of("url:https://me:secret@a.test/secret?secret", &arg, NULL);

    (void)state;
    address_source_name(kind, arg, 0, name);
    assert_string_equal(name, "url:https://a.test");
    kind = address_kind_of("interface:eth0", &arg, NULL);
    address_source_name(kind, arg, 0, name);
    assert_string_equal(name, "interface:eth0");
}

static void assert_body(const char *body, const char *text)
{
    struct str s = address_of_body(str_of(body));

    if (!str_eq(s, text))
        fail_msg("%s: %.*s", body, STR_ARG(s));
}

static void test_bodies(void **state)
{
    (void)state;
    assert_body("8.8.4.4", "8.8.4.4");
    assert_body(" 8.8.4.4\r\n", "8.8.4.4");
    assert_body("fl=1f2\nh=api.cloudflare.com\nip=8.8.4.4\nts=1.2\n", "8.8.4.4");
    assert_body("ip=2a01::1\r\n", "2a01::1");
    assert_body("ip=", "");
    assert_body("", "");
    assert_body("zip=8.8.4.4", "zip=8.8.4.4");
    assert_body("<html>\nip=8.8.4.4\n", "<html>\nip=8.8.4.4");
    assert_body("ip=8.8.4.4\n\nh=x\n", "ip=8.8.4.4\n\nh=x");
}

static void assert_output(const char *out, const char *v4, const char *v6)
{
    struct address_said said[ADDRESS_FAMILIES];

    address_of_output(str_of(out), said);
    for (int f = 0; f < ADDRESS_FAMILIES; f++) {
        if (strcmp(said[f].text, f == ADDRESS_V4 ? v4 : v6) != 0)
            fail_msg("%s: %s (%s)", out, said[f].text, said[f].why);
        assert_true((said[f].text[0] != 0) != (said[f].why[0] != 0));
    }
}

static void test_outputs(void **state)
{
    (void)state;
    assert_output("8.8.4.4\n", "8.8.4.4", "");
    assert_output("8.8.4.4\n2a01:4f8::1\n", "8.8.4.4", "2a01:4f8::1");
    assert_output("2a01:4f8::1 8.8.4.4", "8.8.4.4", "2a01:4f8::1");
    assert_output("8.8.4.4\n8.8.4.4\n", "8.8.4.4", "");
    assert_output("8.8.4.4\n8.8.4.5\n", "", "");
    assert_output("8.8.4.4\n8.8.4.5\n8.8.4.4\n", "", "");
    assert_output("8.8.4.4 hello", "", "");
    assert_output("192.168.0.1 2a01:4f8::1", "", "2a01:4f8::1");
    assert_output("", "", "");
}

static void make_answer(struct buf *out, enum msg_class class, int rcode, const char *const *texts)
{
    struct buf rdata = { 0 };

    msg_begin(out, 7, MSG_QUERY, MSG_QR | (unsigned)rcode);
    assert_int_equal(msg_question(out, "whoami.test", MSG_TXT, class, NULL), 0);
    for (; *texts; texts++) {
        buf_take(&rdata, rdata.len);
        assert_int_equal(msg_rdata(&rdata, DNS_TYPE_TXT, *texts, NULL), 0);
        assert_int_equal(
            msg_record(out, MSG_ANSWER, "whoami.test", MSG_TXT, class, 0, buf_bytes(&rdata), rdata.len, NULL),
            0);
    }
    buf_free(&rdata);
}

static void assert_answer(enum msg_class class, int rcode, const char *const *texts, const char *text)
{
    struct address_said said;
    struct buf out = { 0 };

    make_answer(&out, class, rcode, texts);
    address_of_answer(buf_bytes(&out), out.len, MSG_TXT, MSG_CH, AF_INET, &said);
    assert_string_equal(said.text, text);
    for (size_t n = 0; n < out.len; n++) { /* cut off anywhere */
        address_of_answer(buf_bytes(&out), n, MSG_TXT, MSG_CH, AF_INET, &said);
        assert_true(!said.text[0] && said.why[0]);
    }
    buf_free(&out);
}

static void test_answers(void **state)
{
    const char *const one[] = { "8.8.4.4", NULL }, *const two[] = { "8.8.4.4", "8.8.4.4", NULL },
                      *const no[] = { NULL }, *const other[] = { "edns0-client-subnet 8.8.4.0/24", NULL };

    (void)state;
    assert_answer(MSG_CH, MSG_NOERROR, one, "8.8.4.4");
    assert_answer(MSG_IN, MSG_NOERROR, one, "");
    assert_answer(MSG_CH, MSG_REFUSED, one, "");
    assert_answer(MSG_CH, MSG_NOERROR, two, "");
    assert_answer(MSG_CH, MSG_NOERROR, no, "");
    assert_answer(MSG_CH, MSG_NOERROR, other, "");
}

/* ---- beside the rest of the configuration ---- */

#define RELAY \
    "[relay a]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define DIRECT "[domain a.test]\nmode = direct\ndns = manual\n"

static struct opt_conf *load(const char *text, struct opt_errors *errors)
{
    return opt_load_text(&agent_schema, "agent.ini", text, strlen(text), errors);
}

static void test_plans(void **state)
{
    static const struct {
        const char *text;
        size_t quorum;
        bool needed, dns_suffices;
    } cases[] = {
        { "", 1, false, false },
        { DIRECT, 2, true, false },
        { RELAY DIRECT, 2, true, false },
        { "[address]\nsources = command:/x\n", 1, true, false },
        { "[address]\nsources = command:/x web\n", 2, true, false },
        { "[address]\nsources = command:/x web\nquorum = 3\n", 3, true, false },
        { "[address]\nsources = dns\n", 2, true, true },
        { "[address]\nsources = relay dns\n", 2, true, true },
        { RELAY "[address]\nsources = relay dns\n", 2, true, false },
        { RELAY "[address]\nsources = relay\n", 1, true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opt_errors errors = { 0 };
        struct opt_conf *conf = load(cases[i].text, &errors);
        struct address_plan plan;

        if (!conf)
            fail_msg("%s: %s", cases[i].text, errors.lines[0]);
        address_plan_make(&plan, conf);
        if (plan.quorum != cases[i].quorum || plan.needed != cases[i].needed ||
            plan.dns_suffices != cases[i].dns_suffices)
            fail_msg("%s: quorum %zu, needed %d, dns_suffices %d", cases[i].text, plan.quorum, plan.needed,
                     plan.dns_suffices);
        opt_conf_free(conf);
    }
}

static void test_refused_configurations(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "[address]\nsources = moon\n", "none of relay, web, dns" },
        { "[address]\nsources = web web\n", "twice" },
        { "[address]\nsources = fixed:192.0.2.1 fixed:192.0.2.2\n", "one family" },
        { "[address]\nsources = command:/x\nquorum = 2\n", "write quorum = 1" },
        { DIRECT "host_id = 2001:db8::1\n", "::1234" },
        { DIRECT "host_id = ::\n", "::1234" },
        { DIRECT "host_id = 1234\n", "::1234" },
        { DIRECT "families = ipv4\nhost_id = ::1\n", "leave it out" },
        { RELAY "[domain a.test]\nservice = http://x\nhost_id = ::1\n", "leave it out" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opt_errors errors = { 0 };
        struct opt_conf *conf = load(cases[i].text, &errors);

        if (conf || errors.n != 1 || !strstr(errors.lines[0], cases[i].why))
            fail_msg("%s: %s", cases[i].text, errors.n > 0 ? errors.lines[0] : "taken");
        opt_errors_free(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judging),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_names_hide_what_may_be_secret),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_refused_configurations),
    };

    return cmocka_run_group_tests_name("agent/dns/address_source", tests, NULL, NULL);
}
