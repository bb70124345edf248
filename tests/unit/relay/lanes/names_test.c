/* Names that several agents claim: who may share one, and what the site is then. */
#include "relay/lanes/claims.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/relay/lanes/relay_conf.h"

#define AGENTS(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

enum { LAST = 1 };

static void follow(struct claims *c, const char *first, const char *const *agents)
{
    struct opt_conf *conf = relay_conf(first, agents);
    struct roster roster;

    roster_init(&roster, conf, NULL);
    claims_follow(c, conf, &roster);
    roster_free(&roster);
    opt_conf_free(conf);
}

static struct claims *claims_with(const char *first, const char *const *agents)
{
    struct claims *c = claims_new();

    follow(c, first, agents);
    return c;
}

/* All sites as "a.test=pi+nas,alias", an unclaimed one as "a.test~pi". */
static void assert_sites(const struct claims *c, const char *expected)
{
    char text[2048] = "";
    struct claims_site s;

    for (size_t i = 0; claims_site(c, i, &s); i++) {
        sprintf(text + strlen(text), "%s%s%c", i > 0 ? " " : "", s.name, s.claimed ? '=' : '~');
        for (size_t j = 0; j < s.agents_n; j++)
            sprintf(text + strlen(text), "%s%s", j > 0 ? "+" : "", s.agents[j].name);
        for (size_t j = 0; j < s.aliases_n; j++)
            sprintf(text + strlen(text), ",%s", s.aliases[j]);
    }
    assert_string_equal(text, expected);
}

/* One item, or none ("" as its name), with this policy. The answer to it alone. */
static const char *ask(struct claims *c, const char *agent, int64_t serial, const char *name,
                       const char *policy)
{
    static char answered[1024];
    const char *aliases[4];
    char *copy = mem_format("domain:%s", name), *rest = copy;
    struct lane_item item = { .item = strsep(&rest, ","), .aliases = aliases };
    struct lane_msg m = { .type = LANE_CLAIM, .claim = { serial, 1, LAST, &item, *name != 0 } }, answer;

    while (rest)
        aliases[item.aliases_n++] = strsep(&rest, ",");
    item.policy = json_read(policy, strlen(policy), NULL);
    assert_non_null(item.policy);
    assert_int_equal(claims_take(c, agent, agent, &m, &answer, NULL), 0);
    json_decref(item.policy);
    free(copy);
    answered[0] = 0;
    assert_int_equal(answer.type, LANE_CLAIMED);
    if (answer.claimed.n > 0)
        snprintf(answered, sizeof answered, "%s",
                 answer.claimed.items[0].ok ? "ok" : answer.claimed.items[0].why);
    return answered;
}

#define ALREADY " already; for both to serve it, write share = balance in each one's section of it"
#define OFF     "{\"share\": \"off\"}"
#define BALANCE "{\"share\": \"balance\"}"
#define STANDBY "{\"share\": \"standby\"}"

