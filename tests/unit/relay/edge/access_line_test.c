#include "relay/edge/access_line.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WHEN 1792571757123 /* 2026-10-21T08:35:57.123Z */

static struct access_entry usual(void)
{
    return (struct access_entry){ .began_ms = WHEN,
                                  .status = 200,
                                  .service_ms = 12,
                                  .duration_ms = 34,
                                  .bytes_in = 5,
                                  .bytes_out = UINT64_MAX,
                                  .lane = 7,
                                  .complete = true,
                                  .request_id = "0123456789abcdef0123456789abcdef",
                                  .client = "2001:db8::7",
                                  .protocol = "HTTP/1.1",
                                  .tls = "TLSv1.3",
                                  .agent = "pi",
                                  .domain = "*.a.test",
                                  .method = STR("GET"),
                                  .target = STR("/a?b=c"),
                                  .host = STR("www.a.test:8443"),
                                  .referer = STR("https://b.test/"),
                                  .user_agent = STR("curl/8.0 (x; y)") };
}

static struct access_entry nothing_known(void)
{
    return (struct access_entry){ .status = 400,
                                  .service_ms = -1,
                                  .request_id = "",
                                  .client = "",
                                  .protocol = "",
                                  .tls = "",
                                  .agent = "",
                                  .domain = "" };
}

static void assert_line(enum access_format format, const struct access_entry *e, const char *expected)
{
    char line[ACCESS_LINE_BYTES];
    size_t n = access_line(line, format, e);

    assert_true(n > 0 && line[n - 1] == '\n');
    line[n - 1] = 0;
    assert_string_equal(line, expected);
}

static void test_lines_as_they_are(void **state)
{
    struct access_entry e = usual(), least = nothing_known();

    (void)state;
    assert_line(ACCESS_COMBINED, &e,
                "2001:db8::7 - - [21/Oct/2026:08:35:57 +0000] \"GET /a?b=c HTTP/1.1\" 200 "
                "18446744073709551615 \"https://b.test/\" \"curl/8.0 (x; y)\"");
    assert_line(
        ACCESS_JSON, &e,
        "{\"time\":\"2026-10-21T08:35:57.123Z\",\"request_id\":\"0123456789abcdef0123456789abcdef\","
        "\"client\":\"2001:db8::7\",\"host\":\"www.a.test:8443\",\"method\":\"GET\",\"path\":\"/a?b=c\","
        "\"protocol\":\"HTTP/1.1\",\"tls\":\"TLSv1.3\",\"status\":200,\"bytes_in\":5,"
        "\"bytes_out\":18446744073709551615,\"duration_ms\":34,\"service_ms\":12,\"lane\":7,\"agent\":\"pi\","
        "\"domain\":\"*.a.test\",\"referer\":\"https://b.test/\",\"user_agent\":\"curl/8.0 (x; y)\","
        "\"complete\":true}");
    assert_line(ACCESS_COMBINED, &least, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\"");
    assert_line(
        ACCESS_JSON, &least,
        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"request_id\":null,\"client\":null,\"host\":null,"
        "\"method\":null,\"path\":null,\"protocol\":null,\"tls\":null,\"status\":400,\"bytes_in\":0,"
        "\"bytes_out\":0,\"duration_ms\":0,\"service_ms\":null,\"lane\":null,\"agent\":null,\"domain\":null,"
        "\"referer\":null,\"user_agent\":null,\"complete\":false}");
    least.method = STR("GET");
    assert_line(ACCESS_COMBINED, &least, "- - - [01/Jan/1970:00:00:00 +0000] \"GET\" 400 0 \"-\" \"-\"");
    least.target = STR("/");
    assert_line(ACCESS_COMBINED, &least, "- - - [01/Jan/1970:00:00:00 +0000] \"GET /\" 400 0 \"-\" \"-\"");
}

/* What a text becomes between the last quotes of a line. */
static void assert_agent(struct str text, const char *combined, const char *json)
{
    struct access_entry e = nothing_known();
    char line[ACCESS_LINE_BYTES], expected[256];
    size_t n;

    e.user_agent = text;
    snprintf(expected, sizeof expected, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"%s\"",
             combined);
    assert_line(ACCESS_COMBINED, &e, expected);
    n = access_line(line, ACCESS_JSON, &e);
    line[n] = 0;
    snprintf(expected, sizeof expected, ",\"user_agent\":\"%s\",\"complete\":false}\n", json);
    assert_string_equal(strstr(line, ",\"user_agent\":"), expected);
}

