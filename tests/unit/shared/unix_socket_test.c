#include "shared/unix_socket.h"

#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/file.h"
#include "tests/unit/temp.h"

static const char no_group[] = "no-such-group-here";

static void end(struct unix_listener *l)
{
    close(l->fd);
    unix_listener_remove(l);
}

static void test_listens_and_is_removed(void **state)
{
    const char *path = temp_path(*state, "sock");
    struct unix_listener l;
    char byte = 0;
    int client, server;

    assert_int_equal(unix_listen(&l, path, no_group, 0660, NULL), 0);
    assert_string_equal(l.path, path);
    client = unix_connect(path, NULL);
    assert_true(client >= 0);
    server = accept(l.fd, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(read(server, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(client);
    close(server);
    end(&l);
    assert_int_equal(access(path, F_OK), -1);
    unix_listener_remove(&l); /* once more does nothing */
}

/* Returns whether the group has a name. */
static bool name_of_group(gid_t group, char *name, size_t room)
{
    const struct group *found = getgrgid(group);

    snprintf(name, room, "%s", found ? found->gr_name : no_group);
    return found;
}

static void test_mode(void **state)
{
    const char *path = temp_path(*state, "sock");
    char ours[64], roots[64];
    mode_t for_ours = name_of_group(getegid(), ours, sizeof ours) ? 0660 : 0600;
    mode_t for_roots = name_of_group(0, roots, sizeof roots) && (!geteuid() || !getegid()) ? 0660 : 0600;
    const struct {
        const char *group;
        mode_t asked, given;
    } rows[] = {
        { NULL, 0600, 0600 },     { NULL, 0660, 0660 },     { NULL, 0666, 0666 },
        { no_group, 0660, 0600 }, { ours, 0660, for_ours }, { roots, 0660, for_roots },
    };
    static const mode_t umasks[] = { 0, 077 };

    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        mode_t before = umask(umasks[i % 2]);
        struct unix_listener l;
        int rc = unix_listen(&l, path, rows[i / 2].group, rows[i / 2].asked, NULL);

        umask(before);
        assert_int_equal(rc, 0);
        assert_int_equal(temp_mode(path), rows[i / 2].given);
        end(&l);
    }
}

static void test_a_stale_file_is_taken_over(void **state)
{
    const char *path = temp_path(*state, "sock");
    struct unix_listener dead, l;
    int client;

    assert_int_equal(unix_listen(&dead, path, no_group, 0660, NULL), 0);
    close(dead.fd); /* as a killed process leaves it */
    assert_int_equal(unix_listen(&l, path, no_group, 0660, NULL), 0);
    client = unix_connect(path, NULL);
    assert_true(client >= 0);
    close(client);
    end(&l);
}

static void test_a_live_one_is_left_alone(void **state)
{
    const char *path = temp_path(*state, "sock");
    struct unix_listener l, second;
    struct err e = { 0 };
    char holder[64];
    int client;

    assert_int_equal(unix_listen(&l, path, no_group, 0660, NULL), 0);
    assert_int_equal(unix_listen(&second, path, no_group, 0660, &e), -1);
    assert_int_equal(second.fd, -1);
    assert_int_equal(e.code, ERR_TAKEN);
    file_describe_process(getpid(), holder, sizeof holder);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, holder));
    unix_listener_remove(&second); /* nothing of its own */
    client = unix_connect(path, NULL);
    assert_true(client >= 0);
    close(client);
    end(&l);
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
    struct temp *t = *state;
    const char *paths[] = { temp_file(t, "file", "precious", 0644), t->folder, temp_path(t, "link") };
    struct buf content = { 0 };

    assert_int_equal(symlink(temp_path(t, "none"), paths[2]), 0);
    for (size_t i = 0; i < 3; i++) {
        struct unix_listener l;
        struct err e = { 0 };

        assert_int_equal(unix_listen(&l, paths[i], no_group, 0660, &e), -1);
        assert_int_equal(e.code, ERR_TAKEN);
        assert_non_null(strstr(e.text, "exists and is not a socket"));
        unix_listener_remove(&l);
    }
    assert_int_equal(file_read(paths[0], 100, &content, NULL), 0);
    assert_string_equal(buf_text(&content), "precious");
    assert_int_equal(temp_count(t), 2);
    buf_free(&content);
}

