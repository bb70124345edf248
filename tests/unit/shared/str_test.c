#include "shared/str.h"

#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool same, same_but_case;
    } rows[] = {
        { "", "", true, true },
        { "", "a", false, false },
        { "a", "", false, false },
        { "abc", "abc", true, true },
        { "abc", "abd", false, false },
        { "abc", "ab", false, false },
        { "ab", "abc", false, false },
        { "ABC", "abc", false, true },
        { "Host-1", "hOST-1", false, true },
        { "[", "{", false, false },
        { "@", "`", false, false },
        { "\xc3\x84", "\xc3\xa4", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(str_eq(str_of(rows[i].a), rows[i].b), rows[i].same);
        assert_int_equal(str_eq_nocase(str_of(rows[i].a), rows[i].b), rows[i].same_but_case);
    }
    assert_false(str_eq((struct str){ "a\0b", 3 }, "a"));
    assert_false(str_eq_nocase((struct str){ "a\0b", 3 }, "a"));
    assert_true(str_eq(STR("literal"), "literal"));
    assert_true(str_eq((struct str){ "only the word", 4 }, "only"));
}

/* What parsers leave at zero, such as the query of a request that has none. */
static void test_a_str_of_nothing_is_empty(void **state)
{
    struct str none = { 0 }, word;

    (void)state;
    assert_true(str_eq(none, ""));
    assert_false(str_eq(none, "a"));
    assert_true(str_eq_nocase(none, ""));
    assert_int_equal(str_trim(none).n, 0);
    assert_false(str_next_word(&none, ",", &word));
}

static void test_trim(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = { { "", "" },    { " ", "" },    { " \t \t", "" },       { "a", "a" },
                 { " a", "a" }, { "a\t", "a" }, { "\t a b \t", "a b" }, { "\na\r", "\na\r" } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(str_eq(str_trim(str_of(rows[i].in)), rows[i].out));
}

static void test_words(void **state)
{
    static const struct {
        const char *in, *also, *words; /* each word in brackets */
    } rows[] = {
        { "", ",", "" },
        { " \t ,, ", ",", "" },
        { "one", "", "[one]" },
        { "  one two\tthree ", "", "[one][two][three]" },
        { "a,b, c ,,d", ",", "[a][b][c][d]" },
        { "a,b", "", "[a,b]" },
        { "a;b,c", ";,", "[a][b][c]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str rest = str_of(rows[i].in), word;
        char words[64] = "";

        while (str_next_word(&rest, rows[i].also, &word))
            snprintf(words + strlen(words), sizeof words - strlen(words), "[%.*s]", STR_ARG(word));
        assert_string_equal(words, rows[i].words);
        assert_int_equal(word.n, 0);
        assert_int_equal(rest.n, 0);
    }
}

static void test_a_nul_is_part_of_a_word(void **state)
{
    struct str rest = { "a\0b c", 5 }, word;

    (void)state;
    assert_true(str_next_word(&rest, ",", &word));
    assert_int_equal(word.n, 3);
    assert_memory_equal(word.p, "a\0b", 3);
    assert_true(str_next_word(&rest, ",", &word));
    assert_true(str_eq(word, "c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_a_nul_is_part_of_a_word),
        cmocka_unit_test(test_a_str_of_nothing_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
