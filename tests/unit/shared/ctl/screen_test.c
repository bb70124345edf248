#include "shared/ctl/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { PARTS = 4 };

static void test_share(void **state)
{
    static const struct {
        const char *name;
        size_t lines, needs[PARTS], gets[PARTS];
    } rows[] = {
        { "all fit", 20, { 1, 2, 3, 0 }, { 1, 2, 3, 0 } },
        { "exactly", 6, { 1, 2, 3, 0 }, { 1, 2, 3, 0 } },
        { "one is large", 20, { 1, 2, 200, 0 }, { 1, 2, 17, 0 } },
        { "two are", 20, { 200, 2, 200, 0 }, { 9, 2, 9, 0 } },
        { "a share that is no whole number", 7, { 200, 0, 200, 1 }, { 3, 0, 3, 1 } },
        { "all are", 9, { 9, 9, 9, 9 }, { 2, 2, 2, 3 } },
        { "nothing is there", 0, { 1, 0, 9, 0 }, { 0, 0, 0, 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t gets[PARTS];

        screen_share(rows[i].lines, rows[i].needs, gets, PARTS);
        for (int j = 0; j < PARTS; j++)
            if (gets[j] != rows[i].gets[j])
                fail_msg("%s: part %d gets %zu", rows[i].name, j, gets[j]);
    }
}

static void test_cut(void **state)
{
    static const struct {
        const char *name, *text;
        size_t columns, lines;
        const char *left;
    } rows[] = {
        { "nothing", "", 80, 0, "" },
        { "it fits", "a\nb\n", 80, 2, "a\nb\n" },
        { "it does not", "a\nb\nc\n", 80, 2, "a\n  and 2 more; to see all: tunnelctl status | less\n" },
        { "a line of two", "aaaaa\nb\nc\n", 4, 3,
          "aaaaa\n  and 2 more; to see all: tunnelctl status | less\n" },
        { "as wide as the screen", "aaaa\nb\n", 4, 2, "aaaa\nb\n" },
        { "wide characters", "\346\227\245\346\234\254\nb\n", 3, 2,
          "  and 2 more; to see all: tunnelctl status | less\n" },
        { "no room", "a\nb\n", 80, 0, "  and 2 more; to see all: tunnelctl status | less\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct screen s = { 24, rows[i].columns };
        struct buf text = { 0 };

        buf_add_text(&text, rows[i].text);
        screen_cut(&s, &text, rows[i].lines, "; to see all: tunnelctl status | less");
        assert_string_equal(buf_text(&text), rows[i].left);
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_share), cmocka_unit_test(test_cut) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
