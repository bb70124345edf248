#include "shared/value.h"

#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LINE(text) text, sizeof(text) - 1

/* Text in a block of exactly its size, so that ASan sees who reads past it. */
static struct str exact(const char *bytes, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    return (struct str){ copy, n };
}

static void release(struct str text)
{
    free((char *)(uintptr_t)text.p);
}

/* ---- numbers ---- */

typedef int read_cb(struct str text, int64_t min, int64_t max, int64_t *n, struct err *e);

struct number_row {
    const char *text;
    int64_t min, max, n;
    const char *why; /* NULL: it is n */
};

static void check_numbers(const struct number_row *rows, size_t rows_n, read_cb *read)
{
    for (size_t i = 0; i < rows_n; i++) {
        struct str text = exact(rows[i].text, strlen(rows[i].text));
        struct err e = { 0 };
        int64_t n = 0;
        int rc = read(text, rows[i].min, rows[i].max, &n, &e);

        if (rc != (rows[i].why ? -1 : 0) || strcmp(e.text, rows[i].why ? rows[i].why : "") != 0)
            fail_msg("\"%s\": %s", rows[i].text, rc == 0 ? "accepted" : e.text);
        if (!rows[i].why && n != rows[i].n)
            fail_msg("\"%s\": read as %lld", rows[i].text, (long long)n);
        assert_int_equal(e.code, rows[i].why ? ERR_INPUT : ERR_NONE);
        release(text);
    }
}

static void test_number(void **state)
{
    static const char why[] = "not a whole number from -3 to 64",
                      any[] = "not a whole number from 0 to 9223372036854775807";
    static const struct number_row rows[] = {
        { "0", -3, 64, 0, NULL },
        { "-0", -3, 64, 0, NULL },
        { "-3", -3, 64, -3, NULL },
        { "64", -3, 64, 64, NULL },
        { "007", -3, 64, 7, NULL },
        { "-4", -3, 64, 0, why },
        { "65", -3, 64, 0, why },
        { "", -3, 64, 0, why },
        { "-", -3, 64, 0, why },
        { "--1", -3, 64, 0, why },
        { "+1", -3, 64, 0, why },
        { "1.0", -3, 64, 0, why },
        { "1 ", -3, 64, 0, why },
        { " 1", -3, 64, 0, why },
        { "0x1", -3, 64, 0, why },
        { "1e1", -3, 64, 0, why },
        { "four", -3, 64, 0, why },
        { "\xd9\xa1", -3, 64, 0, why }, /* ARABIC-INDIC DIGIT ONE */
        { "9223372036854775807", 0, INT64_MAX, INT64_MAX, NULL },
        { "9223372036854775808", 0, INT64_MAX, 0, any },
        { "18446744073709551617", 0, INT64_MAX, 0, any },
        { "99999999999999999999999", 0, INT64_MAX, 0, any },
        { "-9223372036854775807", INT64_MIN, 0, -INT64_MAX, NULL },
    };

    (void)state;
    check_numbers(rows, sizeof rows / sizeof rows[0], value_number);
}

