#include "shared/ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ROWS(...) ((const char *const[]){ __VA_ARGS__ })

static void test_print(void **state)
{
    const struct {
        const char *name;
        size_t columns, rows;
        const char *const *cells; /* the headings first */
        const char *text;
    } rows[] = {
        { "headings alone", 3, 1, ROWS("A", "BC", "D"), "  A  BC  D\n" },
        { "one column", 1, 2, ROWS("A", "long"), "  A\n  long\n" },
        { "as wide as the widest", 2, 3, ROWS("A", "B", "long", "x", "y", "longer"),
          "  A     B\n  long  x\n  y     longer\n" },
        { "nothing behind the last cell", 2, 3, ROWS("A", "B", "x", "", "long", ""),
          "  A     B\n  x\n  long\n" },
        { "nothing in front", 3, 2, ROWS("A", "B", "C", "", "", "x"), "  A  B  C\n        x\n" },
        { "nothing between", 3, 2, ROWS("A", "BB", "C", "x", "", "y"), "  A  BB  C\n  x      y\n" },
        { "a row of nothing", 2, 2, ROWS("A", "B", "", ""), "  A  B\n\n" },
        { "characters, not bytes", 2, 3,
          ROWS("A", "B", "\303\244\342\202\254\360\237\230\272", "x", "abc", "y"),
          "  A     B\n  \303\244\342\202\254\360\237\230\272  x\n  abc   y\n" },
        { "wide ones and combining ones", 2, 4,
          ROWS("A", "B", "\346\227\245\346\234\254", "x", "e\314\201", "y", "\357\274\241", "z"),
          "  A     B\n  \346\227\245\346\234\254  x\n  e\314\201     y\n  \357\274\241    z\n" },
        { "what a terminal would obey", 2, 2, ROWS("A", "B", "\033[31mred\033[0m\r\n\a\b", "\177x"),
          "  A           B\n  [31mred[0m  x\n" },
        { "controls beyond ASCII", 2, 2, ROWS("A", "B", "a\302\233b", "\302\205x"), "  A   B\n  ab  x\n" },
        { "what is no UTF-8", 2, 2, ROWS("A", "B", "a\377\303b\342\202", "\300\257x"), "  A   B\n  ab  x\n" },
        { "tabs are no columns", 2, 2, ROWS("A", "B", "a\tb", "x"), "  A   B\n  ab  x\n" },
        { "all columns", 8, 2,
          ROWS("A", "B", "C", "D", "E", "F", "G", "H", "1", "2", "3", "4", "5", "6", "7", "88"),
          "  A  B  C  D  E  F  G  H\n  1  2  3  4  5  6  7  88\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };
        struct table t;

        table_init(&t, rows[i].columns, rows[i].cells);
        for (size_t row = 1; row < rows[i].rows; row++)
            table_row(&t, rows[i].cells + row * rows[i].columns);
        assert_int_equal(t.rows, rows[i].rows);
        table_print(&out, &t);
        if (strcmp(buf_text(&out), rows[i].text) != 0)
            fail_msg("%s:\n%s---- and not\n%s", rows[i].name, buf_text(&out), rows[i].text);
        buf_free(&out);
        table_free(&t);
    }
}

static void test_cells_are_copied(void **state)
{
    char cell[] = "one";
    struct buf out = { 0 };
    struct table t;

    (void)state;
    buf_add_text(&out, "before\n");
    table_init(&t, 1, ROWS("A"));
    table_row(&t, ROWS(cell));
    memcpy(cell, "two", 3);
    table_row(&t, ROWS(cell));
    table_print(&out, &t);
    assert_string_equal(buf_text(&out), "before\n  A\n  one\n  two\n");
    table_free(&t);
    assert_int_equal(t.rows, 0);
    table_free(&t);
    buf_free(&out);
}

static void test_long_cells(void **state)
{
    char cell[5001];
    struct buf out = { 0 };
    struct table t;

    (void)state;
    memset(cell, 'x', sizeof cell - 1);
    cell[sizeof cell - 1] = 0;
    table_init(&t, 2, ROWS("A", "B"));
    table_row(&t, ROWS(cell, "y"));
    table_print(&out, &t);
    assert_int_equal(out.len, 2 * (2 + 5000 + 2 + 2));
    buf_free(&out);
    table_free(&t);
}

static void test_keep(void **state)
{
    static const struct {
        size_t keep;
        const char *text;
    } rows[] = {
        { 0, "  A\n  and 3 more\n" },
        { 1, "  A\n  x\n  and 2 more\n" },
        { 3, "  A\n  x\n  yyy\n  z\n" },
        { SIZE_MAX, "  A\n  x\n  yyy\n  z\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct table t;
        struct buf out = { 0 };

        table_init(&t, 1, ROWS("A"));
        table_row(&t, ROWS("x"));
        table_row(&t, ROWS("yyy"));
        table_row(&t, ROWS("z"));
        table_keep(&t, rows[i].keep);
        table_print(&out, &t);
        assert_string_equal(buf_text(&out), rows[i].text);
        buf_free(&out);
        table_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_cells_are_copied),
        cmocka_unit_test(test_long_cells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
