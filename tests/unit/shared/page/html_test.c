#include "shared/page/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_text_of_others(void **state)
{
    static const struct {
        const char *text, *html;
        size_t max_chars;
    } rows[] = {
        { "a.test", "a.test", 0 },
        { "<script>alert('x')</script>&\"", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;", 0 },
        { "a\r\n\tb\x7f", "a\\x0d\\x0a\\x09b\\x7f", 0 },
        { "\x1b]0;x\x07", "\\x1b]0;x\\x07", 0 },
        { "\xc3\xbc\xff\xe2\x80\xae", "\xc3\xbc\\xff\\xe2\\x80\\xae",
          0 }, /* bad UTF-8; text that turns around */
        { "abcdef", "abc\xe2\x80\xa6", 3 },
        { "<<<<", "&lt;&lt;\xe2\x80\xa6", 2 },
        { "", "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = { 0 };

        html_text(&out, rows[i].text, rows[i].max_chars);
        assert_string_equal(buf_text(&out), rows[i].html);
        buf_free(&out);
    }
}

static const char *const headings[] = { "Name", "State" };

static void add_rows(struct html_table *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!html_row(t))
            continue;
        buf_printf(html_cell(t), "%04zu", i);
        buf_add_text(html_cell(t), "up");
    }
}

static void test_table(void **state)
{
    struct buf out = { 0 };
    struct html_table t;

    (void)state;
    html_table_begin(&t, &out, 1000, headings, 2);
    add_rows(&t, 2);
    html_table_end(&t, "tunnelctl status", "none");
    assert_string_equal(
        buf_text(&out),
        "<table><thead><tr><th scope=col>Name<th scope=col>State<tbody>"
        "<tr><th scope=row>0000<td data-l=\"State\">up<tr><th scope=row>0001<td data-l=\"State\">up"
        "</table>");
    buf_free(&out);
    html_table_begin(&t, &out, 1000, headings, 2);
    html_table_end(&t, "tunnelctl status", "None yet.");
    assert_string_equal(buf_text(&out), "<p class=none>None yet.</p>");
    buf_free(&out);
}

/* Every row stands there or is counted. */
static void test_what_there_is_no_room_for(void **state)
{
    (void)state;
    for (size_t room = 0; room < 500; room++) {
        struct buf out = { 0 };
        struct html_table t;
        size_t shown, left_out = 0;
        const char *more, *at;

        html_table_begin(&t, &out, room, headings, 2);
        add_rows(&t, 10);
        html_table_end(&t, "tunnelctl status", "none");
        assert_true(out.len < room + 200);
        shown = 0;
        for (at = buf_text(&out); (at = strstr(at, "<th scope=row>")); at++)
            shown++;
        more = strstr(buf_text(&out), "<p class=more>");
        if (more) {
            more += strlen("<p class=more>");
            left_out = strtoul(more + (strncmp(more, "and ", 4) == 0 ? 4 : 0), NULL, 10);
            assert_non_null(strstr(more, "<code>tunnelctl status</code>"));
        }
        assert_int_equal(shown + left_out, 10);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_others),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_what_there_is_no_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
