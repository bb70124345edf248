#include "tests/unit/loop_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void count(void *user)
{
    ++*(int *)user;
}

static void test_an_empty_loop_returns_at_once(void **state)
{
    struct loop *l = *state;

    loop_run(l);
    assert_ptr_equal(l->uv.data, l);
    assert_non_null(l->read_buf);
}

static void test_signals_are_told_apart(void **state)
{
    struct loop *l = *state;
    int one = 0, two = 0;

    assert_int_equal(loop_on_signal(l, SIGUSR1, count, &one, NULL), 0);
    assert_int_equal(loop_on_signal(l, SIGUSR2, count, &two, NULL), 0);
    raise(SIGUSR1);
    loop_settle(l);
    assert_int_equal(one, 1);
    assert_int_equal(two, 0);
    raise(SIGUSR2);
    raise(SIGUSR1);
    loop_settle(l);
    assert_int_equal(one, 2);
    assert_int_equal(two, 1);
    loop_stop_signals(l);
}

static void stop_signals(void *user)
{
    loop_stop_signals(user);
    loop_stop_signals(user); /* once more does no harm */
}

static void test_a_signal_keeps_the_loop_running_until_stopped(void **state)
{
    struct loop *l = *state;

    assert_int_equal(loop_on_signal(l, SIGUSR1, stop_signals, l, NULL), 0);
    raise(SIGUSR1);
    loop_run(l);
    assert_false(uv_loop_alive(&l->uv));
}

static void test_all_places_for_signals(void **state)
{
    static const int numbers[LOOP_SIGNALS] = { SIGUSR1, SIGUSR2, SIGHUP, SIGTERM };
    struct loop *l = *state;
    int caught = 0;

    for (int i = 0; i < LOOP_SIGNALS; i++)
        assert_int_equal(loop_on_signal(l, numbers[i], count, &caught, NULL), 0);
    for (int i = 0; i < LOOP_SIGNALS; i++)
        raise(numbers[i]);
    loop_settle(l);
    assert_int_equal(caught, LOOP_SIGNALS);
    loop_stop_signals(l);
}

static void test_a_signal_that_cannot_be_caught(void **state)
{
    struct err e = { 0 };

    assert_int_equal(loop_on_signal(*state, SIGKILL, count, NULL, &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_non_null(strstr(e.text, "cannot catch signal 9: "));
    loop_stop_signals(*state);
}

static void note_time(uv_timer_t *timer)
{
    *(int64_t *)timer->data = loop_now_ms(timer->loop->data);
    uv_close((uv_handle_t *)timer, NULL);
}

static void test_now_goes_forward(void **state)
{
    struct loop *l = *state;
    int64_t before = loop_now_ms(l), at = 0;
    uv_timer_t timer = { .data = &at };

    uv_timer_init(&l->uv, &timer);
    uv_timer_start(&timer, note_time, 5, 0);
    loop_run(l);
    assert_true(at >= before + 5);
}

/* The two ends of a loop in a process of its own: 0 when loop_free came back. */
static int end_of_loop(bool leave_one_alive)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        struct loop l;
        uv_timer_t timer;

        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        if (loop_init(&l, NULL) != 0)
            _exit(3);
        uv_timer_init(&l.uv, &timer);
        if (!leave_one_alive)
            uv_close((uv_handle_t *)&timer, NULL);
        loop_run(&l);
        loop_free(&l);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_what_is_left_alive_is_a_mistake(void **state)
{
    (void)state;
    assert_int_equal(end_of_loop(false), 0);
    assert_int_not_equal(end_of_loop(true), 0);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, loop_make, loop_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_an_empty_loop_returns_at_once),
        LOOP_TEST(test_signals_are_told_apart),
        LOOP_TEST(test_a_signal_keeps_the_loop_running_until_stopped),
        LOOP_TEST(test_all_places_for_signals),
        LOOP_TEST(test_a_signal_that_cannot_be_caught),
        LOOP_TEST(test_now_goes_forward),
        cmocka_unit_test(test_what_is_left_alive_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
