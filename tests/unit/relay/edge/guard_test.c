#include "relay/edge/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/json.h"

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage addr;

    assert_true(cidr_address(str_of(text), &addr));
    return addr;
}

static void lay(struct policy *policy, const char *text, struct arena *arena)
{
    json_t *object = json_read(text, strlen(text), NULL);

    policy_defaults(policy, 0);
    assert_int_equal(policy_lay(policy, object, arena, NULL), 0);
    json_decref(object);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *policy, *address;
        enum guard_says says;
    } rows[] = {
        { "{\"allow\": [\"192.0.2.0/24\"]}", "192.0.2.7", GUARD_LETS_IN },
        { "{\"allow\": [\"192.0.2.0/24\"]}", "::ffff:192.0.2.7", GUARD_LETS_IN },
        { "{\"allow\": [\"192.0.2.0/24\"]}", "192.0.3.7", GUARD_FORBIDS },
        { "{\"allow\": [\"192.0.2.0/24\"]}", "2001:db8::1", GUARD_FORBIDS },
        { "{\"allow\": [\"192.0.2.0/24\"], \"deny\": [\"192.0.2.7\"]}", "192.0.2.7", GUARD_FORBIDS },
        { "{\"allow\": [\"192.0.2.0/24\"], \"deny\": [\"192.0.2.7\"]}", "192.0.2.8", GUARD_LETS_IN },
        { "{\"deny\": [\"192.0.2.7\"]}", "192.0.2.7", GUARD_FORBIDS },
        { "{\"deny\": [\"192.0.2.7\"]}", "2001:db8::1", GUARD_LETS_IN },
        { "{\"deny\": [\"0.0.0.0/0\", \"::/0\"]}", "2001:db8::1", GUARD_FORBIDS },
        { "{\"rate\": \"1/s\"}", "192.0.2.7", GUARD_LETS_IN },
    };
    struct limiter rates;

    (void)state;
    limiter_init(&rates, 64);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage addr = address(rows[i].address);
        struct arena arena = { 0 };
        struct policy policy;
        unsigned retry_s;

        print_message("%s %s\n", rows[i].policy, rows[i].address);
        lay(&policy, rows[i].policy, &arena);
        assert_int_equal(
            guard_look(guard_new("a.test", &policy, &arena), &policy, &rates, &addr, 1000000000, &retry_s),
            rows[i].says);
        arena_free(&arena);
    }
    limiter_free(&rates);
}

static void test_who_is_one_source(void **state)
{
    static const struct {
        const char *site, *address;
        enum guard_says says;
    } rows[] = {
        { "a.test", "192.0.2.7", GUARD_LETS_IN },       { "a.test", "::ffff:192.0.2.7", GUARD_TOO_OFTEN },
        { "a.test", "192.0.2.8", GUARD_LETS_IN },       { "b.test", "192.0.2.7", GUARD_LETS_IN },
        { "a.test", "2001:db8::1", GUARD_LETS_IN },     { "a.test", "2001:db8::ffff:0:0:1", GUARD_TOO_OFTEN },
        { "a.test", "2001:db8:0:1::1", GUARD_LETS_IN },
    };
    struct arena arena = { 0 };
    struct policy policy;
    struct limiter rates;

    (void)state;
    limiter_init(&rates, 64);
    lay(&policy, "{\"rate\": \"1/m\"}", &arena);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage addr = address(rows[i].address);
        unsigned retry_s = 0;

        assert_int_equal(guard_look(guard_new(rows[i].site, &policy, &arena), &policy, &rates, &addr,
                                    1000000000, &retry_s),
                         rows[i].says);
        assert_int_equal(retry_s, rows[i].says == GUARD_TOO_OFTEN ? 60 : 0);
    }
    arena_free(&arena);
    limiter_free(&rates);
}

static void test_who_needs_none(void **state)
{
    struct arena arena = { 0 };
    struct policy policy;

    (void)state;
    lay(&policy, "{\"https\": \"both\", \"rate\": \"off\", \"allow\": []}", &arena);
    assert_null(guard_new("a.test", &policy, &arena));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_addresses),
                                        cmocka_unit_test(test_who_is_one_source),
                                        cmocka_unit_test(test_who_needs_none) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
