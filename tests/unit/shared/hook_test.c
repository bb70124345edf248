/* A program of the operator's: it leads a group of its own, by which the time limit reaches its children. */
#include "shared/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

static void on_ended(void *user, const struct hook_end *end)
{
    assert_true(end->started && end->status == 0 && end->signal == 0);
    *(bool *)user = true;
}

static void test_a_group_of_its_own(void **state)
{
    char script[] = "/tmp/hook_test.XXXXXX", out[sizeof script + 4];
    const struct hook_variable variable = { "OUT", out };
    int fd = mkstemp(script), pid = 0, group = 0;
    bool ended = false;
    FILE *file;

    snprintf(out, sizeof out, "%s.out", script);
    dprintf(fd,
            "#!/bin/sh\nread -r pid name state parent group rest </proc/$$/stat\necho $pid $group >$OUT\n");
    fchmod(fd, 0700);
    close(fd);
    hook_run(*state, "on_change", script, &variable, 1, on_ended, &ended);
    loop_until(*state, &ended);
    file = fopen(out, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d %d", &pid, &group), 2);
    fclose(file);
    unlink(out);
    unlink(script);
    assert_true(pid > 1);
    assert_int_equal(pid, group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_group_of_its_own, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
