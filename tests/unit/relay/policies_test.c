#include "relay/policies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "relay/edge/guard.h"
#include "shared/mem.h"
#include "tests/unit/shared/address_of.h"

static bool lets_in(const struct policy *policy, const char *address)
{
    const struct sockaddr_storage addr = address_of(address);
    struct arena texts = { 0 };
    const struct snap_guard *guard = guard_new("a.test", policy, &texts);
    struct limiter rates;
    unsigned retry_s;
    bool in;

    limiter_init(&rates, 1);
    in = !guard || guard_look(guard, policy, &rates, &addr, 1, &retry_s) == GUARD_LETS_IN;
    limiter_free(&rates);
    arena_free(&texts);
    return in;
}

/* What an agent asks for, and a section of the relay's own; and whether 192.0.2.7 is let in then. */
static void test_who_comes_in(void **state)
{
    static const struct {
        const char *agent, *section;
        bool understood, in;
    } rows[] = {
        { "{}", "{}", true, true },
        { "{\"allow\": [\"192.0.2.0/24\"]}", "{}", true, true },
        { "{\"deny\": [\"192.0.2.0/24\"]}", "{}", true, false },
        { "{\"deny\": [\"192.0.2.0/24\"]}", "{\"deny\": []}", true, true },
        { "{\"deny\": [\"house\"]}", "{}", false, false },
        { "{\"basic_auth_file\": 7}", "{}", false, false },
        { "{\"allow\": [\"192.0.2.0/24\"], \"routes\": 7}", "{}", false, false },
        { "{\"https\": \"perhaps\"}", "{\"allow\": [\"192.0.2.0/24\"]}", false, false },
        { "{}", "{\"rate\": \"often\"}", false, false },
        { "[]", "{}", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *asked = json_loads(rows[i].agent, 0, NULL);
        struct policies p = { .sections = json_object() };
        const struct lanes_site site = { .name = "a.test", .policy = asked };
        struct arena texts = { 0 };
        struct policy policy;
        const char *trouble;

        json_object_set_new(p.sections, "a.test", json_loads(rows[i].section, 0, NULL));
        trouble = policies_for(&p, &site, &policy, &texts);
        if (!trouble != rows[i].understood || lets_in(&policy, "192.0.2.7") != rows[i].in)
            fail_msg("%s, %s: %s", rows[i].agent, rows[i].section, trouble ? trouble : "is understood");
        if (trouble) {
            assert_non_null(strstr(trouble, "all visitors are refused"));
            assert_false(lets_in(&policy, "2001:db8::7"));
            assert_false(lets_in(&policy, "::ffff:192.0.2.7"));
            assert_false(lets_in(&policy, "127.0.0.1"));
            assert_false(lets_in(&policy, "of another kind"));
        }
        arena_free(&texts);
        policies_free(&p);
        json_decref(asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_who_comes_in) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