static void test_duration(void **state)
{
    static const char why[] = "not a duration from 0s to 5m (such as 10s)",
                      no_unit[] =
                          "has no unit (ms, s, m, h or d): not a duration from 0s to 5m (such as 10s)",
                      shorter[] = "not a duration from 1ms to 9s (such as 9s)",
                      longer[] = "not a duration from 1h to 106751991167d (such as 1h)";
    static const struct number_row rows[] = {
        { "0s", 0, 300000, 0, NULL },
        { "0ms", 0, 300000, 0, NULL },
        { "500ms", 0, 300000, 500, NULL },
        { "10s", 0, 300000, 10000, NULL },
        { "5m", 0, 300000, 300000, NULL },
        { "300000ms", 0, 300000, 300000, NULL },
        { "1h", 0, INT64_MAX, 3600000, NULL },
        { "7d", 0, INT64_MAX, 604800000, NULL },
        { "300001ms", 0, 300000, 0, why },
        { "6m", 0, 300000, 0, why },
        { "", 0, 300000, 0, why },
        { "s", 0, 300000, 0, why },
        { "-1s", 0, 300000, 0, why },
        { "1 s", 0, 300000, 0, why },
        { "1.5s", 0, 300000, 0, why },
        { "1S", 0, 300000, 0, why },
        { "1sec", 0, 300000, 0, why },
        { "1m30s", 0, 300000, 0, why },
        { "soon", 0, 300000, 0, why },
        { "0", 0, 300000, 0, no_unit },
        { "10", 0, 300000, 0, no_unit },
        { "0ms", 1, 9000, 0, shorter },
        { "9001ms", 1, 9000, 0, shorter },
        { "59m", 3600000, 106751991167 * 86400000, 0, longer },
        { "106751991167d", 3600000, 106751991167 * 86400000, 106751991167 * 86400000, NULL },
        { "106751991168d", 3600000, 106751991167 * 86400000, 0, longer }, /* more than an int64_t holds */
        { "213503982335d", 3600000, 106751991167 * 86400000, 0, longer }, /* and once around */
        { "99999999999999999999s", 0, 300000, 0, why },
    };

    (void)state;
    check_numbers(rows, sizeof rows / sizeof rows[0], value_duration);
}

static void test_size(void **state)
{
    static const char why[] = "not a size from 1k to 1m (bytes, or with k, m or g behind, such as 64k)",
                      any[] = "not a size from 0 to 9223372036854775807 "
                              "(bytes, or with k, m or g behind, such as 64k)";
    static const struct number_row rows[] = {
        { "1024", 1024, 1 << 20, 1024, NULL },   { "1k", 1024, 1 << 20, 1024, NULL },
        { "1m", 1024, 1 << 20, 1 << 20, NULL },  { "1048576", 1024, 1 << 20, 1 << 20, NULL },
        { "2g", 0, INT64_MAX, 2LL << 30, NULL }, { "0", 0, INT64_MAX, 0, NULL },
        { "0g", 0, INT64_MAX, 0, NULL },         { "1023", 1024, 1 << 20, 0, why },
        { "1048577", 1024, 1 << 20, 0, why },    { "2m", 1024, 1 << 20, 0, why },
        { "", 1024, 1 << 20, 0, why },           { "k", 1024, 1 << 20, 0, why },
        { "-1k", 1024, 1 << 20, 0, why },        { "64K", 1024, 1 << 20, 0, why },
        { "64kb", 1024, 1 << 20, 0, why },       { "64 k", 1024, 1 << 20, 0, why },
        { "0.5m", 1024, 1 << 20, 0, why },       { "8589934591g", 0, INT64_MAX, 8589934591LL << 30, NULL },
        { "8589934592g", 0, INT64_MAX, 0, any }, { "9223372036854775808", 0, INT64_MAX, 0, any },
    };

    (void)state;
    check_numbers(rows, sizeof rows / sizeof rows[0], value_size);
}

typedef void print_cb(struct buf *out, int64_t n);

/* What is printed is canonical, and is read back. */
static void test_printed_numbers(void **state)
{
    static const struct {
        print_cb *print;
        read_cb *read;
    } types[] = {
        { value_print_number, value_number },
        { value_print_duration, value_duration },
        { value_print_size, value_size },
    };
    static const struct {
        int64_t n;
        const char *number, *duration, *size;
    } rows[] = {
        { 0, "0", "0s", "0" },
        { 1, "1", "1ms", "1" },
        { 999, "999", "999ms", "999" },
        { 1000, "1000", "1s", "1000" },
        { 1024, "1024", "1024ms", "1k" },
        { 90000, "90000", "90s", "90000" },
        { 60000, "60000", "1m", "60000" },
        { 3600000, "3600000", "1h", "3600000" },
        { 86400000, "86400000", "1d", "84375k" },
        { 3 << 20, "3145728", "3145728ms", "3m" },
        { 5LL << 30, "5368709120", "5368709120ms", "5g" },
        { INT64_MAX, "9223372036854775807", "9223372036854775807ms", "9223372036854775807" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const texts[] = { rows[i].number, rows[i].duration, rows[i].size };

        for (size_t type = 0; type < 3; type++) {
            struct buf out = { 0 };
            int64_t n = -1;

            types[type].print(&out, rows[i].n);
            assert_string_equal(buf_text(&out), texts[type]);
            assert_int_equal(types[type].read(str_of(texts[type]), 0, INT64_MAX, &n, NULL), 0);
            assert_true(n == rows[i].n);
            buf_free(&out);
        }
    }
}

/* ---- words ---- */

static void test_flag(void **state)
{
    static const char *const wrong[] = { "", "On", "yes", "true", "1", "on ", "offf", "o" };
    struct err e = { 0 };
    bool on = false;

    (void)state;
    assert_int_equal(value_flag(STR("on"), &on, &e), 0);
    assert_true(on);
    assert_int_equal(value_flag(STR("off"), &on, &e), 0);
    assert_false(on);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(value_flag(str_of(wrong[i]), &on, &e), -1);
        assert_string_equal(e.text, "not on or off");
    }
}

