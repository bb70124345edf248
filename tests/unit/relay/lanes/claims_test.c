#include "relay/lanes/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/relay/lanes/relay_conf.h"

#define AGENTS(...) ((const char *const[]){ __VA_ARGS__, NULL, NULL })

enum { LAST = 1 };

static void follow(struct claims *c, const char *const *agents)
{
    struct opt_conf *conf = relay_conf("", agents);
    struct roster roster;

    roster_init(&roster, conf, NULL);
    claims_follow(c, conf, &roster);
    roster_free(&roster);
    opt_conf_free(conf); /* they hold copies */
}

static struct claims *claims_of(const char *const *agents)
{
    struct claims *c = claims_new();

    follow(c, agents);
    return c;
}

static void show(const struct lane_msg *answer, char *text)
{
    assert_int_equal(answer->type, LANE_CLAIMED);
    for (size_t i = 0; i < answer->claimed.n; i++) {
        const struct lane_answer *a = &answer->claimed.items[i];

        assert_int_equal(a->ok, !*a->why);
        text += sprintf(text, "%s%s %s", i > 0 ? "\n" : "", a->item, a->ok ? "ok" : a->why);
    }
}

/* One part: items divided by blanks, each with its aliases behind commas. The answer as "domain:a.test ok" or
 * "domain:a.test WHY", one a line; NULL when there is none. Valid until the next call. */
static const char *claim(struct claims *c, const char *agent, const char *boot, int64_t serial, int64_t part,
                         bool last, const char *text)
{
    static char answered[4096];
    static const char *aliases[8][8];
    struct lane_item items[8] = { 0 };
    struct lane_msg m = { .type = LANE_CLAIM, .claim = { serial, part, last, items, 0 } }, answer;
    char *copy = strdup(text), *rest = copy, *word;

    while ((word = strsep(&rest, " ")) && *word) {
        size_t n = m.claim.n++;

        items[n].item = strsep(&word, ",");
        items[n].aliases = aliases[n];
        while (word)
            aliases[n][items[n].aliases_n++] = strsep(&word, ",");
    }
    answered[0] = 0;
    assert_int_equal(claims_take(c, agent, boot, &m, &answer, NULL), 0);
    free(copy); /* claims hold copies */
    if (answer.type == LANE_UNKNOWN)
        return NULL;
    assert_int_equal(answer.claimed.serial, serial);
    show(&answer, answered);
    return answered;
}

