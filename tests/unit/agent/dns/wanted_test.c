#include "agent/dns/wanted.h"

#include "shared/dns/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "[agent]\nwithdraw_after = 2m\n"
#define RELAYS                                                                                         \
    "[relay a]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" \
    "[relay b]\nhost = b\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define PROVIDER "[provider p]\ntype = cloudflare\ntoken_file = t\n"
#define SITE     "[domain a.test]\ndns = p\n"

enum { NOW_MS = 10 * 60 * 1000 };

static const struct dns_provider *provider_of(void *user, const char *account)
{
    (void)user;
    return strcmp(account, "p") == 0 ? &dns_cloudflare : strcmp(account, "one") == 0 ? &dns_duckdns : NULL;
}

struct world {
    struct opt_conf *conf;
    struct wanted_relay relays[2];
    struct address_view house;
    struct names names;
    struct wanted wanted;
};

static void world_relay(struct world *w, size_t i, bool up, const char *v4, const char *v6)
{
    struct wanted_relay *r = &w->relays[i];

    for (int f = 0; f < NAME_FAMILIES; f++) {
        dns_rrset_free(&r->publish[f]);
        dns_rrset_init(&r->publish[f], "", f == NAME_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA);
    }
    r->known = v4 || v6;
    r->up = up;
    r->since_ms = NOW_MS;
    assert_true(!v4 || dns_rrset_add(&r->publish[NAME_V4], str_of(v4), NULL));
    assert_true(!v6 || dns_rrset_add(&r->publish[NAME_V6], str_of(v6), NULL));
}

static void world_make(struct world *w, const char *text)
{
    struct opt_errors errors = { 0 };

    memset(w, 0, sizeof *w);
    w->conf = opt_load_text(&agent_schema, "agent.ini", text, strlen(text), &errors);
    if (!w->conf)
        fail_msg("%s", errors.lines[0]);
    world_relay(w, 0, false, NULL, NULL);
    world_relay(w, 1, false, NULL, NULL);
    strcpy(w->relays[0].name, "a");
    strcpy(w->relays[1].name, "b");
    w->wanted = (struct wanted){ .conf = w->conf,
                                 .relays = w->relays,
                                 .relays_n = 2,
                                 .house = &w->house,
                                 .now_ms = NOW_MS,
                                 .provider_of = provider_of };
}

static void world_end(struct world *w)
{
    names_free(&w->names);
    for (size_t i = 0; i < 2; i++)
        for (int f = 0; f < NAME_FAMILIES; f++)
            dns_rrset_free(&w->relays[i].publish[f]);
    opt_conf_free(w->conf);
}

/* "A 192.0.2.1 AAAA ?": what is wanted of a name; "-" for none, "?" for not known yet, nothing for families not kept. */
static void assert_wanted(struct world *w, const char *name, const char *expected)
{
    struct dns_name *n = names_find(&w->names, "p", name);
    struct buf out = { 0 };

    assert_non_null(n);
    for (int f = 0; f < NAME_FAMILIES; f++) {
        const struct name_family *family = &n->families[f];

        if (!family->managed)
            continue;
        buf_printf(&out, "%s%s", out.len > 0 ? " " : "", dns_type_text(family->want.type));
        for (size_t i = 0; i < family->want.n; i++)
            buf_printf(&out, " %s", family->want.values[i].text);
        buf_add_text(&out, !family->known ? " ?" : family->want.n == 0 ? " -" : "");
        assert_true(family->known || family->why[0]);
    }
    assert_string_equal(buf_text(&out), expected);
    buf_free(&out);
}

static void test_relays(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, HEAD RELAYS PROVIDER SITE "service = http://x\naliases = *.a.test\n");
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A ? AAAA ?");
    world_relay(&w, 0, true, "192.0.2.1", NULL);
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.1 AAAA -");
    assert_wanted(&w, "*.a.test", "A 192.0.2.1 AAAA -");
    world_relay(&w, 1, true, "192.0.2.2", "2001:db8::2");
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA 2001:db8::2");
    assert_int_equal(w.names.n, 2);
    world_end(&w);
}

static void test_a_relay_that_is_down_is_withdrawn(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, HEAD RELAYS PROVIDER SITE "service = http://x\n");
    world_relay(&w, 0, true, "192.0.2.1", NULL);
    world_relay(&w, 1, false, "192.0.2.2", NULL);
    assert_int_equal(wanted_names(&w.wanted, &w.names), 2 * 60 * 1000);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    w.wanted.now_ms += 2 * 60 * 1000 - 1;
    assert_int_equal(wanted_names(&w.wanted, &w.names), 1);
    w.wanted.now_ms++;
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A 192.0.2.1 AAAA -");
    w.relays[0].up = false; /* all are down: what is there stays */
    w.relays[0].since_ms = 0;
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    world_end(&w);
}

