/* What is counted of a request, for its site and for its worker. */
#include "relay/edge/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

struct fixture {
    uv_loop_t loop;
    struct tally tally;
    struct counts *counts;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof f);
    assert_int_equal(uv_loop_init(&f.loop), 0);
    tally_init(&f.tally, &f.loop);
    f.counts = counts_new();
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    counts_release(f->counts);
    tally_close(&f->tally);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&f->loop);
}

static uint64_t times(const struct histogram *h)
{
    struct histogram_sum sum = { 0 };
    uint64_t n = 0;

    histogram_merge(&sum, h);
    for (int i = 0; i <= HISTOGRAM_BUCKETS; i++)
        n += sum.counts[i];
    return n;
}

static void test_each_end_of_a_request(void **state)
{
    struct fixture *f = *state;
    struct meter m;

    meter_begin(&m, &f->tally, f->counts); /* its service answers */
    meter_in(&m, 10);
    meter_sent(&m);
    meter_answered(&m, 204);
    meter_out(&m, 20);
    meter_end(&m);
    meter_begin(&m, &f->tally, f->counts); /* we do */
    meter_page(&m, 503);
    meter_end(&m);
    meter_begin(&m, &f->tally, f->counts); /* nobody does */
    meter_end(&m);
    assert_int_equal(f->counts->answers[2], 1);
    assert_int_equal(f->counts->answers[5], 1);
    assert_int_equal(f->counts->answers[0], 1);
    assert_int_equal(f->counts->bytes_in, 10);
    assert_int_equal(f->counts->bytes_out, 20);
    assert_int_equal(f->counts->refs, 1);
    assert_int_equal(times(&f->tally.edge), 2);
    assert_int_equal(times(&f->tally.service), 1);
}

/* A broken answer may be followed by a page of ours; the request was one. */
static void test_a_request_is_counted_once(void **state)
{
    struct fixture *f = *state;
    struct meter m;

    meter_begin(&m, &f->tally, f->counts);
    meter_sent(&m);
    meter_answered(&m, 200);
    meter_page(&m, 502);
    meter_end(&m);
    assert_int_equal(f->counts->answers[2], 1);
    assert_int_equal(f->counts->answers[5], 0);
    assert_int_equal(times(&f->tally.edge), 1);
}

static void on_timer(uv_timer_t *timer)
{
    struct fixture *f = timer->data;

    assert_int_not_equal(tally_now_us(&f->tally), 0);
}

/* The clock is asked once a round, and never remembered over a wait. */
static void test_the_clock(void **state)
{
    struct fixture *f = *state;
    uint64_t first = tally_now_us(&f->tally);
    uv_timer_t timer;

    assert_int_equal(tally_now_us(&f->tally), first);
    uv_timer_init(&f->loop, &timer);
    timer.data = f;
    uv_timer_start(&timer, on_timer, 0, 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    uv_run(&f->loop, UV_RUN_NOWAIT); /* libuv 1.45 and newer run timers at the end of a round */
    assert_int_equal(f->tally.now_us, 0);
    assert_true(tally_now_us(&f->tally) >= first);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT); /* it is gone before this returns */
}

static void test_every_reason_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < TALLY_REFUSALS; i++)
        assert_non_null(tally_refusal_text((enum tally_refusal)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_end_of_a_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_request_is_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_clock, setup, teardown),
        cmocka_unit_test(test_every_reason_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
