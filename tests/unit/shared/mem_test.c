#include "shared/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_new_is_zeroed_and_grow_keeps(void **state)
{
    char *p = mem_new(100);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    memset(p, 'a', 100);
    p = mem_grow(p, 100000);
    memset(p + 100, 'b', 100000 - 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 'a');
    free(p);
    p = mem_grow(NULL, 8);
    assert_non_null(p);
    free(p);
}

static void test_copies(void **state)
{
    static const char text[] = "relay.example.net";
    char *copy = mem_copy(text);

    (void)state;
    assert_string_equal(copy, text);
    assert_ptr_not_equal(copy, text);
    free(copy);
    assert_null(mem_copy(NULL));
    copy = mem_copy("");
    assert_string_equal(copy, "");
    free(copy);
}

static void test_copy_n_ends_with_nul(void **state)
{
    char *copy = mem_copy_n("abcdef", 3);

    (void)state;
    assert_string_equal(copy, "abc");
    free(copy);
    copy = mem_copy_n("a\0b", 3);
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = mem_copy_n("abc", 0);
    assert_string_equal(copy, "");
    free(copy);
}

static void test_format(void **state)
{
    char *text = mem_format("%s/%d", "lane", 42), *wide = mem_format("%5000d", 1),
         *none = mem_format("%s", "");

    (void)state;
    assert_string_equal(text, "lane/42");
    assert_int_equal(strlen(wide), 5000);
    assert_string_equal(none, "");
    free(text);
    free(wide);
    free(none);
}

/* A child asks for more than there is. It must not come back; its words are not for this terminal. */
static int status_after(void (*ask)(volatile size_t n))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        ask((size_t)-1 / 2 + 1); /* more than any object may have */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void ask_new(volatile size_t n)
{
    *(volatile char *)mem_new(n) = 1;
}

static void ask_grow(volatile size_t n)
{
    *(volatile char *)mem_grow(NULL, n) = 1;
}

static void test_no_memory_ends_the_process(void **state)
{
    (void)state;
    assert_int_not_equal(status_after(ask_new), 0);
    assert_int_not_equal(status_after(ask_grow), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_is_zeroed_and_grow_keeps), cmocka_unit_test(test_copies),
        cmocka_unit_test(test_copy_n_ends_with_nul),         cmocka_unit_test(test_format),
        cmocka_unit_test(test_no_memory_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
