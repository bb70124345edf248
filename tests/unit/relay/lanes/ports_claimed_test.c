/* Items tcp:NAME: who may open which port, who has it, and what is opened and closed for it. */
#include "relay/lanes/claims.h"

#include "shared/json.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/relay/lanes/relay_conf.h"

#define MAY "a.test\ntcp_ports = 1000-2000 3000" /* domains of an agent, and what it may open */

struct opened {
    char now[512], next[512];
    const char *taken; /* by a foreign process */
};

static bool on_wanted(void *user, const struct opt_address *at, char *why, size_t room)
{
    struct opened *o = user;
    struct buf text = { 0 };
    bool had;

    value_print_address(&text, at);
    had = !o->taken || strcmp(buf_text(&text), o->taken) != 0;
    if (had)
        snprintf(o->next + strlen(o->next), sizeof o->next - strlen(o->next), "%s%s", *o->next ? " " : "",
                 buf_text(&text));
    else
        snprintf(why, room, "taken");
    buf_free(&text);
    return had;
}

static void on_settled(void *user)
{
    struct opened *o = user;

    memcpy(o->now, o->next, sizeof o->now);
    o->next[0] = 0;
}

static void follow(struct claims *c, const char *const *agents)
{
    struct opt_conf *conf = relay_conf("", agents);
    struct roster roster;

    roster_init(&roster, conf, NULL);
    claims_follow(c, conf, &roster);
    roster_free(&roster);
    opt_conf_free(conf);
}

/* Items as "NAME=ADDRESS", divided by blanks. The answers as "NAME ok" or "NAME WHY", one a line. */
static const char *claim(struct claims *c, const char *agent, int64_t serial, const char *text)
{
    static char answered[2048];
    struct lane_item items[8] = { 0 };
    struct lane_msg m = { .type = LANE_CLAIM, .claim = { serial, 1, true, items, 0 } }, answer;
    char *copy = mem_copy(text), *rest = copy, *word;

    while ((word = strsep(&rest, " ")) && *word) {
        char *name = strsep(&word, "=");

        items[m.claim.n].item = mem_format("tcp:%s", name);
        items[m.claim.n++].policy = word ? json_pack("{s:s}", "listen", word) : NULL;
    }
    assert_int_equal(claims_take(c, agent, agent, &m, &answer, NULL), 0);
    assert_int_equal(answer.type, LANE_CLAIMED);
    answered[0] = 0;
    for (size_t i = 0; i < answer.claimed.n; i++)
        sprintf(answered + strlen(answered), "%s%s %s", i > 0 ? "\n" : "", answer.claimed.items[i].item + 4,
                answer.claimed.items[i].ok ? "ok" : answer.claimed.items[i].why);
    for (size_t i = 0; i < m.claim.n; i++) {
        free((char *)(uintptr_t)items[i].item);
        json_decref(items[i].policy);
    }
    free(copy);
    return answered;
}

static struct claims *claims_with(const char *const *agents, struct opened *o, struct claims_ports *ports)
{
    struct claims *c = claims_new();

    *o = (struct opened){ 0 };
    *ports = (struct claims_ports){ on_wanted, on_settled, o };
    claims_set_ports(c, ports);
    follow(c, agents);
    return c;
}

static void test_what_is_opened(void **state)
{
    static const struct {
        const char *items, *answer, *opened;
    } rows[] = {
        { "", "", "" },
        { "x=:1000", "x ok", ":1000" },
        { "x=127.0.0.1:1000 y=[::1]:1000 z=:2000", "x ok\ny ok\nz ok", "127.0.0.1:1000 [::1]:1000 :2000" },
        { "x=:999", "x agent pi may not open port 999: add it to tcp_ports in the relay's [agent pi]", "" },
        { "x=:3001 y=:3000",
          "x agent pi may not open port 3001: add it to tcp_ports in the relay's [agent pi]\ny ok", ":3000" },
        { "x=:1000 y=127.0.0.1:1000", "x ok\ny port 1000 is that of [tcp x] already", ":1000" },
        { "x", "x it does not say where to listen", "" },
        { "X=:1000", NULL, "" },
        { "=:1000", NULL, "" },
        { "x=host:1000", NULL, "" },
        { "x=:1500 y=:1501", "x ok\ny taken", ":1500" },
    };
    struct claims_ports ports;
    struct opened o;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct claims *c = claims_with((const char *const[]){ "pi", MAY, NULL }, &o, &ports);
        const char *answer;

        o.taken = ":1501";
        answer = claim(c, "pi", 1, rows[i].items);
        if (rows[i].answer ? strcmp(answer, rows[i].answer) != 0 : strstr(answer, " ok") != NULL)
            fail_msg("%s: %s", rows[i].items, answer);
        assert_string_equal(o.now, rows[i].opened);
        assert_int_equal(claims_lack_ports(c), strstr(answer, "taken") != NULL);
        claims_free(c);
    }
}

