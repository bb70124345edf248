#include "shared/page_template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const values[PAGE_WORDS] = {
    [PAGE_STATUS] = "503", [PAGE_TITLE] = "Away",    [PAGE_TEXT] = "<a href=\"x\" title='y'>&amp;</a>",
    [PAGE_SINCE] = "",     [PAGE_DOMAIN] = "a.test", [PAGE_REQUEST_ID] = "{status}",
};

/* The text lies in a block of exactly its size, so that under ASan a byte too many is seen. */
static struct str exactly(const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n > 0 ? n : 1);

    assert_non_null(copy);
    memcpy(copy, text, n);
    return (struct str){ copy, n };
}

static void test_render(void **state)
{
    static const struct {
        const char *text, *page;
    } rows[] = {
        { "", "" },
        { "plain", "plain" },
        { "{status}", "503" },
        { "{status} {title}: {domain}", "503 Away: a.test" },
        { "{status}{status}", "503503" },
        { "<p>{text}</p>", "<p>&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;</p>" },
        { "[{since}]", "[]" },
        { "{request_id}", "{status}" }, /* what a value says is not looked at again */
        { "{", "{" },
        { "}", "}" },
        { "{}", "{}" },
        { "{status", "{status" },
        { "{ status }", "{ status }" },
        { "{Status}", "{Status}" },
        { "{status2}", "{status2}" },
        { "{{status}}", "{503}" },
        { "{status{title}", "{statusAway" },
        { "b{color:red}p{margin:0}", "b{color:red}p{margin:0}" },
        { "b {\n  color: red;\n}", "b {\n  color: red;\n}" },
        { "@media print{b{color:red}}", "@media print{b{color:red}}" },
        { "{unknown}{status}", "{unknown}503" }, /* which the check refuses */
        { "\xc3\xa4{status}\xc3\xb6", "\xc3\xa4"
                                      "503\xc3\xb6" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str text = exactly(rows[i].text);
        struct buf page = { 0 };

        page_template_render(&page, text, values);
        assert_string_equal(buf_text(&page), rows[i].page);
        buf_free(&page);
        free((char *)text.p);
    }
}

static void test_check(void **state)
{
    static const struct {
        const char *text, *wrong; /* NULL: nothing */
    } rows[] = {
        { "", NULL },
        { "<h1>{status} {title}</h1><p>{text} {since} {domain} {request_id}</p>", NULL },
        { "<style>b{color:red}p{}</style><script>let a = { b }, c = {b:1}, d = `${a.b}`</script>", NULL },
        { "{statsu}", "line 1: {statsu} is no placeholder" },
        { "{status}\n\n<p>{since}\n{nonsense} {more}", "line 4: {nonsense} is no placeholder" },
        { "`${name}`", "line 1: {name} is no placeholder" },
        { "{__}", "line 1: {__} is no placeholder" },
        { "{{a}}", "line 1: {a} is no placeholder" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str text = exactly(rows[i].text);
        struct err e = { 0 };

        assert_int_equal(page_template_check(text, &e), rows[i].wrong ? -1 : 0);
        if (rows[i].wrong) {
            assert_non_null(strstr(e.text, rows[i].wrong));
            assert_non_null(strstr(e.text, "put a blank into the braces"));
        }
        free((char *)text.p);
    }
}

static void test_a_long_word_is_cut(void **state)
{
    char text[1000];
    struct err e = { 0 };

    (void)state;
    memset(text, 'a', sizeof text);
    text[0] = '{';
    text[sizeof text - 1] = '}';
    assert_int_equal(page_template_check((struct str){ text, sizeof text }, &e), -1);
    assert_true(strlen(e.text) < 300);
    assert_int_equal(page_template_check((struct str){ text, sizeof text - 1 }, &e), 0);
}

static void test_too_many(void **state)
{
    char text[PAGE_TEMPLATE_MOST * 8 + 9] = "";
    struct err e = { 0 };

    (void)state;
    for (int i = 0; i < PAGE_TEMPLATE_MOST; i++)
        strcat(text, "{domain}");
    assert_int_equal(page_template_check(str_of(text), &e), 0);
    strcat(text, "{domain}");
    assert_int_equal(page_template_check(str_of(text), &e), -1);
    assert_non_null(strstr(e.text, "more than 64 placeholders"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_a_long_word_is_cut),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
