#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/buf.h"
#include "shared/json.h"
#include "shared/mem.h"
#include "shared/policy.h"

static json_t *object_of(const char *text)
{
    json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);

    if (!object)
        fail_msg("%s is no JSON", text);
    return object;
}

/* "set X-A=1 unset X-B routes /a /b". */
static void show(const struct policy *p, struct buf *out)
{
    for (size_t i = 0; i < p->set_headers_n; i++)
        buf_printf(out, "%s=%s ", p->set_headers[i].name, p->set_headers[i].value);
    for (size_t i = 0; i < p->unset_headers_n; i++)
        buf_printf(out, "-%s ", p->unset_headers[i]);
    for (size_t i = 0; i < p->routes_n; i++)
        buf_printf(out, "%s ", p->routes[i]);
}

static void test_the_defaults(void **state)
{
    struct policy p;

    (void)state;
    policy_defaults(&p, 10000);
    assert_int_equal(p.https, POLICY_REDIRECT);
    assert_int_equal(p.www, POLICY_WWW_AS_IS);
    assert_int_equal(p.share, POLICY_ALONE);
    assert_int_equal(p.tls, POLICY_TERMINATE);
    assert_int_equal(p.park_ms, 10000);
    assert_true(p.access_log);
    assert_null(p.error_page);
    assert_int_equal(p.max_body, 0);
    assert_int_equal(p.hsts_s, 0);
}

static void test_what_is_said(void **state)
{
    json_t *object =
        object_of("{\"https\": \"only\", \"www\": \"strip\", \"share\": \"standby\", \"priority\": 7,"
                  " \"tls\": \"passthrough\","
                  " \"hsts_s\": 60, \"max_body\": 5, \"park_ms\": 0, \"access_log\": false,"
                  " \"error_page\": \"<p>\\r\\n\\tü\", \"later\": {}}");
    struct arena arena = { 0 };
    struct policy p;

    (void)state;
    policy_defaults(&p, 10000);
    assert_int_equal(policy_lay(&p, object, &arena, NULL), 0);
    json_decref(object); /* nothing of it is needed any more */
    assert_int_equal(p.https, POLICY_ONLY);
    assert_int_equal(p.www, POLICY_WWW_STRIP);
    assert_int_equal(p.share, POLICY_STANDBY);
    assert_int_equal(p.tls, POLICY_PASSTHROUGH);
    assert_int_equal(p.priority, 7);
    assert_int_equal(p.hsts_s, 60);
    assert_int_equal(p.max_body, 5);
    assert_int_equal(p.park_ms, 0);
    assert_false(p.access_log);
    assert_string_equal(p.error_page, "<p>\r\n\tü");
    assert_int_equal(policy_lay(&p, NULL, &arena, NULL), 0);
    assert_int_equal(p.https, POLICY_ONLY);
    arena_free(&arena);
}

