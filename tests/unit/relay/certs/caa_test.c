/* CAA records: bytes to tags and values, cut at every place; and what they let whom do. */
#include "relay/certs/caa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const cas[] = { "letsencrypt.org", "other.example" };

static void add_flagged(struct caa *c, unsigned char flags, const char *tag, const char *value)
{
    unsigned char bytes[300] = { flags, (unsigned char)strlen(tag) };

    memcpy(bytes + 2, tag, strlen(tag));
    memcpy(bytes + 2 + strlen(tag), value, strlen(value));
    assert_true(caa_read(c, bytes, 2 + strlen(tag) + strlen(value)));
}

static void add(struct caa *c, const char *tag, const char *value)
{
    add_flagged(c, 0, tag, value);
}

static void test_read(void **state)
{
    static const unsigned char bytes[] = "\x80\x05issueletsencrypt.org";
    struct caa c = { 0 };

    (void)state;
    assert_true(caa_read(&c, bytes, sizeof bytes - 1));
    assert_true(c.list[0].critical);
    assert_string_equal(c.list[0].tag, "issue");
    assert_string_equal(c.list[0].value, "letsencrypt.org");
    for (size_t n = 0; n < sizeof bytes - 1; n++) {
        unsigned char *exact = malloc(n + 1);

        memcpy(exact, bytes, n);
        c.n = 0;
        assert_int_equal(caa_read(&c, exact, n), n >= 7);
        free(exact);
    }
}

static void test_many_and_long_ones(void **state)
{
    char value[290];
    struct caa c = { 0 };

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (int i = 0; i < 2 * CAA_VALUES; i++)
        add(&c, "issue", value);
    assert_int_equal(c.n, CAA_VALUES);
    assert_int_equal(strlen(c.list[0].value), CAA_VALUE_BYTES - 1);
}

static void test_admits(void **state)
{
    static const struct {
        const char *records[6]; /* tag, value, … */
        bool plain, wildcard;
    } rows[] = {
        { { NULL }, true, true },
        { { "iodef", "mailto:a@b.test" }, true, true },
        { { "issue", "letsencrypt.org" }, true, true },
        { { "issue", "LetsEncrypt.org; validationmethods=dns-01" }, true, true },
        { { "issue", " other.example" }, true, true },
        { { "issue", ";" }, false, false },
        { { "issue", "" }, false, false },
        { { "issue", "letsencrypt.org.evil.test" }, false, false },
        { { "issue", "ca.test", "issue", "letsencrypt.org" }, true, true },
        { { "issue", "letsencrypt.org", "issuewild", ";" }, true, false },
        { { "issue", "ca.test", "issuewild", "letsencrypt.org" }, false, true },
        { { "issuewild", "ca.test" }, true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct caa c = { 0 };

        for (size_t j = 0; j < 6 && rows[i].records[j]; j += 2)
            add(&c, rows[i].records[j], rows[i].records[j + 1]);
        if (caa_admits(&c, false, cas, 2) != rows[i].plain ||
            caa_admits(&c, true, cas, 2) != rows[i].wildcard)
            fail_msg("row %zu", i);
    }
}

static void test_unknown(void **state)
{
    static const struct {
        unsigned char flags;
        const char *tag;
        bool unknown;
    } rows[] = {
        { 0x80, "issue", false }, { 0x80, "IssueWild", false }, { 0x80, "iodef", false },
        { 0x01, "tbs", false },   { 0x80, "tbs", true },        { 0x81, "issues", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct caa c = { 0 };
        const char *unknown;

        add(&c, "issue", "letsencrypt.org");
        add_flagged(&c, rows[i].flags, rows[i].tag, "x");
        unknown = caa_unknown(&c);
        if (!unknown == rows[i].unknown || (unknown && strcmp(unknown, rows[i].tag) != 0))
            fail_msg("row %zu: %s", i, unknown ? unknown : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_many_and_long_ones),
        cmocka_unit_test(test_admits),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