static void test_who_may_share(void **state)
{
    static const struct {
        const char *name, *relay, *first, *second, *answer;
    } rows[] = {
        { "both balance", "", BALANCE, BALANCE, "ok" },
        { "both stand by", "", STANDBY, STANDBY, "ok" },
        { "neither", "", "{}", "{}", "a.test is served by agent pi" ALREADY },
        { "both say off", "", OFF, "{}", "a.test is served by agent pi" ALREADY },
        { "only the second", "", "{}", BALANCE,
          "a.test is served by agent pi already, with share = off, and this claim has share = balance: write the "
          "same in both" },
        { "only the first", "", STANDBY, OFF,
          "a.test is served by agent pi already, with share = standby, and this claim has share = off: write the "
          "same in both" },
        { "each its own way", "", STANDBY, BALANCE,
          "a.test is served by agent pi already, with share = standby, and this claim has share = balance: write "
          "the same in both" },
        { "the relay forbids it", "share = off", BALANCE, BALANCE,
          "a.test is served by agent pi already, and the relay's own section of it has share = off" },
        { "the relay says it for both", "share = balance", "{}", "{}", "ok" },
        { "the relay says how", "share = standby", BALANCE, OFF, "ok" },
        { "the relay speaks of something else", "priority = 7", BALANCE, BALANCE, "ok" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *relay = rows[i].relay[0] ? mem_format("[domain a.test]\n%s\n", rows[i].relay) : mem_copy("");
        struct claims *c = claims_with(relay, AGENTS("nas", "a.test", "pi", "a.test"));
        const char *answer;

        assert_string_equal(ask(c, "pi", 1, "a.test", rows[i].first), "ok");
        answer = ask(c, "nas", 1, "a.test", rows[i].second);
        if (strcmp(answer, rows[i].answer) != 0)
            fail_msg("%s: %s", rows[i].name, answer);
        assert_sites(c, strcmp(answer, "ok") == 0 ? "a.test=pi+nas" : "a.test=pi");
        claims_free(c);
        free(relay);
    }
}

/* Visitors come by any name of the site to any of its agents. */
static void test_aliases_of_a_shared_site(void **state)
{
    struct claims *c = claims_with(
        "", AGENTS("pi", "a.test b.test c.test", "nas", "a.test b.test", "box", "a.test b.test c.test"));

    (void)state;
    assert_string_equal(ask(c, "pi", 1, "a.test,b.test", BALANCE), "ok");
    assert_string_equal(ask(c, "nas", 1, "a.test", BALANCE), "ok");
    assert_sites(c, "a.test=pi+nas,b.test c.test~box+pi");
    assert_string_equal(
        ask(c, "box", 1, "a.test,c.test", BALANCE),
        "agent nas may not serve c.test, a name of this site at agent box: add it to domains in "
        "the relay's [agent nas]");
    assert_string_equal(ask(c, "box", 2, "b.test", BALANCE),
                        "b.test is served by agent pi already, as an alias of a.test");
    assert_string_equal(
        ask(c, "pi", 2, "a.test,c.test", BALANCE),
        "agent nas may not serve c.test, a name of this site at agent pi: add it to domains in "
        "the relay's [agent nas]");
    assert_sites(c, "a.test=nas b.test=box c.test~box+pi");
    assert_string_equal(ask(c, "nas", 2, "", "{}"), "");
    assert_string_equal(ask(c, "box", 3, "a.test,b.test", BALANCE), "ok");
    assert_sites(c, "a.test=pi+box,c.test,b.test"); /* who had it first comes first */
    assert_string_equal(
        ask(c, "nas", 3, "a.test", BALANCE),
        "agent nas may not serve c.test, a name of this site at agent pi: add it to domains in "
        "the relay's [agent nas]");
    claims_free(c);
}

static void assert_policy(const struct claims *c, const char *expected)
{
    struct claims_site s;
    char *text;

    assert_true(claims_site(c, 0, &s) && strcmp(s.name, "a.test") == 0);
    text = json_dumps(s.policy, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, expected);
    free(text);
}

static void test_whose_policy_holds(void **state)
{
    struct claims *c = claims_with("", AGENTS("pi", "a.test", "nas", "a.test", "box", "a.test"));

    (void)state;
    ask(c, "nas", 1, "a.test", "{\"share\": \"balance\", \"max_body\": 1, \"routes\": [\"/x\", \"/api\"]}");
    ask(c, "box", 1, "a.test", "{\"share\": \"balance\", \"routes\": [\"/api\", \"/box\"]}");
    assert_sites(c, "a.test=nas+box");
    assert_policy(c, "{\"max_body\":1,\"routes\":[\"/api\"],\"share\":\"balance\"}");
    ask(c, "pi", 1, "a.test", "{\"share\": \"balance\", \"max_body\": 3}");
    assert_policy(c, "{\"max_body\":1,\"routes\":[],\"share\":\"balance\"}");
    ask(c, "nas", 2, "a.test", "{\"share\": \"balance\", \"max_body\": 2}"); /* it stays the first */
    assert_sites(c, "a.test=nas+box+pi");
    assert_policy(c, "{\"max_body\":2,\"share\":\"balance\"}");
    ask(c, "nas", 3, "", "{}");
    assert_sites(c, "a.test=box+pi");
    assert_policy(c, "{\"routes\":[],\"share\":\"balance\"}");
    ask(c, "nas", 4, "a.test", "{\"share\": \"balance\", \"max_body\": 2}"); /* now it comes last */
    assert_sites(c, "a.test=box+pi+nas");
    claims_free(c);
}

/* Who does not share any more has to go; the relay's own word decides between those who had it. */
static void test_sharing_that_ends(void **state)
{
    struct claims *c = claims_with("", AGENTS("nas", "a.test", "pi", "a.test", "box", "a.test"));

    (void)state;
    ask(c, "pi", 1, "a.test", BALANCE);
    ask(c, "nas", 1, "a.test", BALANCE);
    ask(c, "box", 1, "a.test", BALANCE);
    assert_string_equal(
        ask(c, "pi", 2, "a.test", OFF),
        "a.test is served by agent nas already, with share = balance, and this claim has share = "
        "off: write the same in both");
    assert_sites(c, "a.test=nas+box");
    follow(c, "[domain a.test]\nshare = off\n", AGENTS("box", "a.test", "pi", "a.test", "nas", "a.test"));
    assert_sites(c, "a.test=nas");
    follow(c, "", AGENTS("box", "a.test", "pi", "a.test", "nas", "a.test"));
    assert_sites(c, "a.test=nas+box");
    claims_free(c);
}

static void test_priorities(void **state)
{
    static const struct {
        const char *relay, *policy;
        int64_t priority;
    } rows[] = {
        { "", "{\"share\": \"standby\", \"priority\": 7}", 7 },
        { "", STANDBY, 0 },
        { "", "{\"share\": \"balance\", \"priority\": 7}", 0 },
        { "", "{\"priority\": 7}", 0 },
        { "[domain a.test]\nshare = standby\n", "{\"priority\": 7}", 7 },
        { "[domain a.test]\nshare = standby\npriority = 3\n", "{\"priority\": 7}", 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct claims *c = claims_with(rows[i].relay, AGENTS("pi", "a.test"));
        struct claims_site s;

        ask(c, "pi", 1, "a.test", rows[i].policy);
        assert_true(claims_site(c, 0, &s));
        assert_int_equal(s.agents[0].priority, rows[i].priority);
        claims_free(c);
    }
}

static bool note(struct claims *c, const char *boot, const char *route, enum lane_service how)
{
    return claims_note_service(
        c, "pi", boot,
        &(struct lane_msg){ .service = { .item = "domain:a.test", .route = route, .state = how } }, 7);
}

/* Each service of the site that is down at this machine, as "ROUTE STATE". */
static void assert_down(const struct claims *c, const char *boot, const char *expected)
{
    char text[256] = "";
    enum lane_service how;
    struct claims_site s;
    const char *route;

    assert_true(claims_site(c, 0, &s));
    for (size_t i = 0; claims_down(&s.agents[0], boot, i, &route, &how); i++)
        sprintf(text + strlen(text), "%s%s %s", i > 0 ? ", " : "", route, lane_service_text(how));
    assert_string_equal(text, expected);
}

/* Several machines with one key have services of their own each. */
static void test_services_of_each_machine(void **state)
{
    struct claims *c = claims_with("", AGENTS("pi", "a.test"));
    struct claims_site s;

    (void)state;
    ask(c, "pi", 1, "a.test", "{\"routes\": [\"/api\"]}"); /* its boot is "pi" */
    assert_true(note(c, "old", "", LANE_SERVICE_REFUSED));
    assert_false(note(c, "old", "", LANE_SERVICE_REFUSED));
    assert_true(note(c, "old", "/api", LANE_SERVICE_SILENT));
    assert_true(note(c, "pi", "/api", LANE_SERVICE_OK));
    assert_false(note(c, "pi", "/none", LANE_SERVICE_OK)); /* it has not claimed that */
    assert_down(c, "old", " refused, /api silent");
    assert_down(c, "pi", "");
    assert_true(claims_site(c, 0, &s) && s.service == LANE_SERVICE_REFUSED);
    assert_true(note(c, "pi", "", LANE_SERVICE_OK));
    assert_true(claims_site(c, 0, &s) && s.service == LANE_SERVICE_OK);
    ask(c, "pi", 2, "a.test", "{}"); /* what another machine has said stays */
    assert_down(c, "old", " refused, /api silent");
    assert_true(claims_site(c, 0, &s) && s.service == LANE_SERVICE_REFUSED);
    claims_boot_gone(c, "pi", "old");
    assert_down(c, "old", "");
    claims_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_share),      cmocka_unit_test(test_aliases_of_a_shared_site),
        cmocka_unit_test(test_whose_policy_holds), cmocka_unit_test(test_sharing_that_ends),
        cmocka_unit_test(test_priorities),         cmocka_unit_test(test_services_of_each_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
