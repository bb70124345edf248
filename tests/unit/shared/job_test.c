#include "shared/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

struct work {
    struct loop *loop;
    struct job *job;
    uv_thread_t thread;
    bool ran, whole, ended;
};

static void on_ended(void *user)
{
    struct work *w = user;
    uv_thread_t here = uv_thread_self();

    assert_true(w->ran);
    assert_false(uv_thread_equal(&here, &w->thread)); /* on the loop, not on the job's thread */
    w->ended = true;
}

static void run_short(struct job *job, void *user)
{
    struct work *w = user;

    w->thread = uv_thread_self();
    w->whole = job_sleep(job, 1);
    w->ran = true;
}

static void run_long(struct job *job, void *user)
{
    struct work *w = user;

    w->thread = uv_thread_self();
    w->whole = job_sleep(job, 3600 * 1000);
    w->ran = true;
}

static void test_it_runs_and_ends(void **state)
{
    struct work w = { .loop = *state };

    assert_non_null(job_start(w.loop, run_short, on_ended, &w, NULL));
    assert_false(w.ended);
    loop_until(w.loop, &w.ended);
    assert_true(w.whole);
}

static void test_cancelling_wakes_it(void **state)
{
    struct work w = { .loop = *state };

    w.job = job_start(w.loop, run_long, on_ended, &w, NULL);
    job_cancel(w.job);
    loop_until(w.loop, &w.ended);
    assert_false(w.whole);
}

static void test_without_a_job(void **state)
{
    (void)state;
    assert_false(job_cancelled(NULL));
    assert_true(job_sleep(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_runs_and_ends, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_cancelling_wakes_it, loop_make, loop_end),
        cmocka_unit_test(test_without_a_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
