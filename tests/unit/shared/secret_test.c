#include "shared/secret.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

enum { MAX = 64 };

/* Stands before the C library's: what a secret gives back to the system has to be wiped. */
static size_t given_back, not_wiped;

int munmap(void *mem, size_t n)
{
    given_back += n;
    for (size_t i = 0; i < n; i++)
        not_wiped += ((unsigned char *)mem)[i] != 0;
    return (int)syscall(SYS_munmap, mem, n);
}

static void test_free_wipes(void **state)
{
    static const size_t sizes[] = { 0, 1, 32, 4096, 5000 };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct secret s;

        secret_init(&s, sizes[i]);
        assert_int_equal(s.n, sizes[i]);
        assert_true(s.room >= s.n);
        for (size_t j = 0; j < s.n; j++)
            assert_int_equal(s.bytes[j], 0);
        memset(s.bytes, 0xa5, s.room);
        s.n = s.n / 2; /* what is not used any more is wiped as well */
        given_back = not_wiped = 0;
        secret_free(&s);
        assert_true(given_back >= sizes[i] && given_back > 0);
        assert_int_equal(not_wiped, 0);
        assert_null(s.bytes);
        secret_free(&s); /* does nothing */
    }
}

/* VmFlags of the mapping that holds p, from /proc/self/smaps. */
static void flags_of(const void *p, char *flags, size_t room)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    unsigned long from, to;
    int inside = 0;

    while (maps && fgets(flags, (int)room, maps)) {
        if (sscanf(flags, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (inside && strncmp(flags, "VmFlags:", 8) == 0)
            break;
    }
    if (maps)
        fclose(maps);
}

static void test_is_not_dumped(void **state)
{
    struct secret s;
    char flags[256] = "";
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (page == MAP_FAILED || madvise(page, 4096, MADV_DONTDUMP) != 0)
        skip(); /* this kernel cannot do it */
    flags_of(page, flags, sizeof flags);
    munmap(page, 4096);
    if (strncmp(flags, "VmFlags:", 8) != 0 || !strstr(flags, " dd"))
        skip(); /* this kernel does not tell, or qemu, which says that it has done it */
    secret_init(&s, 32);
    flags_of(s.bytes, flags, sizeof flags);
    secret_free(&s);
    assert_non_null(strstr(flags, " dd"));
}

static void test_modes(void **state)
{
    static const struct {
        mode_t mode;
        int rc;
    } rows[] = { { 0600, 0 },  { 0400, 0 },  { 0640, 0 },  { 0440, 0 },  { 0644, -1 },
                 { 0604, -1 }, { 0602, -1 }, { 0601, -1 }, { 0660, -1 }, { 0620, -1 },
                 { 0610, -1 }, { 0666, -1 }, { 0777, -1 } };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temp_file(*state, "key", "x", rows[i].mode);
        char remedy[256];
        struct err e = { 0 };
        struct secret s;

        if (secret_load(&s, path, MAX, &e) != rows[i].rc)
            fail_msg("mode %04o: %s", (unsigned)rows[i].mode, e.text);
        snprintf(remedy, sizeof remedy,
                 "has mode %04o, so others can reach the secret in it; run: chmod 600 %s",
                 (unsigned)rows[i].mode, path);
        assert_true(rows[i].rc == 0 || (e.code == ERR_INPUT && strstr(e.text, remedy)));
        assert_int_equal(s.bytes != NULL, rows[i].rc == 0);
        secret_free(&s);
        remove(path);
    }
}

static void test_a_foreign_group_may_not_read(void **state)
{
    const char *path = temp_file(*state, "key", "x", 0640);
    struct secret s;

    if (chown(path, (uid_t)-1, 54321) != 0)
        skip(); /* only root can make such a file */
    assert_int_equal(secret_load(&s, path, MAX, NULL), -1);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(secret_load(&s, path, MAX, NULL), 0);
    secret_free(&s);
}

static void test_content(void **state)
{
    static const struct {
        const char *name, *content, *secret; /* NULL: refused with code */
        enum err_code code;
    } rows[] = {
        { "no newline", "hunter2", "hunter2", ERR_NONE },
        { "a newline", "hunter2\n", "hunter2", ERR_NONE },
        { "a DOS newline", "hunter2\r\n", "hunter2", ERR_NONE },
        { "newlines inside", "a\nb\n", "a\nb", ERR_NONE },
        { "blanks stay", " a \n", " a ", ERR_NONE },
        { "as long as may be", "0123456789abcdef", "0123456789abcdef", ERR_NONE },
        { "one more", "0123456789abcdefg", NULL, ERR_LIMIT },
        { "far more", "0123456789abcdef0123456789abcdef0123456789abcdef", NULL, ERR_LIMIT },
        { "empty", "", NULL, ERR_INPUT },
        { "a newline alone", "\n", NULL, ERR_INPUT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temp_file(*state, "key", rows[i].content, 0600);
        struct err e = { 0 };
        struct secret s;

        given_back = not_wiped = 0;
        if ((secret_load(&s, path, 16, &e) == 0) != (rows[i].secret != NULL) || e.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, e.text);
        if (rows[i].secret) {
            assert_int_equal(s.n, strlen(rows[i].secret));
            assert_memory_equal(s.bytes, rows[i].secret, s.n);
        } else {
            assert_null(s.bytes);
            assert_non_null(strstr(e.text, path));
        }
        secret_free(&s);
        assert_int_equal(not_wiped, 0);
    }
}

static void test_what_is_no_file(void **state)
{
    struct temp *t = *state;
    struct err e = { 0 };
    struct secret s;

    assert_int_equal(secret_load(&s, temp_path(t, "none"), MAX, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_int_equal(secret_load(&s, t->folder, MAX, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.text, "is not a regular file"));
    assert_int_equal(secret_load(&s, "/dev/zero", MAX, &e), -1);
    assert_null(s.bytes);
}

static void test_eq(void **state)
{
    (void)state;
    assert_true(secret_eq("abcd", "abcd", 4));
    assert_true(secret_eq("abcd", "abce", 3));
    assert_true(secret_eq("a", "b", 0));
    for (size_t i = 0; i < 4; i++)
        for (int bit = 0; bit < 8; bit++) {
            char other[] = "abcd";

            other[i] = (char)(other[i] ^ 1 << bit);
            assert_false(secret_eq("abcd", other, 4));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_wipes),
        cmocka_unit_test(test_is_not_dumped),
        cmocka_unit_test_setup_teardown(test_modes, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_foreign_group_may_not_read, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_content, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_is_no_file, temp_make, temp_remove),
        cmocka_unit_test(test_eq),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
