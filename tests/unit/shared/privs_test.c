/* As root the changes are tried in a child; as anybody else there is nothing to give up. */
#include "shared/privs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

enum { NOBODY = 65534 };

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void nobody_else_to_become(void **state)
{
    struct temp *t = *state;
    struct privs_user user;

    assert_false(privs_owner(t->folder, &user)); /* our own */
    assert_false(privs_owner(temp_path(t, "missing"), &user));
    assert_false(privs_owner("/proc/self/stat", &user));
}

static void whose_a_folder_is(void **state)
{
    struct temp *t = *state;
    struct privs_user user;

    need_root();
    assert_int_equal(mkdir(temp_path(t, "theirs"), 0700), 0);
    assert_int_equal(chown(temp_path(t, "theirs"), NOBODY, 12345), 0);
    assert_true(privs_owner(temp_path(t, "theirs"), &user));
    assert_int_equal(user.uid, NOBODY);
    assert_int_equal(chown(temp_path(t, "theirs"), 54321, 12345), 0);
    assert_true(privs_owner(temp_path(t, "theirs"), &user));
    assert_string_equal(user.name, "user 54321");
    assert_int_equal(user.gid, 12345);
}

/* /tmp, where these folders are, is everybody's: somebody could exchange what lies there. */
static void nothing_is_made_where_others_may_write(void **state)
{
    struct temp *t = *state;
    const struct privs_user user = { .uid = NOBODY, .gid = NOBODY, .name = "nobody" };
    struct err e = { 0 };

    need_root();
    assert_int_equal(privs_give_folder(temp_path(t, "new/sock"), &user, &e), 0);
    assert_int_not_equal(access(temp_path(t, "new"), F_OK), 0);
    assert_int_equal(privs_give_file(temp_path(t, "new.log"), 0640, &user, &e), 0);
    assert_int_not_equal(access(temp_path(t, "new.log"), F_OK), 0);
    assert_int_equal(privs_give_file("relative.log", 0640, &user, &e), 0);
    assert_int_not_equal(access("relative.log", F_OK), 0);
}

/* 0, or a number for what was not as it should be. */
static int become(bool ports)
{
    const struct privs_user user = { .uid = 54321, .gid = 12345, .name = "user 54321" };
    gid_t groups[8];
    uid_t real, effective, saved;
    struct err e = { 0 };

    if (privs_become(&user, ports, &e) != 0)
        return 1;
    if (getresuid(&real, &effective, &saved) != 0 || real != 54321 || effective != 54321 || saved != 54321)
        return 2;
    if (getgroups(8, groups) != 1 || groups[0] != 12345 || getegid() != 12345)
        return 3;
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
        return 4;
    return strcmp(getenv("HOME"), "/") == 0 && !getenv("USER") ? 0 : 5;
}

static void no_way_back(void **unused)
{
    (void)unused;
    need_root();
    for (int ports = 0; ports < 2; ports++) {
        pid_t child = fork();
        int status;

        if (child == 0)
            _exit(become(ports));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_else_to_become, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(whose_a_folder_is, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(nothing_is_made_where_others_may_write, temp_make, temp_remove),
        cmocka_unit_test(no_way_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
