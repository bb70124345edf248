#include "shared/json.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_read_is_strict(void **state)
{
    static const struct {
        const char *text, *why; /* NULL: well */
    } rows[] = {
        { "{}", NULL },
        { " {\"a\": [1, {\"b\": null}]}\r\n", NULL },
        { "{\"a\":\"\xc3\xa4\\u00e4\"}", NULL },
        { "", "not JSON: " },
        { "   ", "not JSON: " },
        { "[]", "not a JSON object; it must begin with {" },
        { "null", "not JSON: " },
        { "\"text\"", "not JSON: " },
        { "{\"a\":1", "not JSON: " },
        { "{\"a\":1}}", "not JSON: " },
        { "{\"a\":1} {\"b\":2}", "not JSON: " },
        { "{\"a\":1}x", "not JSON: " },
        { "{\"a\":1,\"a\":1}", "not JSON: duplicate object key" },
        { "{\"x\":{\"a\":1,\"a\":2}}", "not JSON: duplicate object key" },
        { "{\"a\":1,}", "not JSON: " },
        { "{'a':1}", "not JSON: " },
        { "{\"a\":\"\\u0000\"}", "not JSON: " },
        { "{\"a\":\"\xff\"}", "not JSON: " },
        { "{\"a\":\"\\ud800\"}", "not JSON: " },
        { "{\"a\":99999999999999999999}", "not JSON: " },
        { "{\"a\":1e999}", "not JSON: " },
        { "{\"a\":NaN}", "not JSON: " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };
        json_t *value = json_read(rows[i].text, strlen(rows[i].text), &e);

        if (!value != (rows[i].why != NULL) || (rows[i].why && !strstr(e.text, rows[i].why)))
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_int_equal(e.code, rows[i].why ? ERR_INPUT : ERR_NONE);
        json_decref(value);
    }
    assert_null(json_read("{}\0", 3, NULL)); /* a NUL is something behind it, too */
}

static void test_deep_nesting_is_refused(void **state)
{
    struct buf deep = { 0 };
    struct err e = { 0 };

    (void)state;
    for (int i = 0; i < 200000; i++)
        buf_add_text(&deep, i % 2 ? "[" : "{\"a\":");
    assert_null(json_read(buf_bytes(&deep), deep.len, &e));
    assert_int_equal(e.code, ERR_INPUT);
    buf_free(&deep);
}

static json_t *sample(void)
{
    return json_pack("{s:s, s:s, s:o, s:i, s:I, s:f, s:b, s:b, s:n, s:[i,i,i]}", "text", "four", "empty", "",
                     "nul", json_stringn("a\0b", 3), "seven", 7, "low", (json_int_t)INT64_MIN, "real", 7.0,
                     "on", 1, "off", 0, "null", "list", 1, 2, 3);
}

static void test_getters(void **state)
{
    static const struct {
        char getter;
        const char *key;
        int64_t min, max;
        const char *why; /* NULL: well */
    } rows[] = {
        { 't', "text", 0, 4, NULL },
        { 't', "text", 0, 3, "member \"text\" is longer than 3 bytes" },
        { 't', "empty", 0, 0, NULL },
        { 't', "nul", 0, 9, "member \"nul\" holds a NUL" },
        { 't', "gone", 0, 9, "member \"gone\" is missing" },
        { 't', "seven", 0, 9, "member \"seven\" is not text" },
        { 't', "null", 0, 9, "member \"null\" is not text" },
        { 'n', "seven", 7, 7, NULL },
        { 'n', "seven", 8, 9, "member \"seven\" is not a whole number from 8 to 9" },
        { 'n', "seven", -5, 6, "member \"seven\" is not a whole number from -5 to 6" },
        { 'n', "low", INT64_MIN, 0, NULL },
        { 'n', "real", 0, 9, "member \"real\" is not a whole number from 0 to 9" },
        { 'n', "text", 0, 9, "member \"text\" is not a whole number from 0 to 9" },
        { 'n', "off", 0, 9, "member \"off\" is not a whole number from 0 to 9" },
        { 'n', "gone", 0, 9, "member \"gone\" is missing" },
        { 'f', "on", 0, 0, NULL },
        { 'f', "off", 0, 0, NULL },
        { 'f', "seven", 0, 0, "member \"seven\" is neither true nor false" },
        { 'f', "null", 0, 0, "member \"null\" is neither true nor false" },
        { 'f', "gone", 0, 0, "member \"gone\" is missing" },
        { 'l', "list", 0, 3, NULL },
        { 'l', "list", 0, 2, "member \"list\" is not a list of at most 2 items" },
        { 'l', "text", 0, 9, "member \"text\" is not a list of at most 9 items" },
        { 'l', "gone", 0, 9, "member \"gone\" is missing" },
    };
    json_t *object = sample();
    const json_t *list;
    const char *text;
    int64_t n;
    bool flag;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };
        const char *key = rows[i].key;
        size_t max = (size_t)rows[i].max;
        int rc = rows[i].getter == 't'   ? json_get_text(object, key, max, &text, &e)
                 : rows[i].getter == 'n' ? json_get_int(object, key, rows[i].min, rows[i].max, &n, &e)
                 : rows[i].getter == 'f' ? json_get_flag(object, key, &flag, &e)
                                         : json_get_list(object, key, max, &list, &e);

        assert_int_equal(rc, rows[i].why ? -1 : 0);
        assert_string_equal(e.text, rows[i].why ? rows[i].why : "");
        assert_int_equal(e.code, rows[i].why ? ERR_INPUT : ERR_NONE);
    }
    json_decref(object);
}