/* What agents are told besides, each as "AGENT SERIAL: " and its answer, divided by blank lines. */
static void assert_told(struct claims *c, const char *expected)
{
    char text[4096] = "";
    struct lane_msg answer;
    const char *agent;

    while (claims_untold(c, &agent, &answer)) {
        sprintf(text + strlen(text), "%s%s %d: ", *text ? "\n\n" : "", agent, (int)answer.claimed.serial);
        show(&answer, text + strlen(text));
    }
    assert_string_equal(text, expected);
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

static void test_what_is_accepted_and_why_not(void **state)
{
    static const struct {
        const char *name, *items, *answer, *sites; /* sites besides "a.test~pi …" are claimed ones */
    } rows[] = {
        { "its own name", "domain:a.test", "domain:a.test ok", "*.b.test~pi a.test=pi other.test~nas" },
        { "nothing", "", "", "*.b.test~pi a.test~pi other.test~nas" },
        { "a name under the wildcard", "domain:x.b.test", "domain:x.b.test ok",
          "*.b.test~pi a.test~pi other.test~nas x.b.test=pi" },
        { "the wildcard itself", "domain:*.b.test", "domain:*.b.test ok",
          "*.b.test=pi a.test~pi other.test~nas" },
        { "the wildcard, and a name under it", "domain:*.b.test domain:x.b.test",
          "domain:*.b.test ok\ndomain:x.b.test ok", "*.b.test=pi a.test~pi other.test~nas x.b.test=pi" },
        { "the wildcard's own base", "domain:b.test",
          "domain:b.test agent pi may not serve b.test: add it to domains in the relay's [agent pi]",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "two labels under the wildcard", "domain:x.y.b.test",
          "domain:x.y.b.test agent pi may not serve x.y.b.test: add it to domains in the relay's [agent pi]",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "a wildcard below the wildcard", "domain:*.x.b.test",
          "domain:*.x.b.test agent pi may not serve *.x.b.test: add it to domains in the relay's [agent pi]",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "a wildcard over its own name", "domain:*.test",
          "domain:*.test *.test is not a host name: it has no dot (such as sassy-cat-pics.com)",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "another agent's name", "domain:other.test domain:a.test",
          "domain:other.test agent pi may not serve other.test: add it to domains in the relay's [agent pi]\n"
          "domain:a.test ok",
          "*.b.test~pi a.test=pi other.test~nas" },
        { "aliases", "domain:a.test,x.b.test,y.b.test", "domain:a.test ok",
          "*.b.test~pi a.test=pi,x.b.test,y.b.test other.test~nas" },
        { "an alias that is configured is no site of its own", "domain:x.b.test,a.test", "domain:x.b.test ok",
          "*.b.test~pi other.test~nas x.b.test=pi,a.test" },
        { "an alias beyond its names", "domain:a.test,other.test",
          "domain:a.test agent pi may not serve other.test: add it to domains in the relay's [agent pi]",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "a name twice", "domain:a.test domain:a.test,x.b.test",
          "domain:a.test ok\ndomain:a.test a.test is claimed twice", "*.b.test~pi a.test=pi other.test~nas" },
        { "an alias that is a site already", "domain:a.test domain:x.b.test,a.test",
          "domain:a.test ok\ndomain:x.b.test a.test is claimed twice",
          "*.b.test~pi a.test=pi other.test~nas" },
        { "a site that is an alias already", "domain:x.b.test,a.test domain:a.test",
          "domain:x.b.test ok\ndomain:a.test a.test is claimed twice",
          "*.b.test~pi other.test~nas x.b.test=pi,a.test" },
        { "a name that a refused item has", "domain:z.test,a.test domain:a.test",
          "domain:z.test agent pi may not serve z.test: add it to domains in the relay's [agent pi]\n"
          "domain:a.test ok",
          "*.b.test~pi a.test=pi other.test~nas" },
        { "upper case", "domain:A.test",
          "domain:A.test A.test is not a host name: only a-z, 0-9, - and . may stand in it; write other letters "
          "in their xn-- form (such as sassy-cat-pics.com)",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "no domain", "tcp:ssh", "tcp:ssh it does not say where to listen",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "a name without its kind", "a.test",
          "a.test a.test is neither domain:NAME nor tcp:NAME, which is all that this relay serves",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "a kind without a name", "domain:",
          "domain:  is not a host name: it has an empty label (such as "
          "sassy-cat-pics.com)",
          "*.b.test~pi a.test~pi other.test~nas" },
        { "a file's name", "domain:../../etc/passwd",
          "domain:../../etc/passwd ../../etc/passwd is not a host name: it has an empty label (such as "
          "sassy-cat-pics.com)",
          "*.b.test~pi a.test~pi other.test~nas" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct claims *c = claims_of(AGENTS("pi", "a.test *.b.test", "nas", "other.test"));
        const char *answer = claim(c, "pi", "boot", 1, 1, LAST, rows[i].items);

        if (!answer || strcmp(answer, rows[i].answer) != 0)
            fail_msg("%s: %s", rows[i].name, answer ? answer : "no answer");
        assert_sites(c, rows[i].sites);
        claims_free(c);
    }
}

/* The longest name there can be, and a reason that is longer than what holds it. */
static void test_long_names(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test"));
    char item[LANE_ITEM_BYTES + 1] = "domain:";
    const char *answer;

    (void)state;
    for (size_t i = strlen(item); i < LANE_ITEM_BYTES; i++)
        item[i] = i % 50 == 0 ? '.' : 'x';
    answer = claim(c, "pi", "boot", 1, 1, LAST, item);
    assert_non_null(answer);
    assert_int_equal(strncmp(answer, item, LANE_ITEM_BYTES), 0);
    assert_non_null(strstr(answer, " agent pi may not serve xx"));
    claims_free(c);
}

static void assert_claimed(const struct claims *c, const char *name, size_t step, const char *expected)
{
    char text[256] = "";
    struct claims_site s;

    for (size_t i = 0; claims_site(c, i, &s); i++)
        if (s.claimed)
            sprintf(text + strlen(text), "%s%s", *text ? " " : "", s.name);
    if (strcmp(text, expected) != 0)
        fail_msg("%s: after step %zu there is \"%s\", not \"%s\"", name, step + 1, text, expected);
}

/* Feeds one claim in parts of LANE_ITEMS items without an end. Returns how many of them were taken. */
static int take_parts(struct claims *c, int64_t serial, const struct lane_item *items, int most,
                      struct err *e)
{
    struct lane_msg m = { .type = LANE_CLAIM, .claim = { serial, 1, false, items, LANE_ITEMS } }, answer;

    for (m.claim.part = 1; m.claim.part <= most; m.claim.part++)
        if (claims_take(c, "pi", "boot", &m, &answer, e) != 0)
            return (int)m.claim.part - 1;
    return most;
}

/* Each agent may have max_domains sites, 100 by default: it is told which are too many, but not of any number. */
static void test_more_than_is_kept_of_one_agent(void **state)
{
    static struct lane_item items[LANE_ITEMS], fat[LANE_ITEMS];
    static const char *aliases[LANE_ALIASES];
    struct claims *c = claims_of(AGENTS("pi", "a.test"));
    struct err why = { 0 };

    (void)state;
    for (size_t i = 0; i < LANE_ALIASES; i++)
        aliases[i] = "a";
    for (size_t i = 0; i < LANE_ITEMS; i++) {
        items[i] = (struct lane_item){ .item = "x" };
        fat[i] = (struct lane_item){ .item = "x", .aliases = aliases, .aliases_n = LANE_ALIASES };
    }
    assert_string_equal(claim(c, "pi", "boot", 1, 1, LAST, "domain:a.test"), "domain:a.test ok");
    assert_int_equal(take_parts(c, 2, items, 10, &why), 1);
    assert_int_equal(why.code, ERR_LIMIT);
    assert_string_equal(why.text,
                        "a claim of more than 1100 sites or 1100 KiB: claim fewer, or raise max_domains in "
                        "the relay's [agent pi]");
    assert_int_equal(take_parts(c, 3, fat, 1, &why), 0);
    assert_claimed(c, "more than is kept", 0, "a.test"); /* what was in force stays */
    assert_string_equal(claim(c, "pi", "boot", 3, 1, LAST, "domain:a.test"), "domain:a.test ok");
    claims_free(c);
}

static void test_service_states_are_shown(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test b.test", "nas", "b.test"));
    struct lane_msg said = { .service = { .item = "domain:b.test", .route = "", .state = LANE_SERVICE_OK } };
    struct claims_site s;

    (void)state;
    claim(c, "nas", "n", 1, 1, LAST, "domain:b.test");
    claim(c, "pi", "p", 1, 1, LAST, "domain:a.test domain:b.test");
    assert_true(
        claims_note_service(c, "pi", "p", &said, 7)); /* of a claim that was refused: it shows nowhere */
    assert_false(claims_note_service(c, "pi", "p", &said, 7));
    for (size_t i = 0; claims_site(c, i, &s); i++)
        assert_int_equal(s.service, LANE_SERVICE_UNKNOWN);
    said.service.item = "domain:a.test";
    assert_true(claims_note_service(c, "pi", "p", &said, 7));
    assert_true(claims_site(c, 0, &s) && strcmp(s.name, "a.test") == 0);
    assert_int_equal(s.service, LANE_SERVICE_OK);
    claims_free(c);
}

/* Each row is one part; the parts of a row arrive one after the other. */
struct step {
    const char *boot;
    int64_t serial, part;
    bool last;
    const char *items;
    bool answered;
    const char *site; /* the only one that is claimed afterwards, of a.test to d.test; "" none */
};

static void test_parts_serials_and_boots(void **state)
{
    static const struct {
        const char *name;
        struct step steps[10];
    } rows[] = {
        { "two parts",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 2, LAST, "domain:b.test", true, "a.test b.test" } } },
        { "a complete set replaces the one before",
          { { "x", 1, 1, LAST, "domain:a.test domain:b.test", true, "a.test b.test" },
            { "x", 2, 1, false, "domain:c.test", false, "a.test b.test" },
            { "x", 2, 2, LAST, "domain:d.test", true, "c.test d.test" } } },
        { "an empty set takes everything back",
          { { "x", 1, 1, LAST, "domain:a.test", true, "a.test" }, { "x", 2, 1, LAST, "", true, "" } } },
        { "an older serial on another lane",
          { { "x", 2, 1, LAST, "domain:b.test", true, "b.test" },
            { "x", 1, 1, LAST, "domain:a.test", false, "b.test" } } },
        { "an older serial's end within a newer one",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 2, 1, false, "domain:b.test", false, "" },
            { "x", 1, 2, LAST, "domain:c.test", false, "" },
            { "x", 2, 2, LAST, "domain:d.test", true, "b.test d.test" } } },
        { "an older serial's beginning within a newer one",
          { { "x", 2, 1, false, "domain:b.test", false, "" },
            { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 2, 2, LAST, "domain:d.test", true, "b.test d.test" } } },
        { "an equal serial is the same claim, on each lane",
          { { "x", 1, 1, LAST, "domain:a.test", true, "a.test" },
            { "x", 1, 1, LAST, "domain:a.test", true, "a.test" } } },
        { "two lanes at once, both answered",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 2, LAST, "domain:b.test", true, "a.test b.test" },
            { "x", 1, 2, LAST, "domain:b.test", true, "a.test b.test" } } },
        { "a lane that begins while another is further, and ends",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 2, false, "domain:b.test", false, "" },
            { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 3, LAST, "domain:c.test", true, "a.test b.test c.test" } } },
        { "a lane that goes on where another ended",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 2, false, "domain:b.test", false, "" },
            { "x", 1, 2, false, "domain:b.test", false, "" },
            { "x", 1, 3, LAST, "domain:c.test", true, "a.test b.test c.test" } } },
        { "a part that is missing",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "x", 1, 3, LAST, "domain:c.test", false, "" },
            { "x", 1, 2, LAST, "domain:b.test", true, "a.test b.test" } } },
        { "a new boot counts anew",
          { { "x", 7, 1, LAST, "domain:a.test", true, "a.test" },
            { "y", 1, 1, LAST, "domain:b.test", true, "b.test" },
            { "y", 1, 1, LAST, "domain:b.test", true, "b.test" } } },
        { "a new boot does not go on with the parts of an old one",
          { { "x", 1, 1, false, "domain:a.test", false, "" },
            { "y", 1, 2, LAST, "domain:b.test", false, "" },
            { "y", 1, 1, false, "domain:c.test", false, "" },
            { "y", 1, 2, LAST, "domain:d.test", true, "c.test d.test" } } },
        { "the greatest numbers",
          { { "x", INT64_MAX, 1, LAST, "domain:a.test", true, "a.test" },
            { "x", INT64_MAX, INT64_MAX, LAST, "", true, "a.test" },
            { "x", 1, INT64_MAX, LAST, "", false, "a.test" } } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct claims *c = claims_of(AGENTS("pi", "a.test b.test c.test d.test"));

        for (size_t j = 0; rows[i].steps[j].boot; j++) {
            const struct step *s = &rows[i].steps[j];
            bool answered = claim(c, "pi", s->boot, s->serial, s->part, s->last, s->items) != NULL;

            if (answered != s->answered)
                fail_msg("%s: step %zu is%s answered", rows[i].name, j + 1, answered ? "" : " not");
            assert_claimed(c, rows[i].name, j, s->site);
        }
        claims_free(c);
    }
}

