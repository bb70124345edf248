#include "shared/err.h"

#include <errno.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_set_says_code_and_text(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_int_equal(err_set(&e, ERR_LIMIT, "%s holds %d", "lane", 7), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_string_equal(e.text, "lane holds 7");
    assert_int_equal(err_set(&e, ERR_PEER, "other"), -1);
    assert_int_equal(e.code, ERR_PEER);
    assert_string_equal(e.text, "other");
}

static void test_nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_LIMIT, "lost"), -1);
    assert_int_equal(err_errno(NULL, EIO, "lost"), -1);
    assert_int_equal(err_wrap(NULL, "lost"), -1);
}

static void test_errno_gives_code_and_reason(void **state)
{
    static const struct {
        int number;
        enum err_code code;
        const char *text;
    } rows[] = {
        { ENOENT, ERR_MISSING, "cannot open x.ini: No such file or directory" },
        { EACCES, ERR_SYSTEM, "cannot open x.ini: Permission denied" },
        { EADDRINUSE, ERR_SYSTEM, "cannot open x.ini: Address already in use" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };

        assert_int_equal(err_errno(&e, rows[i].number, "cannot open %s", "x.ini"), -1);
        assert_int_equal(e.code, rows[i].code);
        assert_string_equal(e.text, rows[i].text);
    }
}

static void test_wrap_puts_context_in_front(void **state)
{
    struct err e = { 0 };

    (void)state;
    err_set(&e, ERR_TIMEOUT, "no answer in %d s", 10);
    assert_int_equal(err_wrap(&e, "relay %s", "a"), -1);
    assert_int_equal(err_wrap(&e, "lane %d", 3), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_string_equal(e.text, "lane 3: relay a: no answer in 10 s");
}

/* Text of n bytes behind which a guard must stay as it is. */
static void fill(struct err *e, char *text, size_t n)
{
    memset(text, 'x', n);
    text[n] = 0;
    err_set(e, ERR_INPUT, "%s", text);
}

static void test_long_texts_are_cut_at_the_end(void **state)
{
    struct {
        struct err e;
        char guard[16];
    } g;
    char text[1000];

    (void)state;
    for (size_t n = sizeof g.e.text - 3; n < sizeof g.e.text + 3; n++) {
        memset(&g, '!', sizeof g);
        fill(&g.e, text, n);
        assert_int_equal(strlen(g.e.text), n < sizeof g.e.text ? n : sizeof g.e.text - 1);
        err_errno(&g.e, EIO, "%s", text);
        assert_non_null(strstr(g.e.text, "xxx: Input/output error")); /* the reason is never crowded out */
        fill(&g.e, text, n);
        err_wrap(&g.e, "context");
        assert_memory_equal(g.e.text, "context: xxx", 12);
        assert_int_equal(strlen(g.e.text), sizeof g.e.text - 1);
        err_wrap(&g.e, "%s", text);
        assert_int_equal(strlen(g.e.text), sizeof g.e.text - 1);
        assert_int_equal(g.e.code, ERR_INPUT);
        assert_memory_equal(g.guard, "!!!!!!!!!!!!!!!!", 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_says_code_and_text),
        cmocka_unit_test(test_nobody_has_to_listen),
        cmocka_unit_test(test_errno_gives_code_and_reason),
        cmocka_unit_test(test_wrap_puts_context_in_front),
        cmocka_unit_test(test_long_texts_are_cut_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
