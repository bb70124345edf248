/* Which TXT records a relay gets, and which it does not: each restriction by itself. */
#include "agent/certs/txt_rule.h"

#include "agent/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define VALUE "gfj9Xq-Rg85nM_0123456789012345678901234567A"

static const char text[] =
    "[relay ams1]\nhost = x\nhost_key = ssh-ed25519 SHA256:0000000000000000000000000000000000000000000\n"
    "[domain *.elsewhere.test]\nrelays = ams1\nservice = http://x\ndns = cf\n"
    "[provider cf]\ntype = cloudflare\ntoken_file = t\n"
    "[domain wild.test]\naliases = *.wild.test\nservice = http://x\ndns = cf\n"
    "[domain *.off.test]\nservice = http://x\ndns = cf\ntxt = off\n"
    "[domain plain.test]\nservice = http://x\ndns = cf\n"
    "[domain on.test]\naliases = www.on.test\nservice = http://x\ndns = cf\ntxt = on\n"
    "[domain *.manual.test]\nservice = http://x\ndns = manual\n"
    "[domain *.none.test]\nservice = http://x\n"
    "[domain *.direct.test]\nmode = direct\ndns = cf\n";

static const struct {
    const char *name, *value, *why; /* why: NULL when it is allowed, by cf */
} rows[] = {
    { "_acme-challenge.wild.test", VALUE, NULL },
    { "_acme-challenge.on.test", VALUE, NULL },
    { "_acme-challenge.www.on.test", VALUE, NULL },
    { "_acme-challenge.plain.test", VALUE, "claims no *.plain.test" },
    { "_acme-challenge.off.test", VALUE, "claims no *.off.test" },
    { "_acme-challenge.www.wild.test", VALUE, "claims no *.www.wild.test" },
    { "_acme-challenge.other.test", VALUE, "claims no *.other.test" },
    { "_acme-challenge.elsewhere.test", VALUE, "claims no *.elsewhere.test" }, /* at another relay it does */
    { "_acme-challenge.test", VALUE, "sets nothing else" },
    { "_acme-challenge.direct.test", VALUE, "claims no *.direct.test" }, /* it is for DNS alone */
    { "_acme-challenge.manual.test", VALUE, "has no [provider] in dns" },
    { "_acme-challenge.none.test", VALUE, "has no [provider] in dns" },
    { "wild.test", VALUE, "sets nothing else" },
    { "_dmarc.wild.test", VALUE, "sets nothing else" },
    { "_acme-challenge.", VALUE, "sets nothing else" },
    { "_acme-challenge.*.wild.test", VALUE, "sets nothing else" },
    { "_acme-challenge.WILD.test", VALUE, "sets nothing else" },
    { "_acme-challenge.wild.test.", VALUE, "sets nothing else" },
    { "_acme-challenge._acme-challenge.wild.test", VALUE, "sets nothing else" },
    { "x._acme-challenge.wild.test", VALUE, "sets nothing else" },
    { "_acme-challenge.wild.test", "", "43 characters" },
    { "_acme-challenge.wild.test", "v=spf1 -all", "43 characters" },
    { "_acme-challenge.wild.test", VALUE "B", "43 characters" },
    { "_acme-challenge.wild.test", "gfj9Xq-Rg85nM_012345678901234567890123456=A", "43 characters" },
    { "_acme-challenge.wild.test", "gfj9Xq-Rg85nM+0123456789012345678901234567A", "43 characters" },
    { "_acme-challenge.wild.test", "gfj9Xq-Rg85nM_01234567890123456789012345 7A", "43 characters" },
};

static void test_rows(void **state)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&agent_schema, "agent.ini", text, sizeof text - 1, &errors);

    (void)state;
    if (!conf)
        fail_msg("%s", errors.lines[0]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *provider = "";
        struct err why = { 0 };
        int rc = txt_rule(conf, "fra1", rows[i].name, rows[i].value, &provider, &why);

        if (rc != (rows[i].why ? -1 : 0) || (rows[i].why && !strstr(why.text, rows[i].why)))
            fail_msg("%s = %s: %d, %s", rows[i].name, rows[i].value, rc, why.text);
        if (!rows[i].why)
            assert_string_equal(provider, "cf");
    }
    opt_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