static void test_it_opens_and_closes_with_the_claim(void **state)
{
    struct claims_ports ports;
    struct opened o;
    struct claims *c = claims_with((const char *const[]){ "pi", MAY, NULL }, &o, &ports);

    (void)state;
    claim(c, "pi", 1, "x=:1000 y=:1001");
    assert_string_equal(o.now, ":1000 :1001");
    claim(c, "pi", 2, "y=:1001");
    assert_string_equal(o.now, ":1001");
    follow(c, (const char *const[]){ "pi", "a.test\ntcp_ports = 1000", NULL });
    assert_string_equal(o.now, "");
    follow(c, (const char *const[]){ "pi", MAY, NULL });
    assert_string_equal(o.now, ":1001");
    follow(c, (const char *const[]){ "nas", MAY, NULL });
    assert_string_equal(o.now, "");
    claims_free(c);
}

static void test_a_port_is_one_agents(void **state)
{
    static const char *const both[] = { "pi", MAY, "nas", "b.test\ntcp_ports = 1000-2000", NULL };
    struct claims_ports ports;
    struct opened o;
    struct claims *c = claims_with(both, &o, &ports);

    (void)state;
    assert_string_equal(claim(c, "pi", 1, "x=127.0.0.1:1000"), "x ok");
    assert_string_equal(
        claim(c, "nas", 1, "x=127.0.0.2:1000 z=:1000"),
        "x ok\nz port 1000 is open for agent pi already, for its [tcp x]; a port is not shared, so "
        "listen on another");
    assert_string_equal(o.now, "127.0.0.1:1000 127.0.0.2:1000");
    assert_string_equal(claim(c, "nas", 2, "z=:1000"),
                        "z port 1000 is open for agent pi already, for its [tcp x]; a port is not shared, so "
                        "listen on another");
    claim(c, "pi", 2, "");
    assert_string_equal(o.now, ":1000"); /* whoever has waited gets it */
    assert_string_equal(
        claim(c, "pi", 3, "x=127.0.0.1:1000"),
        "x port 1000 is open for agent nas already, for its [tcp z]; a port is not shared, so "
        "listen on another");
    claims_free(c);
}

static void test_a_port_that_was_taken_is_tried_again(void **state)
{
    struct claims_ports ports;
    struct opened o;
    struct claims *c = claims_with((const char *const[]){ "pi", MAY, NULL }, &o, &ports);
    struct lane_msg answer;
    const char *agent;

    (void)state;
    o.taken = ":1000";
    assert_string_equal(claim(c, "pi", 1, "x=:1000"), "x taken");
    assert_true(claims_lack_ports(c));
    o.taken = NULL;
    claims_try_ports(c);
    assert_false(claims_lack_ports(c));
    assert_string_equal(o.now, ":1000");
    assert_true(claims_untold(c, &agent, &answer));
    assert_true(answer.claimed.items[0].ok);
    claims_free(c);
}

static void test_what_was_claimed_before(void **state)
{
    json_t *policy = json_pack("{s:s}", "listen", ":1000"), *bad = json_pack("{s:i}", "listen", 7);
    struct claims_ports ports;
    struct opened o;
    struct claims *c = claims_with((const char *const[]){ "pi", MAY, NULL }, &o, &ports);
    struct claims_port port;
    struct claims_site site;

    (void)state;
    claims_remember_port(c, "pi", "x", policy);
    claims_remember_port(c, "pi", "bad", bad);
    claims_remember_port(c, "nobody", "x", policy);
    claims_remembered(c);
    assert_string_equal(o.now, ":1000");
    assert_true(claims_port(c, 0, &port));
    assert_string_equal(port.name, "x");
    assert_string_equal(port.item, "tcp:x");
    assert_string_equal(port.agent, "pi");
    assert_true(port.remembered && !port.why[0]);
    assert_true(claims_port(c, 1, &port));
    assert_true(!port.port && port.why[0]);
    assert_false(claims_port(c, 2, &port));
    assert_true(claims_site(c, 0, &site)); /* a port is no site */
    assert_string_equal(site.name, "a.test");
    assert_false(claims_site(c, 1, &site));
    claim(c, "pi", 1, "x=:1000");
    assert_true(claims_port(c, 0, &port));
    assert_true(!port.remembered);
    json_decref(policy);
    json_decref(bad);
    claims_free(c);
}

static void test_the_state_of_its_service(void **state)
{
    const struct lane_msg said = { .type = LANE_SERVICE,
                                   .service = { "tcp:x", "", LANE_SERVICE_REFUSED, "" } };
    struct claims_ports ports;
    struct opened o;
    struct claims *c = claims_with((const char *const[]){ "pi", MAY, NULL }, &o, &ports);
    struct claims_port port;
    enum lane_service how;
    const char *route;

    (void)state;
    claim(c, "pi", 1, "x=:1000");
    assert_true(claims_port(c, 0, &port));
    assert_int_equal(port.service, LANE_SERVICE_UNKNOWN);
    assert_true(claims_note_service(c, "pi", "pi", &said, 7));
    assert_true(claims_port(c, 0, &port));
    assert_int_equal(port.service, LANE_SERVICE_REFUSED);
    assert_true(claims_down(&port.of, "pi", 0, &route, &how));
    assert_int_equal(how, LANE_SERVICE_REFUSED);
    claims_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_opened),
        cmocka_unit_test(test_it_opens_and_closes_with_the_claim),
        cmocka_unit_test(test_a_port_is_one_agents),
        cmocka_unit_test(test_a_port_that_was_taken_is_tried_again),
        cmocka_unit_test(test_what_was_claimed_before),
        cmocka_unit_test(test_the_state_of_its_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
