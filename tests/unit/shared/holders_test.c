#include "shared/holders.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_a_name_is_held_by_one(void **state)
{
    static const char *const names[] = { "", "a", "b", "aa", "ab", "A", "a.test", "*.a.test" };
    enum { N = sizeof names / sizeof *names };
    struct holders h = { 0 };

    (void)state;
    assert_null(holders_of(&h, STR("")));
    for (size_t i = 0; i < N; i++) {
        assert_null(holders_of(&h, str_of(names[i])));
        assert_null(holders_take(&h, str_of(names[i]), &names[i]));
    }
    for (size_t i = 0; i < N; i++) {
        assert_ptr_equal(holders_of(&h, str_of(names[i])), &names[i]);
        assert_ptr_equal(holders_take(&h, str_of(names[i]), &h), &names[i]);
        assert_ptr_equal(holders_of(&h, str_of(names[i])), &names[i]);
    }
    assert_null(holders_of(&h, STR("c")));
    assert_ptr_equal(holders_of(&h, (struct str){ "abc", 2 }), &names[4]);
    assert_ptr_equal(holders_of(&h, (struct str){ 0 }), &names[0]);
    holders_free(&h);
    assert_null(holders_of(&h, STR("a")));
    assert_null(holders_take(&h, STR("a"), &h));
    holders_free(&h);
}

/* The names are its own: the text that one came from may be gone. */
static void test_many_names(void **state)
{
    enum { N = 20000 };
    struct holders h = { 0 };
    static char each[N];
    char name[32];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%zu.test", i);
        assert_null(holders_take(&h, str_of(name), &each[i]));
    }
    for (size_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%zu.test", i);
        assert_ptr_equal(holders_of(&h, str_of(name)), &each[i]);
    }
    holders_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_held_by_one),
        cmocka_unit_test(test_many_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
