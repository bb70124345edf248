#include "shared/port_policy.h"

#include "shared/cidr_json.h"
#include "shared/json.h"
#include "shared/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_what_is_read(void **state)
{
    static const struct {
        const char *json, *again; /* NULL: what it is written as; otherwise a part of the reason */
        const char *why;
    } rows[] = {
        { "{\"listen\": \":2222\"}", "{\"listen\":\":2222\"}", NULL },
        { "{\"listen\": \"127.0.0.1:1\", \"allow\": [], \"deny\": []}", "{\"listen\":\"127.0.0.1:1\"}",
          NULL },
        { "{\"listen\": \"[2001:db8::1]:65535\", \"later\": 7}", "{\"listen\":\"[2001:db8::1]:65535\"}",
          NULL },
        { "{\"listen\": \":1\", \"allow\": [\"192.0.2.0/24\", \"2001:db8::/32\"], \"deny\": [\"192.0.2.7\"]}",
          "{\"listen\":\":1\",\"allow\":[\"192.0.2.0/24\",\"2001:db8::/32\"],\"deny\":[\"192.0.2.7\"]}",
          NULL },
        { "{}", NULL, "listen" },
        { "{\"listen\": 2222}", NULL, "listen" },
        { "{\"listen\": \"2222\"}", NULL, "listen" },
        { "{\"listen\": \":0\"}", NULL, "listen" },
        { "{\"listen\": \":65536\"}", NULL, "listen" },
        { "{\"listen\": \"localhost:1\"}", NULL, "listen" },
        { "{\"listen\": \"\"}", NULL, "listen" },
        { "{\"listen\": \":1\", \"allow\": {}}", NULL, "allow" },
        { "{\"listen\": \":1\", \"allow\": [1]}", NULL, "allow" },
        { "{\"listen\": \":1\", \"allow\": [\"192.0.2.0/33\"]}", NULL, "allow" },
        { "{\"listen\": \":1\", \"deny\": [\"\"]}", NULL, "deny" },
        { "{\"listen\": \":1\", \"deny\": \"192.0.2.7\"}", NULL, "deny" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *object = json_read(rows[i].json, strlen(rows[i].json), NULL), *again;
        struct port_policy policy;
        struct arena arena = { 0 };
        struct err why = { 0 };
        char *text;

        assert_non_null(object);
        if (port_policy_read(&policy, object, &arena, &why) != 0) {
            if (!rows[i].why || !strstr(why.text, rows[i].why))
                fail_msg("%s: %s", rows[i].json, why.text);
        } else {
            assert_null(rows[i].why);
            again = port_policy_write(&policy);
            text = json_dumps(again, JSON_COMPACT);
            assert_string_equal(text, rows[i].again);
            free(text);
            json_decref(again);
        }
        arena_free(&arena);
        json_decref(object);
    }
}

static void test_what_is_no_object(void **state)
{
    struct port_policy policy;
    struct arena arena = { 0 };
    struct err why = { 0 };
    json_t *list = json_array();

    (void)state;
    assert_int_equal(port_policy_read(&policy, NULL, &arena, &why), -1);
    assert_int_equal(port_policy_read(&policy, list, &arena, &why), -1);
    json_decref(list);
}

static void test_too_many_networks(void **state)
{
    json_t *list = json_array(), *object = json_pack("{s:s, s:o}", "listen", ":1", "allow", list);
    struct port_policy policy;
    struct arena arena = { 0 };
    struct err why = { 0 };

    (void)state;
    for (int i = 0; i < CIDR_JSON_MAX; i++)
        json_array_append_new(list, json_string("2001:db8:1111:2222:3333:4444:5555:6666"));
    assert_int_equal(port_policy_read(&policy, object, &arena, &why), 0);
    assert_int_equal(policy.allow.n, CIDR_JSON_MAX);
    assert_true(2 * json_dumpb(object, NULL, 0, JSON_COMPACT) <
                60000); /* both lists fit into a claim's line */
    json_array_append_new(list, json_string("192.0.2.7"));
    assert_int_equal(port_policy_read(&policy, object, &arena, &why), -1);
    arena_free(&arena);
    json_decref(object);
}

static void test_collisions(void **state)
{
    static const struct {
        const char *a, *b;
        bool collide;
    } rows[] = {
        { ":1", ":1", true },
        { ":1", ":2", false },
        { ":1", "127.0.0.1:1", true },
        { "127.0.0.1:1", ":1", true },
        { "127.0.0.1:1", "127.0.0.1:1", true },
        { "127.0.0.1:1", "127.0.0.1:2", false },
        { "127.0.0.1:1", "127.0.0.2:1", false },
        { "127.0.0.1:1", "[::1]:1", false },
        { "[::1]:1", "[::1]:1", true },
        { "[::1]:1", "[::2]:1", false },
        { "[::1]:1", ":1", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct opt_address a, b;

        assert_int_equal(value_address(str_of(rows[i].a), false, &a, NULL), 0);
        assert_int_equal(value_address(str_of(rows[i].b), false, &b, NULL), 0);
        if (port_policy_collide(&a, &b) != rows[i].collide)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_too_many_networks),
        cmocka_unit_test(test_collisions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
