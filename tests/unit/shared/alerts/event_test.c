/* What an alert says, in each of its forms, whatever a peer has put into it. */
#include "shared/alerts/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/json.h"

static const struct event_source source = { "relay", "fra1" };

static const char *member(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static struct event example(enum event_kind kind, const char *subject, enum event_state state,
                            const char *why)
{
    struct event event;

    event_make(&event, kind, subject, state, why, "do this", 184);
    event.id = 7;
    event.at_s = 1795836265;
    event.since_s = 1795836081;
    return event;
}

static void test_its_words(void **state)
{
    static const struct {
        enum event_kind kind;
        const char *subject;
        enum event_state state;
        const char *why, *word, *text;
    } rows[] = {
        { EVENT_AGENT, "pi", EVENT_BAD, "no line", "down", "agent pi is down: no line" },
        { EVENT_AGENT, "pi", EVENT_GOOD, "", "up", "agent pi is up again, after 3m 4s" },
        { EVENT_AGENT, "pi", EVENT_GONE, "", "gone",
          "agent pi is not looked after here any more, after 3m 4s" },
        { EVENT_CERTIFICATE, "a.test", EVENT_BAD, "CAA", "trouble",
          "the certificate of a.test is in trouble: CAA" },
        { EVENT_CERTIFICATE, "a.test", EVENT_GOOD, "", "well",
          "the certificate of a.test is well again, after 3m 4s" },
        { EVENT_DNS, "a.test A", EVENT_BAD, "x", "trouble", "the DNS record a.test A is in trouble: x" },
        { EVENT_SERVICE, "a.test/x", EVENT_BAD, "x", "down", "the service of a.test/x is down: x" },
        { EVENT_RELAY, "fra1", EVENT_BAD, "x", "down", "relay fra1 is down: x" },
        { EVENT_TEST, "pi", EVENT_BAD, "asked for", "test", "this is a test: asked for" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct event event = example(rows[i].kind, rows[i].subject, rows[i].state, rows[i].why);
        json_t *json = event_json(&event, &source);

        assert_string_equal(member(json, "state"), rows[i].word);
        assert_string_equal(member(json, "text"), rows[i].text);
        assert_string_equal(member(json, "kind"), event_kind_text(rows[i].kind));
        assert_string_equal(member(json, "at"), "2026-11-28T03:24:25Z");
        assert_string_equal(member(json, "role"), "relay");
        assert_string_equal(member(json, "name"), "fra1");
        assert_int_equal(json_integer_value(json_object_get(json, "id")), 7);
        json_decref(json);
    }
}

static void test_how_long_it_lasted(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } rows[] = { { 0, "after 0s" },
                 { 59, "after 59s" },
                 { 3600, "after 1h 0m" },
                 { 90061, "after 1d 1h" },
                 { -1, "is up again" } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct event event;
        size_t n;

        event_make(&event, EVENT_AGENT, "pi", EVENT_GOOD, "", "", rows[i].s);
        n = strlen(event.text);
        assert_true(n > strlen(rows[i].text));
        assert_string_equal(event.text + n - strlen(rows[i].text), rows[i].text);
    }
}

static void assert_showable(const char *text)
{
    for (; *text; text++)
        assert_true((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void test_control_bytes(void **state)
{
    struct event event =
        example(EVENT_AGENT, "p\r\ni", EVENT_BAD, "a\x1b[31m\r\nTags: skull\x7f\xff\xc2\x9b\xfe");
    struct event_environment environment;
    struct event_message message;
    json_t *json = event_json(&event, NULL);
    char *text = json_dumps(json, 0);

    (void)state;
    event_ntfy(&message, &event, &source);
    event_environment(&environment, &event, &source);
    assert_showable(event.text);
    assert_showable(message.title);
    assert_showable(message.tags);
    assert_non_null(strstr(event.text, "\\x1b[31m\\x0d\\x0aTags: skull\\x7f\\xff"));
    assert_string_equal(message.title, "fra1: agent p\\x0d\\x0ai is down");
    assert_int_equal(buf_count(&message.body, '\n'), 1); /* in front of the remedy */
    assert_int_equal(buf_count(&message.body, '\r'), 0);
    for (size_t i = 0; i < EVENT_VARIABLES; i++)
        assert_showable(environment.variables[i].value);
    assert_showable(text);
    buf_free(&message.body);
    json_decref(json);
    free(text);
}

static void test_ntfy(void **state)
{
    static const struct {
        enum event_kind kind;
        enum event_state state;
        const char *title, *priority, *tags;
    } rows[] = {
        { EVENT_AGENT, EVENT_BAD, "fra1: agent pi is down", "high", "warning,agent" },
        { EVENT_AGENT, EVENT_GOOD, "fra1: agent pi is up again", "default", "white_check_mark,agent" },
        { EVENT_DNS, EVENT_GONE, "fra1: the DNS record pi is not looked after here any more", "default",
          "wastebasket,dns" },
        { EVENT_TEST, EVENT_BAD, "fra1: this is a test", "default", "bell,test" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct event event = example(rows[i].kind, "pi", rows[i].state, "why \xc3\xbc");
        struct event_message message;

        event_ntfy(&message, &event, &source);
        assert_string_equal(message.title, rows[i].title);
        assert_string_equal(message.priority, rows[i].priority);
        assert_string_equal(message.tags, rows[i].tags);
        assert_non_null(strstr(buf_text(&message.body), "\ndo this"));
        assert_true(rows[i].kind == EVENT_DNS || strstr(buf_text(&message.body), "\xc3\xbc"));
        buf_free(&message.body);
    }
    {
        struct event event = example(EVENT_AGENT,
                                     "b\xc3\xbc"
                                     "cher",
                                     EVENT_BAD, "");
        struct event_message message;

        event_ntfy(&message, &event, &source);
        assert_string_equal(message.title, "fra1: agent b?cher is down"); /* a field is ASCII */
        buf_free(&message.body);
    }
}

static void test_what_is_long_is_cut_between_characters(void **state)
{
    char *why = calloc(1, 4001);
    struct event event;

    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        memset(why, 'x', (size_t)shift);
        for (int i = 0; i < 1300; i++)
            memcpy(why + shift + 3 * i, "€", 3);
        event_make(&event, EVENT_AGENT, "pi", EVENT_BAD, why, why, -1);
        assert_true(strlen(event.text) < sizeof event.text);
        assert_string_equal(event.text + strlen(event.text) - 6, "€…");
        assert_string_equal(event.remedy + strlen(event.remedy) - 6, "€…");
    }
    free(why);
}

static void test_out_of_json(void **state)
{
    struct event event = example(EVENT_DNS, "a.test AAAA", EVENT_GONE, "a\n\"b\" \\x"), again;
    json_t *json = event_json(&event, NULL);
    static const char *const members[] = {
        "at", "id", "kind", "subject", "state", "text", "remedy", "since"
    };

    (void)state;
    assert_true(event_of_json(&again, json));
    assert_memory_equal(&event, &again, sizeof event);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *less = json_copy(json);

        json_object_del(less, members[i]);
        assert_false(event_of_json(&again, less));
        json_object_set_new(less, members[i], json_string("down\x01"));
        assert_true(!event_of_json(&again, less) || strcmp(members[i], "subject") == 0 ||
                    strcmp(members[i], "text") == 0 || strcmp(members[i], "remedy") == 0);
        json_decref(less);
    }
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_words),     cmocka_unit_test(test_how_long_it_lasted),
        cmocka_unit_test(test_control_bytes), cmocka_unit_test(test_ntfy),
        cmocka_unit_test(test_out_of_json),   cmocka_unit_test(test_what_is_long_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
