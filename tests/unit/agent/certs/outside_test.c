/* Where a relay may have this house look, and where not. */
#include "agent/certs/outside.h"

#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

#define NONCE "/.well-known/tunnel-check/0aZ_-9"

static const char text[] =
    "[relay ams1]\nhost = x\nhost_key = ssh-ed25519 SHA256:0000000000000000000000000000000000000000000\n"
    "[domain elsewhere.test]\nrelays = ams1\nservice = http://x\n"
    "[domain a.test]\naliases = *.w.test\nservice = http://x\n"
    "[domain direct.test]\nmode = direct\ndns = manual\n";

static const struct {
    struct lane_fetch fetch;
    const char *why; /* NULL: it may */
} rows[] = {
    { { NULL, "a.test", "192.0.2.1", 80, NONCE }, NULL },
    { { NULL, "x.w.test", "2001:db8::1", 443, NONCE }, NULL },
    { { NULL, "w.test", "192.0.2.1", 80, NONCE }, "does not claim w.test" },
    { { NULL, "elsewhere.test", "192.0.2.1", 80, NONCE }, "does not claim elsewhere.test" },
    { { NULL, "b.test", "192.0.2.1", 80, NONCE }, "does not claim b.test" },
    { { NULL, "direct.test", "192.0.2.1", 80, NONCE }, "does not claim direct.test" },
    { { NULL, "a.test", "192.0.2.1", 22, NONCE }, "ports 80 and 443 alone" },
    { { NULL, "a.test", "192.0.2.1", 8080, NONCE }, "ports 80 and 443 alone" },
    { { NULL, "a.test", "router.lan", 80, NONCE }, "is no address" },
    { { NULL, "a.test", "", 80, NONCE }, "is no address" },
    { { NULL, "a.test", "192.0.2.1", 80, "/" }, "a nonce alone" },
    { { NULL, "a.test", "192.0.2.1", 80, "/.well-known/tunnel-check/" }, "a nonce alone" },
    { { NULL, "a.test", "192.0.2.1", 80, NONCE "/.." }, "a nonce alone" },
    { { NULL, "a.test", "192.0.2.1", 80, NONCE "?reboot=1" }, "a nonce alone" },
    { { NULL, "a.test", "192.0.2.1", 80, NONCE "\r\nX: y" }, "a nonce alone" },
    { { NULL, "a.test", "192.0.2.1", 80, "/.well-known/acme-challenge/x" }, "a nonce alone" },
};

static void test_rows(void **state)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&agent_schema, "agent.ini", text, sizeof text - 1, &errors);

    (void)state;
    if (!conf)
        fail_msg("%s", errors.lines[0]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct lane_msg m = { .type = LANE_FETCH, .fetch = rows[i].fetch };
        struct err why = { 0 };
        int rc = outside_rule(conf, "fra1", &m, &why);

        if (rc != (rows[i].why ? -1 : 0) || (rows[i].why && !strstr(why.text, rows[i].why)))
            fail_msg("row %zu: %d, %s", i, rc, why.text);
    }
    opt_conf_free(conf);
}

struct world {
    struct err seen;
    bool answered, ended;
};

static void on_answered(void *user, const char *relay, const struct lane_msg *m)
{
    struct world *w = user;

    (void)relay;
    assert_int_equal(m->done.status, LANE_FETCH_NOT_TRIED);
    err_set(&w->seen, ERR_PEER, "%s", m->done.why);
    w->answered = true;
}

static void on_ended(void *user)
{
    ((struct world *)user)->ended = true;
}

/* There is no resolver at all, so that the question to it tells. */
static void test_what_a_relay_publishes_has_to_be_public(void **state)
{
    static const char with_resolver[] =
        "[agent]\nresolvers = 127.0.0.1:1\n[domain a.test]\nservice = http://x\n";
    static const struct outside_events events = { on_answered, on_ended };
    static const char *const inside[] = { "192.168.1.1", "127.0.0.1", "::ffff:10.0.0.1", "fd00::1" };
    struct opt_errors errors = { 0 };
    struct opt_conf *conf =
        opt_load_text(&agent_schema, "agent.ini", with_resolver, sizeof with_resolver - 1, &errors);
    struct world w = { .ended = false };
    struct outside *o = outside_start(*state, &events, &w);

    if (!conf)
        fail_msg("%s", errors.lines[0]);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        const struct lane_msg m = { .type = LANE_FETCH, .fetch = { NULL, "a.test", inside[i], 80, NONCE } };

        w.answered = false;
        outside_hear(o, conf, "evil", true, &m);
        loop_until(*state, &w.answered);
        if (!strstr(w.seen.text, "cannot look a.test up"))
            fail_msg("%s: %s", inside[i], w.seen.text);
    }
    outside_stop(o);
    loop_until(*state, &w.ended);
    opt_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test_setup_teardown(test_what_a_relay_publishes_has_to_be_public, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