static void test_name(void **state)
{
    static const char *const right[] = { "a", "0", "a-", "pi-2", "abcdefghijklmnopqrstuvwxyz012345" };
    static const char *const wrong[] = {
        "",     "Pi",       "pi 2",  "pi_2", "pi.2",
        "pi/2", "\xc3\xa4", "pi2\n", "../x", "abcdefghijklmnopqrstuvwxyz0123456"
    };
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_int_equal(value_name(str_of(right[i]), &e), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(value_name(str_of(wrong[i]), &e), -1);
        assert_string_equal(e.text, "not a name of 1 to 32 characters a-z, 0-9 and - (such as pi-2)");
    }
    assert_int_equal(value_name(str_of("-pi"), &e), -1);
    assert_string_equal(e.text,
                        "begins with -, which commands take for an option; begin it with a letter or digit");
}

static void test_port(void **state)
{
    static const char *const wrong[] = { "", "0", "65536", "-1", "http", "80 ", "4294967376" };
    struct err e = { 0 };
    uint16_t port = 0;

    (void)state;
    assert_int_equal(value_port(STR("1"), &port, &e), 0);
    assert_int_equal(port, 1);
    assert_int_equal(value_port(STR("65535"), &port, &e), 0);
    assert_int_equal(port, 65535);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(value_port(str_of(wrong[i]), &port, &e), -1);
        assert_string_equal(e.text, "the port is not a number from 1 to 65535");
    }
}

static void test_next(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "", "" },
        { "  , ,", "" },
        { "a", "<a>" },
        { "a b", "<a><b>" },
        { "a,b", "<a><b>" },
        { " a ,\tb, ", "<a><b>" },
        { "a;b #c", "<a;b><#c>" },
        { "a,,b", "<a><b>" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str text = exact(rows[i].text, strlen(rows[i].text)), rest = text, word;
        struct buf out = { 0 };

        while (value_next(&rest, &word))
            buf_printf(&out, "<%.*s>", STR_ARG(word));
        assert_string_equal(buf_text(&out), rows[i].words);
        assert_false(value_next(&rest, &word));
        buf_free(&out);
        release(text);
    }
}

/* ---- addresses ---- */

#define NOT_IP(port)                                                                 \
    "! not an IP address in front of the port (host names are not looked up here); " \
    "write :" port ", 127.0.0.1:" port " or [::1]:" port
#define NOT_IP6    "! not an IPv6 address between the brackets (such as [::1]:443)"
#define NOT_FORM6  "! not [V6]:PORT (such as [::1]:443)"
#define NO_BRACKET "! an IPv6 address stands in brackets, with the port behind (such as [::1]:443)"
#define NO_PORT    "! has no port; not :PORT, ADDRESS:PORT or [V6]:PORT"
#define BAD_PORT   "! the port is not a number from 1 to 65535"
#define ZONE                                          \
    "! an address with a zone (%) is not supported; " \
    "write an address without a zone, or :PORT for all addresses"

