/* Where a relay may have this house look, and where not. */
#include "agent/certs/outside.h"

#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