static void test_unknown_agents(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test"));

    (void)state;
    assert_true(claims_knows(c, "pi"));
    assert_false(claims_knows(c, "nas"));
    assert_false(claims_knows(c, ""));
    assert_null(claim(c, "nas", "boot", 1, 1, LAST, "domain:a.test"));
    assert_sites(c, "a.test~pi");
    claims_free(c);
    claims_free(NULL);
    c = claims_new();
    assert_false(claims_knows(c, "pi"));
    assert_sites(c, "");
    claims_free(c);
}

#define ALREADY " already; for both to serve it, write share = balance in each one's section of it"
#define TAKEN   "domain:a.test a.test is served by agent pi" ALREADY

/* Who comes first has the name; the other gets it as soon as it is free. */
static void test_two_agents_with_one_name(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test *.b.test", "nas", "a.test *.b.test"));

    (void)state;
    assert_string_equal(claim(c, "pi", "p", 1, 1, LAST, "domain:a.test,x.b.test"), "domain:a.test ok");
    assert_string_equal(claim(c, "nas", "n", 1, 1, LAST, "domain:a.test domain:y.b.test,x.b.test"), TAKEN
                        "\ndomain:y.b.test x.b.test is served by agent pi already, as an alias of a.test");
    assert_sites(c, "*.b.test~nas+pi a.test=pi,x.b.test");
    assert_string_equal(claim(c, "pi", "p2", 1, 1, LAST, "domain:a.test"), "domain:a.test ok");
    assert_sites(c, "*.b.test~nas+pi a.test=pi y.b.test=nas,x.b.test");
    assert_string_equal(claim(c, "pi", "p2", 2, 1, LAST, "domain:x.b.test"),
                        "domain:x.b.test x.b.test is served by agent nas already, as an alias of y.b.test");
    assert_sites(c, "*.b.test~nas+pi a.test=nas y.b.test=nas,x.b.test");
    assert_string_equal(claim(c, "nas", "n", 1, 1, LAST, ""), "domain:a.test ok\ndomain:y.b.test ok");
    claims_free(c);
}

