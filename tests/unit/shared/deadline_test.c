#include "shared/deadline.h"
#include "tests/unit/loop_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct watched {
    struct deadline d;
    struct loop *loop;
    int lates, closeds;
    uint64_t late_at_ms;
    bool again; /* sets another one when it is late for the first time */
};

static void on_closed(void *user)
{
    ((struct watched *)user)->closeds++;
}

static void on_late(void *user)
{
    struct watched *w = user;

    w->late_at_ms = uv_now(&w->loop->uv);
    if (w->lates++ == 0 && w->again)
        deadline_set(&w->d, 1);
    else
        deadline_close(&w->d, on_closed);
}

/* Returns the loop's time. */
static uint64_t begin(struct watched *w, void **state)
{
    w->loop = *state;
    deadline_init(&w->d, &w->loop->uv, on_late, w);
    uv_update_time(&w->loop->uv);
    return uv_now(&w->loop->uv);
}

static void test_is_late_once(void **state)
{
    struct watched w = { 0 };
    uint64_t began_ms = begin(&w, state);

    deadline_set(&w.d, 5);
    loop_run(w.loop);
    assert_int_equal(w.lates, 1);
    assert_int_equal(w.closeds, 1);
    assert_true(w.late_at_ms >= began_ms + 5);
}

static void test_put_off_it_is_late_later(void **state)
{
    struct watched w = { 0 };
    uint64_t began_ms = begin(&w, state);

    deadline_set(&w.d, 1);
    deadline_set(&w.d, 30);
    loop_run(w.loop);
    assert_int_equal(w.lates, 1);
    assert_true(w.late_at_ms >= began_ms + 30);
}

static void test_brought_forward_it_is_late_earlier(void **state)
{
    struct watched w = { 0 };
    uint64_t began_ms = begin(&w, state);

    deadline_set(&w.d, 3600 * 1000);
    deadline_set(&w.d, 2);
    loop_run(w.loop); /* an hour would be more than the fixture's patience */
    assert_int_equal(w.lates, 1);
    assert_true(w.late_at_ms >= began_ms + 2);
}

static void test_cleared_it_is_never_late(void **state)
{
    struct watched w = { 0 };

    begin(&w, state);
    assert_false(deadline_is_set(&w.d));
    deadline_set(&w.d, 1);
    assert_true(deadline_is_set(&w.d));
    deadline_clear(&w.d);
    assert_false(deadline_is_set(&w.d));
    loop_run(w.loop); /* until nothing is left to wait for */
    assert_int_equal(w.lates, 0);
    deadline_close(&w.d, on_closed);
    loop_run(w.loop);
    assert_int_equal(w.lates, 0);
    assert_int_equal(w.closeds, 1);
}

static void test_set_again_after_it_was_cleared(void **state)
{
    struct watched w = { 0 };
    uint64_t began_ms = begin(&w, state);

    deadline_set(&w.d, 1);
    deadline_clear(&w.d);
    deadline_set(&w.d, 20);
    loop_run(w.loop);
    assert_int_equal(w.lates, 1);
    assert_true(w.late_at_ms >= began_ms + 20);
}

static void test_set_anew_when_late(void **state)
{
    struct watched w = { .again = true };

    begin(&w, state);
    deadline_set(&w.d, 1);
    loop_run(w.loop);
    assert_int_equal(w.lates, 2);
    assert_int_equal(w.closeds, 1);
}

static void test_closed_it_is_never_late(void **state)
{
    struct watched w = { 0 };

    begin(&w, state);
    deadline_set(&w.d, 0);
    deadline_close(&w.d, on_closed);
    loop_run(w.loop);
    assert_int_equal(w.lates, 0);
    assert_int_equal(w.closeds, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_is_late_once, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_put_off_it_is_late_later, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_brought_forward_it_is_late_earlier, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_cleared_it_is_never_late, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_set_again_after_it_was_cleared, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_set_anew_when_late, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_closed_it_is_never_late, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
