#include "agent/link/lane_count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_at_one_moment(void **state)
{
    static const struct {
        const char *name;
        size_t min, max, lanes, up, streams;
        enum lane_change change;
    } rows[] = {
        { "none yet", 2, 8, 0, 0, 0, LANES_OPEN },
        { "one is missing", 2, 8, 1, 1, 0, LANES_OPEN },
        { "as many as wanted", 2, 8, 2, 2, 0, LANES_STAY },
        { "many streams, but no more than each may have", 2, 8, 2, 2, 256, LANES_STAY },
        { "one more than that", 2, 8, 2, 2, 257, LANES_OPEN },
        { "a third one has taken over", 2, 8, 3, 3, 300, LANES_STAY },
        { "one is on its way already", 2, 8, 3, 2, 900, LANES_STAY },
        { "as many as there may be", 2, 8, 8, 8, 5000, LANES_STAY },
        { "none may be added", 2, 2, 2, 2, 5000, LANES_STAY },
        { "more than there may be now", 1, 2, 3, 3, 5000, LANES_CLOSE },
        { "far more than enough, but only just", 2, 8, 3, 3, 0, LANES_STAY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lane_count c = { rows[i].min, rows[i].max, 0 };

        if (lane_count_tick(&c, rows[i].lanes, rows[i].up, rows[i].streams) != rows[i].change)
            fail_msg("%s", rows[i].name);
    }
}

/* Ticks with the same numbers until something is to change; how many it took. */
static int calm_ticks(struct lane_count *c, size_t lanes, size_t streams, enum lane_change *change)
{
    int n = 0;

    do
        n++;
    while ((*change = lane_count_tick(c, lanes, lanes, streams)) == LANES_STAY && n < 1000);
    return n;
}

static void test_closes_one_at_a_time_after_a_calm_minute(void **state)
{
    struct lane_count c = { 2, 8, 0 };
    enum lane_change change;

    (void)state;
    for (size_t lanes = 8; lanes > 2; lanes--) {
        assert_int_equal(calm_ticks(&c, lanes, 0, &change), LANE_CALM_TICKS);
        assert_int_equal(change, LANES_CLOSE);
    }
    assert_int_equal(calm_ticks(&c, 2, 0, &change), 1000);
}

static void test_a_busy_second_begins_the_minute_anew(void **state)
{
    struct lane_count c = { 2, 8, 0 };
    enum lane_change change;

    (void)state;
    for (int i = 1; i < LANE_CALM_TICKS; i++)
        assert_int_equal(lane_count_tick(&c, 3, 3, 127), LANES_STAY);
    assert_int_equal(lane_count_tick(&c, 3, 3, 128), LANES_STAY); /* two of them would have 64 each */
    assert_int_equal(calm_ticks(&c, 3, 127, &change), LANE_CALM_TICKS);
    assert_int_equal(change, LANES_CLOSE);
}

/* What makes it open one never makes it close one again: no streams are moved. */
static void test_never_goes_to_and_fro(void **state)
{
    (void)state;
    for (size_t lanes = 1; lanes < 8; lanes++) {
        struct lane_count c = { 1, 8, 0 };
        size_t streams = LANE_MANY_STREAMS * lanes + 1;
        enum lane_change change;

        assert_int_equal(lane_count_tick(&c, lanes, lanes, streams), LANES_OPEN);
        assert_int_equal(calm_ticks(&c, lanes + 1, streams, &change), 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_one_moment),
        cmocka_unit_test(test_closes_one_at_a_time_after_a_calm_minute),
        cmocka_unit_test(test_a_busy_second_begins_the_minute_anew),
        cmocka_unit_test(test_never_goes_to_and_fro),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
