#include "shared/utf8.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
    const char *name, *bytes;
    size_t n, length, printable;
} rows[] = {
    { "nothing", "a", 0, 0, 0 },
    { "a letter", "a", 1, 1, 1 },
    { "a letter of many", "ab", 2, 1, 1 },
    { "a NUL", "\0", 1, 1, 0 },
    { "a newline", "\n", 1, 1, 0 },
    { "escape", "\x1b", 1, 1, 0 },
    { "the last control", "\x1f", 1, 1, 0 },
    { "blank", " ", 1, 1, 1 },
    { "tilde", "~", 1, 1, 1 },
    { "DEL", "\x7f", 1, 1, 0 },
    { "U+0080, first of C1", "\xc2\x80", 2, 2, 0 },
    { "U+009B, CSI", "\xc2\x9b", 2, 2, 0 },
    { "U+009F, last of C1", "\xc2\x9f", 2, 2, 0 },
    { "U+00A0", "\xc2\xa0", 2, 2, 2 },
    { "U+07FF", "\xdf\xbf", 2, 2, 2 },
    { "U+0800", "\xe0\xa0\x80", 3, 3, 3 },
    { "U+D7FF", "\xed\x9f\xbf", 3, 3, 3 },
    { "U+E000", "\xee\x80\x80", 3, 3, 3 },
    { "U+FFFF", "\xef\xbf\xbf", 3, 3, 3 },
    { "U+10000", "\xf0\x90\x80\x80", 4, 4, 4 },
    { "U+10FFFF", "\xf4\x8f\xbf\xbf", 4, 4, 4 },
    { "a continuation alone", "\x80", 1, 0, 0 },
    { "a byte of C1 alone", "\x9b", 1, 0, 0 },
    { "overlong slash", "\xc0\xaf", 2, 0, 0 },
    { "overlong DEL", "\xc1\xbf", 2, 0, 0 },
    { "overlong in three", "\xe0\x9f\xbf", 3, 0, 0 },
    { "overlong in four", "\xf0\x8f\xbf\xbf", 4, 0, 0 },
    { "first surrogate", "\xed\xa0\x80", 3, 0, 0 },
    { "last surrogate", "\xed\xbf\xbf", 3, 0, 0 },
    { "U+110000", "\xf4\x90\x80\x80", 4, 0, 0 },
    { "F5", "\xf5\x80\x80\x80", 4, 0, 0 },
    { "FF", "\xff", 1, 0, 0 },
    { "two bytes, cut", "\xc3\xa4", 1, 0, 0 },
    { "three bytes, cut", "\xe2\x82\xac", 2, 0, 0 },
    { "four bytes, cut", "\xf0\x9f\x98\x80", 3, 0, 0 },
    { "second byte wrong", "\xc3(", 2, 0, 0 },
    { "third byte wrong", "\xe2\x82(", 3, 0, 0 },
    { "fourth byte wrong", "\xf0\x9f\x98(", 4, 0, 0 },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (utf8_char(rows[i].bytes, rows[i].n) != rows[i].length ||
            utf8_printable(rows[i].bytes, rows[i].n) != rows[i].printable)
            fail_msg("%s", rows[i].name);
}

/* Every character, encoded by hand, is that one; no prefix of it is any. */
static void test_every_character(void **state)
{
    (void)state;
    for (unsigned c = 0; c <= 0x10ffff; c++) {
        char u[4] = { (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)), (char)(0x80 | (c >> 6 & 63)),
                      (char)(0x80 | (c & 63)) };
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        char *p = u + 4 - n;
        uint32_t code = 0;

        *p = n == 1 ? (char)c : n == 2 ? (char)(0xc0 | c >> 6) : n == 3 ? (char)(0xe0 | c >> 12) : *p;
        if (c >= 0xd800 && c <= 0xdfff) {
            assert_int_equal(utf8_char(p, n), 0);
            continue;
        }
        assert_int_equal(utf8_decode(p, n, &code), n);
        assert_int_equal(code, c);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(utf8_char(p, cut), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_every_character) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
