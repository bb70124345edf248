#include "shared/status/text.h"
#include "shared/status/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_duration(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = { { 0, "0s" },          { 1, "1s" },         { 59, "59s" },      { 60, "1m 0s" },
                 { 95, "1m 35s" },     { 3599, "59m 59s" }, { 3600, "1h 0m" },  { 3661, "1h 1m" },
                 { 86399, "23h 59m" }, { 86400, "1d 0h" },  { 90061, "1d 1h" }, { 31536000, "365d 0h" },
                 { -1, "-1s" } };
    char text[32], little[4];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        status_duration(rows[i].seconds, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
    status_duration(3661, little, sizeof little);
    assert_string_equal(little, "1h ");
}

static void test_text(void **state)
{
    json_t *object = json_pack("{s:s, s:i}", "a", "text", "n", 1);

    (void)state;
    assert_string_equal(status_text(object, "a"), "text");
    assert_string_equal(status_text(object, "n"), "");
    assert_string_equal(status_text(object, "none"), "");
    assert_string_equal(status_text(NULL, "a"), "");
    json_decref(object);
}

static void test_bytes(void **state)
{
    static const struct {
        double bytes;
        const char *text;
    } rows[] = { { 0, "0 B" },           { 999, "999 B" },      { 1000, "1.0 kB" }, { 9949, "9.9 kB" },
                 { 12345, "12 kB" },     { 2345678, "2.3 MB" }, { 5e9, "5.0 GB" },  { 7e12, "7.0 TB" },
                 { 9e18, "9000000 TB" }, { 0.5, "0 B" } };
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        status_bytes(rows[i].bytes, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_left(void **state)
{
    struct when left;

    (void)state;
    assert_non_null(strstr(when_left("2999-01-01T00:00:00Z", &left), "h left"));
    assert_non_null(strstr(when_left("2001-01-01T00:00:00Z", &left), "h ago"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
