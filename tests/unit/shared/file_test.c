#include "shared/file.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

static void assert_content(const char *path, const char *content)
{
    struct buf b = { 0 };

    assert_int_equal(file_read(path, 1000, &b, NULL), 0);
    assert_string_equal(buf_text(&b), content);
    buf_free(&b);
}

static void test_read(void **state)
{
    struct temp *t = *state;
    const struct {
        const char *path;
        size_t max;
        enum err_code code;
        const char *text;
    } rows[] = {
        { temp_file(t, "ten", "0123456789", 0600), 10, ERR_NONE, "" },
        { temp_path(t, "ten"), 9, ERR_LIMIT, "is larger than 9 bytes" },
        { temp_file(t, "empty", "", 0600), 0, ERR_NONE, "" },
        { temp_path(t, "none"), 10, ERR_MISSING, "cannot open" },
        { t->folder, 10, ERR_INPUT, "is a folder, not a file" },
        { "/dev/zero", 100000, ERR_LIMIT, "/dev/zero is larger than 100000 bytes" },
        { "/proc/self/stat", 100000, ERR_NONE, "" }, /* says that it is empty, and is not */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = { 0 };
        struct err e = { 0 };

        buf_add_text(&b, "before ");
        assert_int_equal(file_read(rows[i].path, rows[i].max, &b, &e), rows[i].code ? -1 : 0);
        assert_int_equal(e.code, rows[i].code);
        assert_non_null(strstr(e.text, rows[i].text));
        assert_memory_equal(buf_bytes(&b), "before ", 7);
        if (i == 0)
            assert_string_equal(buf_text(&b), "before 0123456789");
        if (i == 6)
            assert_true(b.len > 7);
        buf_free(&b);
    }
}

static void test_write_makes_and_replaces(void **state)
{
    static const char *const contents[] = { "first", "", "a longer one than before", "x" };
    struct temp *t = *state;
    const char *path = temp_path(t, "file");

    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        assert_int_equal(file_write(path, contents[i], strlen(contents[i]), 0600, NULL), 0);
        assert_content(path, contents[i]);
    }
    assert_int_equal(temp_count(t), 1);
}

static void test_write_large(void **state)
{
    const char *path = temp_path(*state, "file");
    struct buf in = { 0 }, out = { 0 };

    for (int i = 0; in.len < 3 << 20; i++)
        buf_printf(&in, "%d ", i);
    assert_int_equal(file_write(path, buf_bytes(&in), in.len, 0600, NULL), 0);
    assert_int_equal(file_read(path, in.len, &out, NULL), 0);
    assert_int_equal(out.len, in.len);
    assert_memory_equal(buf_bytes(&out), buf_bytes(&in), in.len);
    buf_free(&in);
    buf_free(&out);
}

static void test_write_mode_is_exact(void **state)
{
    static const mode_t umasks[] = { 0, 022, 077, 0777 }, modes[] = { 0600, 0640, 0644, 0664, 0400, 0755 };
    const char *path = temp_path(*state, "file");

    for (size_t u = 0; u < sizeof umasks / sizeof umasks[0]; u++)
        for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
            mode_t before = umask(umasks[u]);
            int rc = file_write(path, "x", 1, modes[m], NULL);

            umask(before);
            assert_int_equal(rc, 0);
            assert_int_equal(temp_mode(path), modes[m]);
        }
}

/* Another name of the same file keeps the old content: it was replaced, not written over. */
static void test_write_does_not_touch_the_old_file(void **state)
{
    struct temp *t = *state;
    const char *path = temp_file(t, "file", "old", 0644), *other = temp_path(t, "other");

    assert_int_equal(link(path, other), 0);
    assert_int_equal(file_write(path, "new", 3, 0600, NULL), 0);
    assert_content(path, "new");
    assert_content(other, "old");
    assert_int_equal(temp_mode(other), 0644);
}

static void test_write_with_a_folder_in_the_way(void **state)
{
    struct temp *t = *state;
    const char *path = temp_path(t, "file");
    struct err e = { 0 };

    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(file_write(path, "new", 3, 0600, &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_non_null(strstr(e.text, path));
    assert_int_equal(temp_count(t), 1); /* no temporary file is left */
}

static void test_write_without_a_folder(void **state)
{
    struct err e = { 0 };

    assert_int_equal(file_write(temp_path(*state, "none/file"), "new", 3, 0600, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
}

static void test_write_where_we_may_not(void **state)
{
    struct temp *t = *state;
    const char *path = temp_file(t, "file", "old", 0644);
    struct err e = { 0 };

    if (geteuid() == 0)
        skip(); /* root may everything */
    assert_int_equal(chmod(t->folder, 0500), 0);
    assert_int_equal(file_write(path, "new", 3, 0600, &e), -1);
    assert_int_equal(chmod(t->folder, 0700), 0);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_content(path, "old");
    assert_int_equal(temp_count(t), 1);
}

/* As on a full disk: the file cannot be written to its end. */
static void test_write_that_breaks_off(void **state)
{
    struct temp *t = *state;
    const char *path = temp_file(t, "file", "old", 0644);
    struct rlimit before, small;
    static const char bytes[8192];
    struct err e = { 0 };
    int rc;

    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){ 4096, before.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    rc = file_write(path, bytes, sizeof bytes, 0600, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_content(path, "old");
    assert_int_equal(temp_mode(path), 0644);
    assert_int_equal(temp_count(t), 1);
}

static void test_write_replaces_a_link_itself(void **state)
{
    struct temp *t = *state;
    const char *target = temp_file(t, "target", "old", 0644), *path = temp_path(t, "link");

    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(file_write(path, "new", 3, 0600, NULL), 0);
    assert_content(path, "new");
    assert_content(target, "old");
}

static void test_make_folder(void **state)
{
    struct temp *t = *state;
    struct err e = { 0 };
    const char *made = temp_path(t, "made"), *file = temp_file(t, "file", "", 0600);

    assert_int_equal(file_make_folder(made, 0700, &e), 0);
    assert_int_equal(temp_mode(made), 0700);
    assert_int_equal(file_make_folder(made, 0755, &e), 0);
    assert_int_equal(temp_mode(made), 0700); /* an existing one stays as it is */
    assert_int_equal(file_make_folder(file, 0700, &e), -1);
    assert_non_null(strstr(e.text, "is not a folder"));
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(file_make_folder(temp_path(t, "a/b"), 0700, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
}

static void test_describe_process(void **state)
{
    char text[64], expected[64], little[6];

    (void)state;
    prctl(PR_SET_NAME, "tunnel) 1 (x", 0, 0, 0);
    snprintf(expected, sizeof expected, "pid %d (tunnel) 1 (x)", (int)getpid());
    file_describe_process(getpid(), text, sizeof text);
    assert_string_equal(text, expected);
    file_describe_process(1 << 30, text, sizeof text);
    assert_string_equal(text, "pid 1073741824");
    file_describe_process(1 << 30, little, sizeof little);
    assert_string_equal(little, "pid 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_makes_and_replaces, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_large, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_mode_is_exact, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_does_not_touch_the_old_file, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_with_a_folder_in_the_way, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_without_a_folder, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_where_we_may_not, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_that_breaks_off, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_write_replaces_a_link_itself, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_make_folder, temp_make, temp_remove),
        cmocka_unit_test(test_describe_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