static void test_the_length_of_paths(void **state)
{
    char path[200];
    size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    struct unix_listener l;
    struct err e = { 0 };

    memset(path, 'x', sizeof path);
    memcpy(path, temp_path(*state, ""), strlen(temp_path(*state, "")));
    path[most] = 0;
    assert_int_equal(unix_listen(&l, path, no_group, 0660, NULL), 0);
    assert_string_equal(l.path, path);
    end(&l);
    path[most] = 'x';
    path[most + 1] = 0;
    assert_int_equal(unix_listen(&l, path, no_group, 0660, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(unix_connect(path, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
}

static void test_only_our_own_file_is_removed(void **state)
{
    const char *path = temp_path(*state, "sock");
    struct unix_listener first, second;

    assert_int_equal(unix_listen(&first, path, no_group, 0660, NULL), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unix_listen(&second, path, no_group, 0660, NULL), 0);
    unix_listener_remove(&first);
    assert_int_equal(access(path, F_OK), 0);
    close(first.fd);
    end(&second);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_nobody_there(void **state)
{
    struct temp *t = *state;
    const char *path = temp_path(t, "sock");
    struct unix_listener l;
    struct err e = { 0 };

    assert_int_equal(unix_connect(path, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_int_equal(unix_listen(&l, path, no_group, 0660, NULL), 0);
    close(l.fd);
    e.code = ERR_NONE;
    assert_int_equal(unix_connect(path, &e), -1);
    assert_int_equal(e.code, ERR_MISSING);
    assert_non_null(strstr(e.text, path));
    unix_listener_remove(&l);
    assert_int_equal(unix_connect(temp_file(t, "file", "", 0600), &e), -1);
}

static void test_folders(void **state)
{
    struct temp *t = *state;
    struct unix_listener l;
    struct err e = { 0 };

    assert_int_equal(unix_listen(&l, temp_path(t, "run/sock"), no_group, 0660, NULL), 0); /* makes one */
    end(&l);
    assert_int_equal(unix_listen(&l, temp_path(t, "a/b/sock"), no_group, 0660, &e), -1); /* but not two */
    assert_int_equal(e.code, ERR_MISSING);
    temp_file(t, "file", "", 0600);
    assert_int_equal(unix_listen(&l, temp_path(t, "file/sock"), no_group, 0660, &e), -1);
    assert_int_equal(temp_count(t), 2);
}

/* ---- two that start at once ---- */

enum { RACERS = 4, ROUNDS = 25 };

static void race(const char *path, int go, int told, int over)
{
    struct unix_listener l;
    struct err e = { 0 };
    char byte;

    if (read(go, &byte, 1) != 0) /* the end of the pipe starts all at once */
        _exit(1);
    byte = unix_listen(&l, path, no_group, 0660, &e) == 0 ? 'w' : e.code == ERR_TAKEN ? 't' : '?';
    if (write(told, &byte, 1) != 1 || read(over, &byte, 1) != 0) /* the winner lives until all have tried */
        _exit(1);
    _exit(0);
}

static void run_race(const char *path, char *results)
{
    int go[2], told[2], over[2];

    assert_int_equal(pipe(go) | pipe(told) | pipe(over), 0);
    for (int i = 0; i < RACERS; i++)
        if (fork() == 0) {
            close(go[1]);
            close(over[1]);
            race(path, go[0], told[1], over[0]);
        }
    close(go[1]);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(read(told[0], results + i, 1), 1);
    close(over[1]);
    while (wait(NULL) > 0)
        continue;
    close(go[0]);
    close(told[0]);
    close(told[1]);
    close(over[0]);
}

static void test_of_several_that_start_at_once_one_wins(void **state)
{
    const char *path = temp_path(*state, "sock");

    for (int round = 0; round < ROUNDS; round++) { /* from the second on, a stale file lies there */
        char results[RACERS + 1] = "";
        int winners = 0;

        run_race(path, results);
        for (int i = 0; i < RACERS; i++)
            winners += results[i] == 'w';
        if (winners != 1 || strchr(results, '?'))
            fail_msg("round %d: %s", round, results);
    }
}

#define TEMP_TEST(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP_TEST(test_listens_and_is_removed),
        TEMP_TEST(test_mode),
        TEMP_TEST(test_a_stale_file_is_taken_over),
        TEMP_TEST(test_a_live_one_is_left_alone),
        TEMP_TEST(test_what_is_no_socket_is_left_alone),
        TEMP_TEST(test_the_length_of_paths),
        TEMP_TEST(test_only_our_own_file_is_removed),
        TEMP_TEST(test_nobody_there),
        TEMP_TEST(test_folders),
        TEMP_TEST(test_of_several_that_start_at_once_one_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
