#include "shared/state_dir.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/file.h"
#include "shared/unix_socket.h"
#include "tests/unit/temp.h"

static void test_is_made_for_us_alone(void **state)
{
    static const mode_t umasks[] = { 0, 022, 077 };
    const char *path = temp_path(*state, "state");

    for (size_t i = 0; i < sizeof umasks / sizeof umasks[0]; i++) {
        mode_t before = umask(umasks[i]);
        int fd = state_dir_take(path, NULL);

        umask(before);
        assert_true(fd >= 0);
        assert_int_equal(temp_mode(path), 0700);
        close(fd);
        assert_int_equal(unlink(temp_path(*state, "state/lock")), 0);
        assert_int_equal(rmdir(path), 0);
    }
}

static void test_an_existing_one_keeps_its_mode(void **state)
{
    static const mode_t modes[] = { 0700, 0750, 0755 };
    const char *path = temp_path(*state, "state");

    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int fd;

        assert_int_equal(chmod(path, modes[i]), 0);
        fd = state_dir_take(path, NULL);
        assert_true(fd >= 0);
        assert_int_equal(temp_mode(path), modes[i]);
        close(fd);
    }
}

static void test_what_everybody_can_write_is_refused(void **state)
{
    const char *path = temp_path(*state, "state");
    struct err e = { 0 };
    int fd;

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0707), 0);
    assert_int_equal(state_dir_take(path, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.text, "chmod o-w /tmp/"));
    assert_int_equal(chmod(path, 0705), 0);
    fd = state_dir_take(path, NULL); /* the refusal holds nothing */
    assert_true(fd >= 0);
    close(fd);
}

static void test_what_is_no_folder_is_refused(void **state)
{
    struct temp *t = *state;
    struct err e = { 0 };

    assert_int_equal(state_dir_take(temp_file(t, "file", "x", 0600), &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.text, "is not a folder"));
    assert_int_equal(state_dir_take(temp_path(t, "none/state"), &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
}

static void test_what_we_cannot_write_is_refused(void **state)
{
    const char *path = temp_path(*state, "state");
    struct err e = { 0 };

    if (geteuid() == 0)
        skip(); /* root can write everything */
    assert_int_equal(mkdir(path, 0500), 0);
    assert_int_equal(state_dir_take(path, &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_non_null(strstr(e.text, "cannot write the state folder /tmp/"));
}

static void test_is_held_until_closed(void **state)
{
    const char *path = temp_path(*state, "state");
    struct err e = { 0 };
    int fd = state_dir_take(path, NULL), again;

    assert_true(fd >= 0);
    assert_int_equal(state_dir_take(path, &e), -1);
    assert_int_equal(e.code, ERR_TAKEN);
    close(fd);
    again = state_dir_take(path, NULL);
    assert_true(again >= 0);
    close(again);
}

/* A process that holds the folder until we close our end of *until. */
static pid_t hold(const char *path, int *until)
{
    int held[2], end[2];
    pid_t child;
    char byte;

    assert_int_equal(pipe(held) | pipe(end), 0);
    child = fork();
    if (child == 0) {
        close(end[1]);
        if (state_dir_take(path, NULL) < 0 || write(held[1], "x", 1) != 1 || read(end[0], &byte, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(held[1]);
    close(end[0]);
    assert_int_equal(read(held[0], &byte, 1), 1);
    close(held[0]);
    *until = end[1];
    return child;
}

static void test_another_process_is_named(void **state)
{
    const char *path = temp_path(*state, "state");
    struct err e = { 0 };
    char holder[64];
    int until, fd, status = -1;
    pid_t child = hold(path, &until);

    assert_int_equal(state_dir_take(path, &e), -1);
    assert_int_equal(e.code, ERR_TAKEN);
    file_describe_process(child, holder, sizeof holder);
    assert_non_null(strstr(e.text, path));
    if (!strstr(e.text, holder)) /* /proc/locks does not show locks of another pid namespace */
        assert_non_null(strstr(e.text, "another process"));
    close(until);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fd = state_dir_take(path, NULL); /* whoever dies lets go */
    assert_true(fd >= 0);
    close(fd);
}

/* Stands before the C library's, so that a wait is counted and not waited for. */
static int waits;

int usleep(useconds_t usec)
{
    (void)usec;
    return waits++ > 1000 ? -1 : 0;
}

/* A daemon may have its control socket in its state folder; both lock that folder. */
static void test_a_socket_in_a_held_folder_is_made_at_once(void **state)
{
    const char *path = temp_path(*state, "state");
    int fd = state_dir_take(path, NULL);
    struct unix_listener l;

    assert_true(fd >= 0);
    assert_int_equal(unix_listen(&l, temp_path(*state, "state/sock"), NULL, 0600, NULL), 0);
    close(l.fd);
    unix_listener_remove(&l);
    close(fd);
    assert_int_equal(waits, 0);
}

#define TEMP_TEST(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_TEST(test_is_made_for_us_alone),
        TEMP_TEST(test_an_existing_one_keeps_its_mode),
        TEMP_TEST(test_what_everybody_can_write_is_refused),
        TEMP_TEST(test_what_is_no_folder_is_refused),
        TEMP_TEST(test_what_we_cannot_write_is_refused),
        TEMP_TEST(test_is_held_until_closed),
        TEMP_TEST(test_another_process_is_named),
        TEMP_TEST(test_a_socket_in_a_held_folder_is_made_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