static void test_what_getters_give(void **state)
{
    json_t *object = sample();
    const json_t *list = NULL;
    const char *text = NULL;
    int64_t n = 0;
    bool on = false, off = true;

    (void)state;
    assert_int_equal(json_get_text(object, "text", 9, &text, NULL), 0);
    assert_string_equal(text, "four");
    assert_int_equal(json_get_int(object, "low", INT64_MIN, INT64_MAX, &n, NULL), 0);
    assert_true(n == INT64_MIN);
    assert_int_equal(json_get_flag(object, "on", &on, NULL) | json_get_flag(object, "off", &off, NULL), 0);
    assert_true(on && !off);
    assert_int_equal(json_get_list(object, "list", 9, &list, NULL), 0);
    assert_int_equal(json_array_size(list), 3);
    json_decref(object);
}

static void test_unknown_members_are_refused(void **state)
{
    static const char *const names[] = { "a", "b", NULL }, *const none[] = { NULL };
    json_t *object = json_pack("{s:i, s:i}", "a", 1, "bb", 2), *fits = json_pack("{s:i}", "b", 1),
           *empty = json_object();
    struct err e = { 0 };

    (void)state;
    assert_int_equal(json_only(object, names, &e), -1);
    assert_string_equal(e.text, "member \"bb\" is unknown here");
    assert_int_equal(json_only(fits, names, &e), 0);
    assert_int_equal(json_only(fits, none, &e), -1);
    assert_int_equal(json_only(empty, none, &e), 0);
    json_decref(object);
    json_decref(fits);
    json_decref(empty);
}

static void test_writes_one_line(void **state)
{
    json_t *object = json_pack("{s:s, s:[i, b]}", "text", "two\nlines \"x\"", "list", 1, 0);
    struct buf out = { 0 };

    (void)state;
    buf_add_text(&out, "before ");
    json_write(&out, object);
    assert_string_equal(buf_text(&out), "before {\"text\":\"two\\nlines \\\"x\\\"\",\"list\":[1,false]}\n");
    buf_free(&out);
    json_decref(object);
}

static void test_text_that_may_hold_anything(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "", "" },
        { "plain", "plain" },
        { "\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80" },
        { "a\xff"
          "b",
          "a?b" },
        { "\xc3", "?" },
        { "\xe2\x82", "??" },
        { "\xed\xa0\x80", "???" },
        { "\x01\n", "\x01\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = json_any_text(rows[i].in);

        assert_string_equal(json_string_value(value), rows[i].out);
        json_decref(value);
    }
}

static void test_time(void **state)
{
    static const struct {
        time_t at;
        const char *text;
    } rows[] = { { 0, "1970-01-01T00:00:00Z" },
                 { 1795231465, "2026-11-21T03:24:25Z" },
                 { 951782400, "2000-02-29T00:00:00Z" } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = json_time(rows[i].at);

        assert_string_equal(json_string_value(value), rows[i].text);
        json_decref(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_is_strict),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_what_getters_give),
        cmocka_unit_test(test_unknown_members_are_refused),
        cmocka_unit_test(test_writes_one_line),
        cmocka_unit_test(test_text_that_may_hold_anything),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