static const struct address_row {
    const char *text;
    size_t n;
    bool bare;
    const char *what; /* in canonical text, or "! " and the error */
} addresses[] = {
    { LINE(":443"), false, ":443" },
    { LINE(":443"), true, ":443" },
    { LINE("443"), true, ":443" },
    { LINE(":0443"), false, ":443" },
    { LINE("127.0.0.1:80"), false, "127.0.0.1:80" },
    { LINE("0.0.0.0:80"), false, "0.0.0.0:80" },
    { LINE("255.255.255.255:65535"), true, "255.255.255.255:65535" },
    { LINE("[::]:80"), false, "[::]:80" },
    { LINE("[::1]:1"), false, "[::1]:1" },
    { LINE("[2001:DB8:0:0::1]:80"), false, "[2001:db8::1]:80" },
    { LINE("[::ffff:192.0.2.1]:80"), false, "[::ffff:192.0.2.1]:80" },
    { LINE("[2001:db8:1111:2222:3333:4444:5555:6666]:80"), false,
      "[2001:db8:1111:2222:3333:4444:5555:6666]:80" },
    { LINE("443"), false, "! a port is written with a colon in front (such as :443)" },
    { LINE(""), false, NO_PORT },
    { LINE("127.0.0.1"), false, NO_PORT },
    { LINE("localhost"), true, "! has no port; not PORT, :PORT, ADDRESS:PORT or [V6]:PORT" },
    { LINE("-1"), true, "! has no port; not PORT, :PORT, ADDRESS:PORT or [V6]:PORT" },
    { LINE("::1"), false, NO_BRACKET },
    { LINE("::1:443"), false, NO_BRACKET },
    { LINE("1.2.3.4:80:90"), false, NO_BRACKET },
    { LINE("[::1]"), false, NOT_FORM6 },
    { LINE("[::1:443"), false, NOT_FORM6 },
    { LINE("[::1]443"), false, NOT_FORM6 },
    { LINE("[::1]:443:"), false, NOT_FORM6 },
    { LINE("[::1]x:443"), false, NOT_FORM6 },
    { LINE("["), false, NOT_FORM6 },
    { LINE(":"), false, BAD_PORT },
    { LINE(":0"), false, BAD_PORT },
    { LINE("0"), true, BAD_PORT },
    { LINE(":65536"), false, BAD_PORT },
    { LINE(":http"), false, BAD_PORT },
    { LINE(":-1"), false, BAD_PORT },
    { LINE("127.0.0.1:"), false, BAD_PORT },
    { LINE("[::1]:"), false, BAD_PORT },
    { LINE("*:80"), false, "! * is not an address; write :80 for all addresses" },
    { LINE("localhost:80"), false, NOT_IP("80") },
    { LINE("1.2.3:80"), false, NOT_IP("80") },
    { LINE("1.2.3.256:80"), false, NOT_IP("80") },
    { LINE("01.2.3.4:80"), false, NOT_IP("80") },
    { LINE("0x7f.0.0.1:80"), false, NOT_IP("80") },
    { LINE("127.0.0.1 :80"), false, NOT_IP("80") },
    { LINE("127.0.0.1\0x:80"), false, NOT_IP("80") },
    { LINE("a-name-longer-than-any-address.example:80"), false, NOT_IP("80") },
    { LINE("[]:80"), false, NOT_IP6 },
    { LINE("[127.0.0.1]:80"), false, NOT_IP6 },
    { LINE("[::g]:80"), false, NOT_IP6 },
    { LINE("[1::2::3]:80"), false, NOT_IP6 },
    { LINE("[::1\0]:80"), false, NOT_IP6 },
    { LINE("[2001:db8:1111:2222:3333:4444:5555:6666:7777:8888]:80"), false, NOT_IP6 },
    { LINE("[fe80::1%eth0]:80"), false, ZONE },
    { LINE("[fe80::1%1]:80"), false, ZONE },
};