/* The agent's, then the relay's own. */
static void test_one_over_the_other(void **state)
{
    static const struct {
        const char *first, *second, *both;
    } rows[] = {
        { "{\"set_header\": {\"X-A\": \"1\"}}", "{}", "X-A=1 " },
        { "{\"set_header\": {\"X-A\": \"1\"}}", "{\"set_header\": {\"X-B\": \"2\"}}", "X-A=1 X-B=2 " },
        { "{\"set_header\": {\"X-A\": \"1\"}}", "{\"set_header\": {\"x-a\": \"2\"}}", "x-a=2 " },
        { "{\"set_header\": {\"X-A\": \"1\"}}", "{\"unset_header\": [\"x-a\"]}", "-x-a " },
        { "{\"unset_header\": [\"X-A\"]}", "{\"set_header\": {\"x-a\": \"2\"}}", "x-a=2 " },
        { "{\"unset_header\": [\"X-A\"]}", "{\"unset_header\": [\"X-B\"]}", "-X-A -X-B " },
        { "{\"unset_header\": [\"X-A\"]}", "{\"unset_header\": [\"X-A\"]}", "-X-A " },
        { "{\"routes\": [\"/a\", \"/longer\"]}", "{}", "/longer /a " },
        { "{\"routes\": [\"/a\"]}", "{\"routes\": [\"/b\"]}", "/b " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *first = object_of(rows[i].first), *second = object_of(rows[i].second);
        struct arena arena = { 0 }, other = { 0 };
        struct policy p, copy;
        struct buf out = { 0 };

        policy_defaults(&p, 0);
        assert_int_equal(policy_lay(&p, first, &arena, NULL), 0);
        assert_int_equal(policy_lay(&p, second, &arena, NULL), 0);
        policy_copy(&copy, &p, &other);
        arena_free(&arena);
        show(&copy, &out);
        assert_string_equal(buf_text(&out), rows[i].both);
        buf_free(&out);
        arena_free(&other);
        json_decref(first);
        json_decref(second);
    }
}

static void test_who_is_let_in(void **state)
{
    json_t *
        agents = object_of(
           "{\"allow\": [\"192.0.2.0/24\", \"::1\"], \"deny\": [\"192.0.2.7\"], \"rate\":"
           " \"60/m\", \"basic_auth_file\": \"me:$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4\\n\"}"),
       *relays = object_of("{\"allow\": [\"198.51.100.0/24\"], \"rate\": \"2/s burst 9\"}"), *status, *wanted;
    struct arena arena = { 0 }, other = { 0 };
    struct policy p, copy;

    (void)state;
    policy_defaults(&p, 0);
    status = policy_guard_status(&p);
    assert_true(json_is_null(status));
    json_decref(status);
    assert_int_equal(policy_lay(&p, agents, &arena, NULL), 0);
    assert_int_equal(p.allow.n, 2);
    assert_int_equal(p.rate.burst, 60);
    assert_int_equal(policy_lay(&p, relays, &arena, NULL), 0); /* whose own word wins, each by itself */
    policy_copy(&copy, &p, &other);
    arena_free(&arena);
    status = policy_guard_status(&copy);
    wanted =
        object_of("{\"allow\": [\"198.51.100.0/24\"], \"deny\": [\"192.0.2.7\"], \"rate\": \"2/s burst 9\","
                  " \"password\": true}");
    assert_true(json_equal(status, wanted));
    assert_non_null(strstr(copy.passwords, "me:$5$"));
    arena_free(&other);
    json_decref(status);
    json_decref(wanted);
    json_decref(agents);
    json_decref(relays);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "[]", "is not an object" },
        { "{\"https\": \"off\"}", "\"https\" is off, which is none of its words" },
        { "{\"https\": 1}", "\"https\"" },
        { "{\"priority\": 1001}", "\"priority\"" },
        { "{\"hsts_s\": -1}", "\"hsts_s\"" },
        { "{\"max_body\": 1.5}", "\"max_body\"" },
        { "{\"park_ms\": 300001}", "\"park_ms\"" },
        { "{\"access_log\": \"on\"}", "\"access_log\"" },
        { "{\"error_page\": \"\"}", "\"error_page\"" },
        { "{\"allow\": \"192.0.2.1\"}", "\"allow\"" },
        { "{\"deny\": [1]}", "\"deny\" holds what is no text" },
        { "{\"deny\": [\"x\"]}", "\"deny\"" },
        { "{\"rate\": 10}", "\"rate\"" },
        { "{\"rate\": \"10\"}", "\"rate\": not a rate" },
        { "{\"basic_auth_file\": \"\"}", "\"basic_auth_file\": it names nobody" },
        { "{\"basic_auth_file\": \"me:secret\"}", "\"basic_auth_file\": line 1 has a password as it is" },
        { "{\"error_page\": \"a\\u0001\"}", "is not UTF-8 text" },
        { "{\"set_header\": [\"X-A\"]}", "\"set_header\" is not an object" },
        { "{\"set_header\": {\"X-A\": 1}}", "the value of X-A is no text" },
        { "{\"set_header\": {\"\": \"1\"}}", "is not the name of a header" },
        { "{\"set_header\": {\"X:\": \"1\"}}", "X: is not the name of a header" },
        { "{\"set_header\": {\"X\": \"a\\nb\"}}", "cannot be printed" },
        { "{\"set_header\": {\"X\": \"a\\u007f\"}}", "cannot be printed" },
        { "{\"set_header\": {\"Connection\": \"x\"}}", "Connection cannot be changed" },
        { "{\"unset_header\": [\"TRANSFER-ENCODING\"]}", "TRANSFER-ENCODING cannot be changed" },
        { "{\"unset_header\": [1]}", "holds what is no text" },
        { "{\"unset_header\": {}}", "\"unset_header\"" },
        { "{\"set_header\": {\"X-A\": \"1\", \"x-a\": \"2\"}}", "twice, in another case" },
        { "{\"routes\": [\"/a/..\"]}", "write it without //" },
        { "{\"routes\": [\"/.\"]}", "write it without //" },
        { "{\"routes\": [\"a\"]}", "a is not a path" },
        { "{\"routes\": [\"\"]}", "is not a path" },
        { "{\"routes\": [\"/a b\"]}", "/a b is not a path" },
        { "{\"routes\": [\"/%61\"]}", "is not a path" },
        { "{\"routes\": [\"/a?b\"]}", "is not a path" },
        { "{\"routes\": [\"/a//b\"]}", "write it without //" },
        { "{\"routes\": [\"/a/../b\"]}", "write it without //" },
        { "{\"routes\": [\"/a\", \"/b\", \"/a\"]}", "holds /a twice" },
        { "{\"routes\": {}}", "\"routes\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *object = object_of(rows[i].text);
        struct arena arena = { 0 };
        struct policy p;
        struct err why = { 0 };

        policy_defaults(&p, 0);
        assert_int_equal(policy_lay(&p, object, &arena, &why), -1);
        if (!strstr(why.text, rows[i].why))
            fail_msg("%s\n  said %s, not %s", rows[i].text, why.text, rows[i].why);
        arena_free(&arena);
        json_decref(object);
    }
}