/* A name belongs to one agent, its wildcard to another: the exact one wins, and both are sites. */
static void test_a_wildcard_of_one_and_a_name_of_another(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "*.a.test", "nas", "x.a.test"));

    (void)state;
    assert_string_equal(claim(c, "pi", "p", 1, 1, LAST, "domain:*.a.test"), "domain:*.a.test ok");
    assert_string_equal(claim(c, "nas", "n", 1, 1, LAST, "domain:x.a.test"), "domain:x.a.test ok");
    assert_sites(c, "*.a.test=pi x.a.test=nas");
    claims_free(c);
}

static void test_a_reload(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test b.test", "nas", "c.test"));

    (void)state;
    claim(c, "pi", "p", 1, 1, LAST, "domain:a.test domain:b.test");
    claim(c, "nas", "n", 1, 1, LAST, "domain:c.test domain:a.test");
    assert_sites(c, "a.test=pi b.test=pi c.test=nas");
    follow(c, AGENTS("pi", "b.test", "nas", "c.test"));
    assert_sites(c, "b.test=pi c.test=nas");
    follow(c, AGENTS("pi", "a.test b.test", "nas", "c.test")); /* the claim was remembered */
    assert_sites(c, "a.test=pi b.test=pi c.test=nas");
    follow(c, AGENTS("pi", "a.test b.test", "nas", "a.test c.test")); /* who has it keeps it */
    assert_sites(c, "a.test=pi b.test=pi c.test=nas");
    follow(c, AGENTS("nas", "a.test c.test"));
    assert_sites(c, "a.test=nas c.test=nas");
    assert_false(claims_knows(c, "pi"));
    follow(c, AGENTS("pi", "b.test", "nas", "")); /* a new one of that name has claimed nothing */
    assert_sites(c, "b.test~pi");
    assert_string_equal(claim(c, "pi", "p", 1, 1, LAST, "domain:b.test"), "domain:b.test ok");
    claims_free(c);
}