static void test_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        const struct address_row *row = &addresses[i];
        struct str text = exact(row->text, row->n);
        struct opt_address a, again;
        struct buf out = { 0 };
        struct err e = { 0 };

        if (value_address(text, row->bare, &a, &e) != 0)
            buf_printf(&out, "! %s", e.text);
        else
            value_print_address(&out, &a);
        if (strcmp(buf_text(&out), row->what) != 0)
            fail_msg("%s: is not \"%s\" but \"%s\"", row->text, row->what, buf_text(&out));
        if (row->what[0] != '!') {
            assert_int_equal(value_address(str_of(row->what), false, &again, &e), 0);
            assert_memory_equal(&a.addr, &again.addr, sizeof a.addr);
            assert_int_equal(a.any, row->what[0] == ':');
        }
        buf_free(&out);
        release(text);
    }
}

/* ---- text from outside ---- */

static void test_show(void **state)
{
    static const struct {
        const char *text;
        size_t n, max_chars;
        const char *shown;
    } rows[] = {
        { LINE(""), 0, "" },
        { LINE("plain \"text\" \\"), 0, "plain \"text\" \\" },
        { LINE("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), 0, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { LINE("a\tb\nc"), 0, "a\\x09b\\x0ac" },
        { LINE("\0\x1b[2J\x7f"), 0, "\\x00\\x1b[2J\\x7f" },
        { LINE("\xff\xe2\x82"), 0, "\\xff\\xe2\\x82" },
        { LINE("\xc2\x9b"), 0, "\\xc2\\x9b" },
        { LINE("\xe2\x80\xae"), 0, "\\xe2\\x80\\xae" }, /* what follows would be shown from right to left */
        { LINE("\xe2\x80\x8b\xef\xbb\xbf"), 0, "\\xe2\\x80\\x8b\\xef\\xbb\\xbf" },
        { LINE("\xe2\x80\xa8"), 0, "\\xe2\\x80\\xa8" },
        { LINE("\xe2\x81\xa6"), 0, "\\xe2\\x81\\xa6" },
        { LINE("abc"), 3, "abc" },
        { LINE("abcd"), 3, "abc…" },
        { LINE("\xc3\xa4\xc3\xa4\xc3\xa4"), 3, "\xc3\xa4\xc3\xa4\xc3\xa4" },
        { LINE("\xc3\xa4\xc3\xa4\xc3\xa4z"), 3, "\xc3\xa4\xc3\xa4\xc3\xa4…" },
        { LINE("\x01\x02\x03"), 8, "\\x01\\x02…" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str text = exact(rows[i].text, rows[i].n);
        struct buf out = { 0 };

        value_show(&out, text, rows[i].max_chars);
        assert_string_equal(buf_text(&out), rows[i].shown);
        buf_free(&out);
        release(text);
    }
}

/* One line of JSON stays JSON of the same meaning. */
static void test_show_json(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *shown;
    } rows[] = {
        { LINE(""), "" },
        { LINE("{\"a\":\"b\\n\xc3\xa4\xf0\x9f\x98\x80\"}"), "{\"a\":\"b\\n\xc3\xa4\xf0\x9f\x98\x80\"}" },
        { LINE("{\"a\":\"\xe2\x80\x8b\xe2\x80\xae\"}"), "{\"a\":\"\\u200b\\u202e\"}" },
        { LINE("\"\x7f\xc2\x9b\xef\xbb\xbf\""), "\"\\u007f\\u009b\\ufeff\"" },
        { LINE("\"\xff\""), "\"\\ufffd\"" }, /* JSON has no way to say such a byte */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str text = exact(rows[i].text, rows[i].n);
        struct buf out = { 0 };

        value_show_json(&out, text);
        assert_string_equal(buf_text(&out), rows[i].shown);
        buf_free(&out);
        release(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number),    cmocka_unit_test(test_duration),
        cmocka_unit_test(test_size),      cmocka_unit_test(test_printed_numbers),
        cmocka_unit_test(test_flag),      cmocka_unit_test(test_name),
        cmocka_unit_test(test_port),      cmocka_unit_test(test_next),
        cmocka_unit_test(test_address),   cmocka_unit_test(test_show),
        cmocka_unit_test(test_show_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