static json_t *many(const char *key, const char *form, int n)
{
    json_t *list = json_array(), *object = json_object();

    for (int i = 0; i < n; i++) {
        char *text = mem_format("%s%d", form, i);

        json_array_append_new(list, json_string(text));
        free(text);
    }
    json_object_set_new(object, key, list);
    return object;
}

static void test_how_much(void **state)
{
    static const struct {
        const char *key, *form;
        int most;
    } rows[] = { { "routes", "/", POLICY_ROUTES }, { "unset_header", "X-", POLICY_HEADERS } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int more = 0; more <= 1; more++) {
            json_t *object = many(rows[i].key, rows[i].form, rows[i].most + more);
            struct arena arena = { 0 };
            struct policy p;

            policy_defaults(&p, 0);
            assert_int_equal(policy_lay(&p, object, &arena, NULL), more ? -1 : 0);
            arena_free(&arena);
            json_decref(object);
        }
}

static void test_who_speaks_http2(void **state)
{
    static const struct {
        const char *text, *route;
        enum policy_http2 http2;
    } rows[] = {
        { "{}", "", POLICY_HTTP2_NEVER },
        { "{\"http2\": {\"\": \"h2c\"}}", "", POLICY_HTTP2_ALONE },
        { "{\"http2\": {\"\": \"h2c\"}}", "/a", POLICY_HTTP2_NEVER },
        { "{\"http2\": {\"/a\": \"h2\"}}", "/a", POLICY_HTTP2_ASKED },
        { "{\"http2\": {\"\": \"h3\"}}", "", POLICY_HTTP2_NEVER },
        { "{\"http2\": {\"\": 2}}", "", POLICY_HTTP2_NEVER },
        { "{\"http2\": []}", "", POLICY_HTTP2_NEVER },
        { "{\"http2\": \"h2c\"}", "", POLICY_HTTP2_NEVER },
    };

    (void)state;
    assert_int_equal(policy_http2(NULL, ""), POLICY_HTTP2_NEVER);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *object = json_loads(rows[i].text, 0, NULL);

        assert_non_null(object);
        assert_int_equal(policy_http2(object, rows[i].route), rows[i].http2);
        json_decref(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_defaults),       cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_one_over_the_other), cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_what_is_refused),    cmocka_unit_test(test_how_much),
        cmocka_unit_test(test_who_speaks_http2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
