#include "shared/http/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void set_head(struct fetch_reply *reply, const char *fields)
{
    buf_free(&reply->head);
    buf_printf(&reply->head, "HTTP/2 200\r\n%s\r\n", fields);
}

static void assert_field(const struct fetch_reply *reply, const char *name, size_t n, const char *value)
{
    struct str found = fetch_field_nth(reply, name, n);

    if (value ? !str_eq(found, value) : found.p != NULL)
        fail_msg("%s[%zu] is %.*s", name, n, STR_ARG(found));
}

static void test_fields(void **state)
{
    struct fetch_reply reply = { 0 };

    (void)state;
    assert_field(&reply, "link", 0, NULL);
    set_head(&reply, "link: <a>\r\nLinked: no\r\nLINK:<b>  \r\nempty:\r\nlink: <c>\r\n");
    assert_field(&reply, "Link", 0, "<a>");
    assert_field(&reply, "Link", 1, "<b>");
    assert_field(&reply, "Link", 2, "<c>");
    assert_field(&reply, "Link", 3, NULL);
    assert_field(&reply, "lin", 0, NULL);
    assert_field(&reply, "empty", 0, "");
    assert_true(str_eq(fetch_field(&reply, "linked"), "no"));
    fetch_reply_free(&reply);
}

static void test_dates(void **state)
{
    static const struct {
        const char *fields;
        int64_t date, retry_ms;
    } rows[] = {
        { "", -1, -1 },
        { "date: Sat, 21 Nov 2026 03:24:25 GMT\r\nretry-after: 120\r\n", 1795231465, 120000 },
        { "Date: yesterday\r\nRetry-After: soon\r\n", -1, -1 },
        { "Retry-After: Sat, 21 Nov 2026 03:24:25 GMT\r\n", -1, 65000 },
        { "Date: Thu, 21 Jan 2100 03:24:25 GMT\r\n", 4104185065, -1 }, /* more seconds than 32 bits hold */
        { "Date: Saturday, 21-Nov-26 03:24:25 GMT\r\n", 1795231465, -1 },
        { "Date: Sat Nov 21 03:24:25 2026\r\n", 1795231465, -1 },
        { "Date: Sat, 21 Nov 2026 03:24:25 +0100\r\n", -1, -1 },
        { "Retry-After: Sat, 21 Nov 2020 03:24:25 GMT\r\n", -1, 0 },
        { "Retry-After: 0\r\n", -1, 0 },
        { "Retry-After: -1\r\n", -1, -1 },
        { "Retry-After: 99999999999\r\n", -1, 7 * 86400000LL },
        { "Retry-After: 12345678901234567890123456789012345678901234567890123456789012345678\r\n", -1, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fetch_reply reply = { 0 };

        set_head(&reply, rows[i].fields);
        if (fetch_date_s(&reply) != rows[i].date ||
            fetch_retry_after_ms(&reply, 1795231400) != rows[i].retry_ms)
            fail_msg("%s: %lld, %lld", rows[i].fields, (long long)fetch_date_s(&reply),
                     (long long)fetch_retry_after_ms(&reply, 1795231400));
        fetch_reply_free(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