/* What each relay has said of its certificate; indexed as `relays` are. */
static enum told_state told[2];

static enum told_state cert_of(void *user, const char *relay, const char *site)
{
    (void)user;
    assert_string_equal(site, "a.test");
    return told[relay[0] - 'a'];
}

static void test_a_new_relay_is_held_until_it_has_a_certificate(void **state)
{
    json_t *records = json_array();
    struct dns_name *n;
    struct world w;

    (void)state;
    world_make(&w, HEAD RELAYS PROVIDER SITE "service = http://x\n");
    w.wanted.cert_of = cert_of;
    world_relay(&w, 0, true, "192.0.2.1", NULL);
    world_relay(&w, 1, true, "192.0.2.2", NULL);
    told[0] = told[1] = TOLD_MISSING; /* nobody has one: somebody has to begin */
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    told[0] = TOLD_GOOD;
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A 192.0.2.1 AAAA -");
    n = names_find(&w.names, "p", "a.test");
    name_add_status(n, 0, records);
    assert_non_null(strstr(json_string_value(json_object_get(json_array_get(records, 0), "note")),
                           "relay b is left out until it has a certificate"));
    json_decref(records);
    told[1] = TOLD_NOTHING; /* it may say so in a moment, or never */
    assert_int_equal(wanted_names(&w.wanted, &w.names), 60 * 1000);
    assert_wanted(&w, "a.test", "A 192.0.2.1 AAAA -");
    w.wanted.now_ms += 60 * 1000;
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    told[1] = TOLD_MISSING;
    w.relays[0].up = false; /* the only one that could serve is away */
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    w.relays[0].up = true;
    assert_true(
        dns_rrset_add(&n->families[NAME_V4].have, STR("192.0.2.2"), NULL)); /* visitors find it already */
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    world_end(&w);
}

static void test_some_relays_alone(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, HEAD RELAYS PROVIDER SITE "service = http://x\nrelays = b\n"
                                             "[domain b.test]\ndns = p\nservice = http://x\nrelays = a, b\n");
    world_relay(&w, 0, true, "192.0.2.1", NULL);
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A ? AAAA ?"); /* its own has said nothing yet */
    world_relay(&w, 1, false, "192.0.2.2", NULL);
    assert_int_equal(wanted_names(&w.wanted, &w.names), 2 * 60 * 1000);
    assert_wanted(&w, "a.test", "A 192.0.2.2 AAAA -");
    assert_wanted(&w, "b.test", "A 192.0.2.1 192.0.2.2 AAAA -");
    w.wanted.now_ms += 2 * 60 * 1000; /* another site's relay takes nobody's place */
    assert_int_equal(wanted_names(&w.wanted, &w.names), 0);
    assert_wanted(&w, "a.test", "A 192.0.2.2 AAAA -");
    assert_wanted(&w, "b.test", "A 192.0.2.1 AAAA -");
    world_end(&w);
}

/* A service that keeps one address of a name gets one, and it is said that there are more. */
static void test_one_of_several(void **state)
{
    struct world w;
    json_t *records = json_array();
    struct dns_name *n;

    (void)state;
    world_make(&w, HEAD RELAYS "[provider one]\ntype = duckdns\ntoken_file = t\n"
                               "[domain a.duckdns.org]\ndns = one\nservice = http://x\n");
    world_relay(&w, 0, true, "192.0.2.1", NULL);
    world_relay(&w, 1, true, "192.0.2.2", "2001:db8::2");
    wanted_names(&w.wanted, &w.names);
    n = names_find(&w.names, "one", "a.duckdns.org");
    assert_non_null(n);
    assert_int_equal(n->families[NAME_V4].want.n, 1);
    assert_int_equal(n->families[NAME_V4].left_out, 1);
    assert_int_equal(n->families[NAME_V6].left_out, 0);
    name_add_status(n, 0, records);
    assert_non_null(strstr(json_string_value(json_object_get(json_array_get(records, 0), "note")),
                           "there are 2 addresses to publish, and its provider keeps one"));
    assert_true(json_is_null(json_object_get(json_array_get(records, 1), "note")));
    json_decref(records);
    world_end(&w);
}

static void test_a_relay_without_a_public_address(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, HEAD RELAYS PROVIDER SITE "service = http://x\n");
    world_relay(&w, 0, true, NULL, NULL);
    w.relays[0].known = true;
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A ? AAAA ?"); /* never a name without any address */
    world_end(&w);
}

