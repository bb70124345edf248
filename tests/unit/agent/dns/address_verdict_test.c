#include "agent/dns/address_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 8, SECOND = 1000, MINUTE = 60 * SECOND };

static const struct address_vote relay = { "relay a", NULL, "", ADDRESS_OUTSIDE },
                                 web_x = { "web x", "X", "", ADDRESS_OUTSIDE },
                                 web_y = { "web y", "Y", "", ADDRESS_OUTSIDE },
                                 dns_x = { "dns x", "X", "", ADDRESS_OUTSIDE_DNS },
                                 dns_z = { "dns z", "Z", "", ADDRESS_OUTSIDE_DNS },
                                 dns_w = { "dns w", "W", "", ADDRESS_OUTSIDE_DNS },
                                 own = { "interface:eth0", NULL, "", ADDRESS_ITSELF };

struct says {
    const struct address_vote *who;
    const char *text;
};

static void test_verdicts(void **state)
{
    static const struct {
        struct says says[MOST];
        size_t quorum;
        bool dns_suffices;
        const char *text; /* NULL: not AGREED */
        enum address_verdict_kind kind;
    } cases[] = {
        { { { 0 } }, 1, false, NULL, ADDRESS_NOBODY },
        { { { &relay, "8.8.8.1" } }, 1, false, "8.8.8.1", ADDRESS_AGREED },
        { { { &relay, "8.8.8.1" } }, 2, false, NULL, ADDRESS_TOO_FEW },
        { { { &relay, "8.8.8.1" }, { &web_x, "8.8.8.1" } }, 2, false, "8.8.8.1", ADDRESS_AGREED },
        { { { &relay, "8.8.8.1" }, { &web_x, "8.8.8.2" } }, 2, false, NULL, ADDRESS_DISAGREE },
        { { { &relay, "8.8.8.1" }, { &web_x, "8.8.8.2" } }, 1, false, NULL, ADDRESS_DISAGREE },
        { { { &relay, "8.8.8.1" }, { &web_x, "8.8.8.2" }, { &web_y, "8.8.8.2" } },
          2,
          false,
          "8.8.8.2",
          ADDRESS_AGREED },
        { { { &relay, "8.8.8.1" }, { &own, "8.8.8.1" }, { &web_x, "8.8.8.2" }, { &web_y, "8.8.8.2" } },
          2,
          false,
          NULL,
          ADDRESS_DISAGREE },
        /* one operator is one voice */
        { { { &web_x, "8.8.8.1" }, { &dns_x, "8.8.8.1" } }, 2, false, NULL, ADDRESS_TOO_FEW },
        { { { &web_x, "8.8.8.1" }, { &dns_x, "8.8.8.1" }, { &dns_z, "8.8.8.1" } },
          2,
          false,
          "8.8.8.1",
          ADDRESS_AGREED },
        /* DNS alone is easily forged */
        { { { &dns_x, "8.8.8.1" }, { &dns_z, "8.8.8.1" }, { &dns_w, "8.8.8.1" } },
          2,
          false,
          NULL,
          ADDRESS_TOO_FEW },
        { { { &dns_x, "8.8.8.1" }, { &dns_z, "8.8.8.1" } }, 2, true, "8.8.8.1", ADDRESS_AGREED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address_rules rules = { cases[i].quorum, AF_INET, cases[i].dns_suffices };
        struct address_vote votes[MOST];
        struct address_verdict v;
        size_t n = 0;

        for (; n < MOST && cases[i].says[n].who; n++) {
            votes[n] = *cases[i].says[n].who;
            votes[n].text = cases[i].says[n].text;
        }
        address_judge_votes(votes, n, &rules, &v);
        if (v.kind != cases[i].kind || strcmp(v.text, cases[i].text ? cases[i].text : "") != 0)
            fail_msg("case %zu: kind %d, text %s, why %s", i, (int)v.kind, v.text, v.why);
        assert_true((v.kind == ADDRESS_TOO_FEW || v.kind == ADDRESS_DISAGREE) == (v.why[0] != 0));
        for (size_t j = 0; j < n && v.why[0]; j++)
            assert_true(strstr(v.why, votes[j].who) && strstr(v.why, votes[j].text));
    }
}

static void test_temporary_addresses_speak_for_the_lasting_one(void **state)
{
    struct address_rules rules = { 2, AF_INET6, false };
    struct address_vote votes[] = { web_x, own, web_y };
    struct address_verdict v;

    (void)state;
    votes[0].text = "2a01:4f8:1:2:aaaa::1";
    votes[1].text = "2a01:4f8:1:2::5";
    votes[2].text = "2a01:4f8:1:3::1";
    address_judge_votes(votes, 2, &rules, &v);
    assert_int_equal(v.kind, ADDRESS_AGREED);
    assert_string_equal(v.text, "2a01:4f8:1:2::5");
    address_judge_votes(votes, 3, &rules, &v); /* one that strays does not matter */
    assert_string_equal(v.text, "2a01:4f8:1:2::5");
    votes[0].text = "2a01:4f8:1:3::1";
    address_judge_votes(votes, 3, &rules, &v); /* and two outside are right about where we come from */
    assert_string_equal(v.text, "2a01:4f8:1:3::1");
}

/* The text of a verdict is cut, never overrun. */
static void test_many_votes(void **state)
{
    struct address_vote votes[40];
    struct address_rules rules = { 50, AF_INET, false };
    char texts[40][ADDRESS_BYTES];
    struct address_verdict v;

    (void)state;
    for (size_t i = 0; i < 40; i++) {
        snprintf(texts[i], sizeof texts[i], "8.8.8.%zu", i);
        votes[i] = (struct address_vote){ "a source with a name that is rather long", NULL, texts[i],
                                          ADDRESS_OUTSIDE };
    }
    address_judge_votes(votes, 40, &rules, &v);
    assert_int_equal(v.kind, ADDRESS_DISAGREE);
    assert_true(strlen(v.why) < sizeof v.why);
}

static void test_settling(void **state)
{
    struct address_settle s = { .now = "" };
    int64_t now = 1000 * MINUTE, wait;

    (void)state;
    assert_int_equal(address_settle_hear(&s, "a", 0, now), 0); /* the first one is at once */
    assert_string_equal(s.now, "a");
    wait = address_settle_hear(&s, "b", 0, now += SECOND);
    assert_in_range(wait, 1, 10 * SECOND);
    assert_string_equal(s.now, "a");
    assert_int_equal(address_settle_hear(&s, "a", 0, now += SECOND), 0); /* it was a blink */
    wait = address_settle_hear(&s, "b", 0, now += SECOND);
    assert_true(wait > 0);
    assert_int_equal(address_settle_hear(&s, "b", 0, now += wait), 0);
    assert_string_equal(s.now, "b");
}

static void test_flapping_is_followed_ever_slower(void **state)
{
    struct address_settle s = { .now = "" };
    int64_t now = 1000 * MINUTE, last = 0, wait;
    const char *text = "a";

    (void)state;
    address_settle_hear(&s, text, 0, now);
    for (int i = 0; i < 8; i++) {
        text = *text == 'a' ? "b" : "a";
        wait = address_settle_hear(&s, text, 0, now += SECOND);
        assert_true(wait >= last && wait <= 15 * MINUTE);
        last = wait;
        address_settle_hear(&s, text, 0, now += wait);
        assert_string_equal(s.now, text);
    }
    assert_true(last >= 10 * MINUTE);
    text = *text == 'a' ? "b" : "a";
    assert_true(address_settle_hear(&s, text, 0, now + 61 * MINUTE) <
                10 * SECOND); /* all has been calm for long */
}

static void test_a_loss_has_to_last(void **state)
{
    struct address_settle s = { .now = "" };

    (void)state;
    assert_int_equal(address_settle_hear(&s, "none", MINUTE, 0), MINUTE); /* also at the start */
    assert_string_equal(s.now, "");
    assert_int_equal(address_settle_hear(&s, "none", MINUTE, MINUTE), 0);
    assert_string_equal(s.now, "none");
    assert_true(address_settle_hear(&s, "a", 0, MINUTE) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_temporary_addresses_speak_for_the_lasting_one),
        cmocka_unit_test(test_many_votes),
        cmocka_unit_test(test_settling),
        cmocka_unit_test(test_flapping_is_followed_ever_slower),
        cmocka_unit_test(test_a_loss_has_to_last),
    };

    return cmocka_run_group_tests_name("agent/dns/address_verdict", tests, NULL, NULL);
}