static void test_what_is_escaped(void **state)
{
    (void)state;
    assert_agent(STR("\" 200 1 \"\n127.0.0.1 - -"), "\\x22 200 1 \\x22\\x0a127.0.0.1 - -",
                 "\\\" 200 1 \\\"\\u000a127.0.0.1 - -");
    assert_agent(STR("\\x22\\u0022"), "\\x5cx22\\x5cu0022", "\\\\x22\\\\u0022");
    assert_agent(STR("a\0b"), "a\\x00b", "a\\u0000b");
    assert_agent(STR("\t\r\x1b[31m\x7f"), "\\x09\\x0d\\x1b[31m\\x7f", "\\u0009\\u000d\\u001b[31m\\u007f");
    assert_agent(STR("Z\xc3\xbcrich \xf0\x9f\x90\x88"), "Z\\xc3\\xbcrich \\xf0\\x9f\\x90\\x88",
                 "Z\xc3\xbcrich \xf0\x9f\x90\x88");
    assert_agent(STR("\xc2\x9b"), "\\xc2\\x9b", "\\u009b");
    assert_agent(STR("Z\xfcrich"), "Z\\xfcrich", "Z\\ufffdrich");
    assert_agent(STR("\xed\xa0\x80|\xe2\x82"), "\\xed\\xa0\\x80|\\xe2\\x82",
                 "\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd");
}

/* Each byte by itself, in every text of the visitor's: one line, that is read back. */
static void test_every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, line[ACCESS_LINE_BYTES];
        struct str text = { &byte, 1 };
        struct access_entry e = nothing_known();
        json_t *read;
        size_t n;

        e.method = e.target = e.host = e.referer = e.user_agent = text;
        n = access_line(line, ACCESS_COMBINED, &e);
        for (size_t i = 0; i + 1 < n; i++)
            assert_true(line[i] >= ' ' && line[i] <= '~');
        n = access_line(line, ACCESS_JSON, &e);
        assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
        read = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
        assert_non_null(read);
        if (c < 128)
            assert_memory_equal(json_string_value(json_object_get(read, "path")), &byte, 1);
        json_decref(read);
    }
}

static void test_what_is_too_long_is_cut(void **state)
{
    static const struct {
        const char *name;
        char c;
        size_t combined, json; /* how much of a target is left, in bytes of the line */
    } rows[] = {
        { "as it is", 'a', ACCESS_TARGET_BYTES, ACCESS_TARGET_BYTES },
        { "escaped", '"', 4 * ((ACCESS_TARGET_BYTES - 3) / 4) + 3, 2 * ((ACCESS_TARGET_BYTES - 3) / 2) + 3 },
        { "control", 1, 4 * ((ACCESS_TARGET_BYTES - 3) / 4) + 3, 6 * ((ACCESS_TARGET_BYTES - 3) / 6) + 3 },
    };
    char *long_text = malloc(70000), line[ACCESS_LINE_BYTES];

    (void)state;
    assert_non_null(long_text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct access_entry e = nothing_known();
        size_t bare, n;

        memset(long_text, rows[i].c, 70000);
        e.method = STR("GET");
        bare = access_line(line, ACCESS_COMBINED, &e);
        e.target = (struct str){ long_text, 70000 };
        n = access_line(line, ACCESS_COMBINED, &e);
        assert_int_equal(n - bare - 1, rows[i].combined);
        assert_non_null(memmem(line, n, "...\" 400", 8));
        e.target.n = 0;
        bare = access_line(line, ACCESS_JSON, &e);
        e.target.n = 70000;
        n = access_line(line, ACCESS_JSON, &e);
        assert_int_equal(n - bare - 2 + 4, rows[i].json);
        assert_non_null(memmem(line, n, "...\",\"protocol\"", 15));
    }
    free(long_text);
}

static void test_what_just_fits_is_whole(void **state)
{
    char text[ACCESS_AGENT_BYTES + 1], line[ACCESS_LINE_BYTES];
    struct access_entry e = nothing_known();

    (void)state;
    memset(text, 'a', sizeof text);
    e.user_agent = (struct str){ text, ACCESS_AGENT_BYTES };
    assert_null(memmem(line, access_line(line, ACCESS_COMBINED, &e), "...", 3));
    e.user_agent.n++;
    assert_non_null(memmem(line, access_line(line, ACCESS_COMBINED, &e), "...", 3));
}

static void test_the_longest_line_fits(void **state)
{
    char *long_text = malloc(10001), line[ACCESS_LINE_BYTES];
    struct access_entry e = { .began_ms = INT64_MAX / 1000000,
                              .status = 599,
                              .service_ms = INT64_MAX,
                              .duration_ms = UINT64_MAX,
                              .bytes_in = UINT64_MAX,
                              .bytes_out = UINT64_MAX,
                              .lane = UINT64_MAX };

    (void)state;
    assert_non_null(long_text);
    memset(long_text, 'a', 10000);
    long_text[10000] = 0;
    e.request_id = e.client = e.protocol = e.tls = e.agent = e.domain = long_text;
    e.method = e.target = e.host = e.referer = e.user_agent = str_of(long_text);
    assert_in_range(access_line(line, ACCESS_COMBINED, &e), 6000, ACCESS_LINE_BYTES);
    assert_in_range(access_line(line, ACCESS_JSON, &e), 7000, ACCESS_LINE_BYTES);
    free(long_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_as_they_are),
        cmocka_unit_test(test_what_is_escaped),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_what_is_too_long_is_cut),
        cmocka_unit_test(test_what_just_fits_is_whole),
        cmocka_unit_test(test_the_longest_line_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
