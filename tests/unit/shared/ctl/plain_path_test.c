#include "shared/ctl/plain_path.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

static void test_words(void **state)
{
    static const char *const rows[][2] = {
        { "/", "/" },
        { "//", "/" },
        { "/..", "/" },
        { "/../../none", "/none" },
        { "/none", "/none" },
        { "/none/a/", "/none/a" },
        { "//none///a", "/none/a" },
        { "/./none/./a/.", "/none/a" },
        { "/none/../a.none", "/a.none" },
        { "/none/a/../../b.none", "/b.none" },
        { "/none/a/..", "/none" },
        { "/none/.a/..b/...", "/none/.a/..b/..." },
        { "/none/a../b", "/none/a../b" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *plain = plain_path(rows[i][0]);

        assert_string_equal(plain, rows[i][1]);
        free(plain);
    }
}

static void check(struct temp *t, const char *path, const char *expected)
{
    char *plain = plain_path(temp_path(t, path));

    assert_string_equal(plain, temp_path(t, expected));
    free(plain);
}

static void test_links(void **state)
{
    struct temp *t = *state;

    assert_int_equal(mkdir(temp_path(t, "a"), 0700), 0);
    assert_int_equal(mkdir(temp_path(t, "b"), 0700), 0);
    assert_int_equal(mkdir(temp_path(t, "b/c"), 0700), 0);
    temp_file(t, "token", "", 0600);
    temp_file(t, "b/token", "", 0600);
    temp_file(t, "b/other", "", 0600);
    assert_int_equal(symlink(temp_path(t, "b/c"), temp_path(t, "link")), 0);
    assert_int_equal(symlink("token", temp_path(t, "named")), 0);
    check(t, "a/../token", "token");
    check(t, "a/../named", "named");
    check(t, "link/./x", "link/x");
    check(t, "link/../token", "b/token"); /* beside the link there is one of that name as well */
    check(t, "link/../other", "b/other");
    check(t, "link/../none", "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test_setup_teardown(test_links, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