static void test_the_house(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, HEAD PROVIDER
               "[domain a.test]\nmode = direct\ndns = p\nfamilies = ipv6\n"
               "[domain b.test]\nmode = direct\ndns = p\n[domain c.test]\nmode = none\ndns = p\n");
    w.wanted.relays_n = 0;
    strcpy(w.house.v4.why, "nobody knows");
    w.house.v6 = (struct address_family){ .text = "2001:db8::7", .known = true };
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "AAAA 2001:db8::7");
    assert_wanted(&w, "b.test", "A ? AAAA 2001:db8::7");
    assert_null(names_find(&w.names, "p", "c.test"));
    w.house.v6 = (struct address_family){ .known = true, .why = "there is no IPv6 here" };
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "AAAA -");
    world_end(&w);
}

static void test_a_machine_of_the_house(void **state)
{
    struct world w;

    (void)state;
    world_make(&w, HEAD PROVIDER "[domain a.test]\nmode = direct\ndns = p\nhost_id = ::12:34\n");
    w.wanted.relays_n = 0;
    w.house.v4 = (struct address_family){ .text = "192.0.2.7", .known = true };
    strcpy(w.house.v6.why, "nobody knows");
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.7 AAAA ?");
    w.house.v6 = (struct address_family){ .text = "2001:db8:1:2:3:4:5:6", .known = true };
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.7 AAAA 2001:db8:1:2::12:34");
    w.house.v6 = (struct address_family){ .known = true };
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "a.test", "A 192.0.2.7 AAAA -");
    world_end(&w);
}

static void test_what_is_gone(void **state)
{
    struct dns_name *ours, *theirs;
    struct world w;

    (void)state;
    world_make(&w, HEAD PROVIDER);
    ours = name_new("old.test", "old.test", "p");
    theirs = name_new("theirs.test", "old.test", "p");
    ours->families[NAME_V4].seen = ours->families[NAME_V4].created = true;
    assert_true(dns_rrset_add(&ours->families[NAME_V4].have, STR("192.0.2.1"), NULL));
    assert_true(dns_rrset_add(&ours->families[NAME_V4].made, STR("192.0.2.1"), NULL));
    names_add(&w.names, ours);
    names_add(&w.names, theirs);
    wanted_names(&w.wanted, &w.names);
    assert_wanted(&w, "old.test", "A -"); /* deleted, and nothing is said of AAAA */
    assert_wanted(&w, "theirs.test", "");
    assert_true(ours->gone && name_differs(ours, &dns_cloudflare) && name_is_ours(ours));
    assert_false(name_differs(theirs, &dns_cloudflare) || name_is_ours(theirs));
    world_end(&w);
}

/* It stays where its site is configured still, by whichever of its names, and is left alone there. */
static void test_what_is_left_to_the_user(void **state)
{
    static const struct {
        const char *site;
        bool kept;
    } cases[] = {
        { "[domain old.test]\nmode = direct\ndns = manual\n", true },
        { "[domain old.test]\nmode = none\ndns = p\n", true },
        { "[domain old.test]\nservice = http://127.0.0.1:80\n", true },
        { "[domain a.test]\naliases = old.test\nmode = direct\ndns = manual\n", true },
        { "[domain a.test]\nmode = direct\ndns = manual\n", false },
        { "[domain old.test]\nmode = direct\ndns = one\n[provider one]\ntype = duckdns\ntoken_file = t\n",
          false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dns_name *ours = name_new("old.test", "old.test", "p"), *copy;
        char text[400];
        struct world w;

        snprintf(text, sizeof text, HEAD PROVIDER "%s", cases[i].site);
        world_make(&w, text);
        ours->families[NAME_V4].created = true;
        assert_true(dns_rrset_add(&ours->families[NAME_V4].made, STR("192.0.2.1"), NULL));
        names_add(&w.names, ours);
        copy = name_copy(ours);
        for (int learnt = 0; learnt < 2; learnt++) { /* nor does what a job had in hand change that */
            wanted_names(&w.wanted, &w.names);
            assert_true(ours->gone && ours->kept == cases[i].kept);
            assert_int_equal(ours->families[NAME_V4].managed, !cases[i].kept);
            name_learn(ours, copy);
            assert_int_equal(ours->families[NAME_V4].managed, !cases[i].kept);
        }
        name_free(copy);
        world_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relays),
        cmocka_unit_test(test_a_relay_that_is_down_is_withdrawn),
        cmocka_unit_test(test_a_new_relay_is_held_until_it_has_a_certificate),
        cmocka_unit_test(test_some_relays_alone),
        cmocka_unit_test(test_one_of_several),
        cmocka_unit_test(test_a_relay_without_a_public_address),
        cmocka_unit_test(test_the_house),
        cmocka_unit_test(test_a_machine_of_the_house),
        cmocka_unit_test(test_what_is_gone),
        cmocka_unit_test(test_what_is_left_to_the_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