/* A name goes from one agent to the other in one reload, whichever of them comes first in the file. */
static void test_a_name_changes_hands(void **state)
{
    static const char *const before[][5] = { { "pi", "a.test", "nas", "a.test", NULL },
                                             { "nas", "a.test", "pi", "a.test", NULL } };
    static const char *const after[][5] = { { "pi", "b.test", "nas", "a.test", NULL },
                                            { "nas", "a.test", "pi", "b.test", NULL } };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct claims *c = claims_of(before[i]);

        assert_string_equal(claim(c, "pi", "p", 1, 1, LAST, "domain:a.test"), "domain:a.test ok");
        assert_string_equal(claim(c, "nas", "n", 1, 1, LAST, "domain:a.test"), TAKEN);
        follow(c, after[i]);
        assert_sites(c, "a.test=nas b.test~pi");
        claims_free(c);
    }
}

/* Whoever gets or loses a name is told, once; whoever does not, is not. */
static void test_news(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test b.test", "nas", "a.test c.test"));

    (void)state;
    claim(c, "pi", "p", 3, 1, LAST, "domain:a.test domain:b.test");
    claim(c, "nas", "n", 5, 1, LAST, "domain:a.test domain:c.test");
    assert_told(c, ""); /* the answers to their own claims have said it */
    follow(c, AGENTS("pi", "a.test b.test", "nas", "a.test c.test"));
    assert_told(c, "");
    follow(c, AGENTS("pi", "b.test", "nas", "a.test c.test"));
    assert_told(c,
                "nas 5: domain:a.test ok\ndomain:c.test ok\n\n"
                "pi 3: domain:a.test agent pi may not serve a.test: add it to domains in the relay's [agent "
                "pi]\ndomain:b.test ok");
    assert_told(c, "");
    follow(c, AGENTS("pi", "b.test", "nas", "c.test"));
    follow(c, AGENTS("pi", "a.test b.test", "nas", "c.test"));
    claim(c, "pi", "p", 3, 1, LAST, "domain:a.test domain:b.test"); /* on another lane: that is its answer */
    assert_told(c, "nas 5: domain:a.test agent nas may not serve a.test: add it to domains in the relay's "
                   "[agent nas]\ndomain:c.test ok");
    follow(c, AGENTS("pi", "a.test b.test", "nas", "a.test c.test"));
    assert_told(c, "nas 5: " TAKEN "\ndomain:c.test ok");
    claim(c, "pi", "p", 4, 1, LAST, "domain:b.test"); /* another's claim is news as well */
    assert_told(c, "nas 5: domain:a.test ok\ndomain:c.test ok");
    claims_free(c);
}

/* A new boot that has not claimed yet knows no serial that it could be told of. */
static void test_no_news_before_a_claim(void **state)
{
    struct claims *c = claims_of(AGENTS("pi", "a.test"));

    (void)state;
    claim(c, "pi", "p", 1, 1, LAST, "domain:a.test");
    claim(c, "pi", "q", 1, 1, false, "domain:a.test");
    follow(c, AGENTS("pi", "b.test"));
    assert_told(c, "");
    claims_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_accepted_and_why_not),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_more_than_is_kept_of_one_agent),
        cmocka_unit_test(test_service_states_are_shown),
        cmocka_unit_test(test_parts_serials_and_boots),
        cmocka_unit_test(test_unknown_agents),
        cmocka_unit_test(test_two_agents_with_one_name),
        cmocka_unit_test(test_a_wildcard_of_one_and_a_name_of_another),
        cmocka_unit_test(test_a_reload),
        cmocka_unit_test(test_a_name_changes_hands),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_no_news_before_a_claim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
