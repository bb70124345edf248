#include "relay/edge/parking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/mem.h"
#include "tests/unit/loop_fixture.h"

enum { LONG_MS = 300000, CROWD = PARKING_REQUESTS + 1 };

/* What everybody in this test shares. */
struct lot {
    struct loop *loop;
    struct parking *parking;
    struct counts *counts[2]; /* of a.test and of b.test */
    struct snapshot *snapshot;
    struct snapshot *before;
    struct buf woken; /* who, and why, in order */
    size_t woken_n;
    bool closed;
};

struct guest {
    struct lot *lot;
    int number;
    struct parked parked;
    enum parking_news news; /* PARKING_NONE: not woken */
    bool returns;
    struct guest *takes_along; /* who leaves when this one is woken */
};

static void on_closed(void *user)
{
    struct lot *lot = user;

    lot->closed = true;
}

static struct lot lot_begin(void **state, unsigned workers)
{
    struct lot lot = { .loop = *state, .counts = { counts_new(), counts_new() } };

    lot.parking = parking_new(lot.loop, workers);
    return lot;
}

/* A snapshot in which these lanes serve a.test, and b.test has none; lanes: their ids. NULL: there is no a.test. */
static void lot_follow(struct lot *lot, const char *lanes)
{
    static const unsigned char secret[PROXY2_SECRET_BYTES];
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    struct counts *of_lane = counts_new();
    struct policy policy;

    lot->before = lot->snapshot;
    lot->snapshot = snapshot_new();
    policy_defaults(&policy, 0);
    if (lanes)
        snapshot_add_name(lot->snapshot,
                          snapshot_add_site(lot->snapshot, "a.test", tls, &policy, lot->counts[0]), "a.test",
                          true);
    snapshot_add_name(lot->snapshot, snapshot_add_site(lot->snapshot, "b.test", tls, &policy, lot->counts[1]),
                      "b.test", true);
    for (; lanes && *lanes; lanes++)
        snapshot_add_site_lane(lot->snapshot, "a.test",
                               snapshot_add_lane(lot->snapshot, (uint64_t)(*lanes - '0'), "pi", "boot", 1,
                                                 1024, false, secret, of_lane),
                               0, NULL);
    snapshot_finish(lot->snapshot);
    parking_follow(lot->parking, lot->snapshot);
    snapshot_release(lot->before);
    counts_release(of_lane);
    SSL_CTX_free(tls);
}

static void lot_end(struct lot *lot)
{
    parking_stop(lot->parking, on_closed, lot);
    loop_until(lot->loop, &lot->closed);
    assert_int_equal(atomic_load(&lot->counts[0]->parked), 0);
    assert_int_equal(atomic_load(&lot->counts[1]->parked), 0);
    counts_release(lot->counts[0]);
    counts_release(lot->counts[1]);
    snapshot_release(lot->snapshot);
    buf_free(&lot->woken);
}

static void on_woken(void *user, enum parking_news news);

static bool enter(struct guest *g, const char *host, uint64_t not_lane, size_t bytes, int64_t ms)
{
    struct parking_place place = { .host = str_of(host),
                                   .counts = g->lot->counts[host[0] == 'b'],
                                   .not_lane = not_lane,
                                   .bytes = bytes,
                                   .ms = ms };

    g->parked.wake = on_woken;
    g->parked.user = g;
    return parking_enter(g->lot->parking, &g->parked, &place);
}

static void on_woken(void *user, enum parking_news news)
{
    static const char *const texts[] = { "none", "lane", "same", "over" };
    struct guest *g = user;

    assert_null(g->parked.parking);
    g->news = news;
    g->lot->woken_n++;
    buf_printf(&g->lot->woken, "%d %s;", g->number, texts[news]);
    if (g->takes_along)
        parking_leave(&g->takes_along->parked);
    if (g->returns)
        assert_int_equal(enter(g, "a.test", 0, 0, LONG_MS), news != PARKING_OVER);
}

static void wait_woken(struct lot *lot, size_t n)
{
    while (lot->woken_n < n && uv_run(&lot->loop->uv, UV_RUN_ONCE))
        continue;
}

static void test_a_lane_comes_back(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest a = { .lot = &lot, .number = 1 }, b = { .lot = &lot, .number = 2 },
                 c = { .lot = &lot, .number = 3 };

    lot_follow(&lot, "");
    assert_true(enter(&a, "a.test", 0, 0, LONG_MS));
    assert_true(enter(&b, "b.test", 0, 0, LONG_MS));
    assert_true(enter(&c, "A.test.", 0, 0, LONG_MS)); /* as a host may be written */
    assert_int_equal(atomic_load(&lot.counts[0]->parked), 2);
    assert_int_equal(atomic_load(&lot.counts[1]->parked), 1);
    loop_settle(lot.loop);
    assert_string_equal(buf_text(&lot.woken), "");
    lot_follow(&lot, "1");
    assert_string_equal(buf_text(&lot.woken), "1 lane;3 lane;");
    assert_int_equal(atomic_load(&lot.counts[0]->parked), 0);
    lot_end(&lot);
    assert_int_equal(b.news, PARKING_OVER);
}

static void test_the_time_is_over(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest a = { .lot = &lot, .number = 1 }, b = { .lot = &lot, .number = 2 };
    int64_t began_ms;

    lot_follow(&lot, "");
    assert_false(enter(&a, "a.test", 0, 0, 0));
    a = (struct guest){ .lot = &lot, .number = 1 };
    began_ms = loop_now_ms(lot.loop);
    assert_true(enter(&b, "a.test", 0, 0, LONG_MS));
    assert_true(enter(&a, "a.test", 0, 0, 250));
    wait_woken(&lot, 1);
    assert_true(loop_now_ms(lot.loop) - began_ms >= 250);
    assert_string_equal(buf_text(&lot.woken), "1 over;");
    assert_false(enter(&a, "a.test", 0, 0, LONG_MS)); /* one such time in all */
    lot_end(&lot);
}

static void test_the_site_is_gone(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest a = { .lot = &lot, .number = 1 };

    lot_follow(&lot, "");
    assert_true(enter(&a, "a.test", 0, 0, LONG_MS));
    lot_follow(&lot, NULL);
    assert_string_equal(buf_text(&lot.woken), "1 lane;"); /* he is told when he looks for it */
    lot_end(&lot);
}

static void test_a_lane_that_failed_does_not_count(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest a = { .lot = &lot, .number = 1 }, b = { .lot = &lot, .number = 2 };
    int64_t began_ms;

    lot_follow(&lot, "1");
    began_ms = loop_now_ms(lot.loop);
    assert_true(enter(&a, "a.test", 1, 0, LONG_MS));
    assert_true(
        enter(&b, "a.test", 2, 0, LONG_MS)); /* another one: there is a lane for him at the next look */
    wait_woken(&lot, 1);
    assert_string_equal(buf_text(&lot.woken), "2 lane;");
    lot_follow(&lot, "1");
    assert_int_equal(lot.woken_n, 1);
    wait_woken(&lot, 2); /* it has not died after all */
    assert_true(loop_now_ms(lot.loop) - began_ms >= PARKING_NEWS_MS);
    assert_string_equal(buf_text(&lot.woken), "2 lane;1 same;");
    assert_true(enter(&a, "a.test", 1, 0, LONG_MS));
    uv_run(&lot.loop->uv, UV_RUN_ONCE); /* a tick, for the pace */
    lot_follow(&lot, "13");
    assert_string_equal(buf_text(&lot.woken), "2 lane;1 same;1 lane;");
    lot_end(&lot);
}

static void test_the_pace(void **state)
{
    enum { N = 3 * PARKING_PACE + 1 };
    struct lot lot = lot_begin(state, 2); /* of whom this one has half */
    struct guest crowd[N];
    int64_t began_ms;

    lot_follow(&lot, "");
    for (int i = 0; i < N; i++) {
        crowd[i] = (struct guest){ .lot = &lot, .number = i };
        assert_true(enter(&crowd[i], "a.test", 0, 0,
                          1000)); /* for whose turn it is not yet, the time does not count */
    }
    began_ms = loop_now_ms(lot.loop);
    lot_follow(&lot, "1");
    assert_int_equal(lot.woken_n, PARKING_PACE / 2);
    lot_follow(&lot, "12");
    assert_int_equal(lot.woken_n, PARKING_PACE / 2); /* not faster by news */
    wait_woken(&lot, N);
    assert_true(loop_now_ms(lot.loop) - began_ms >= (N / (PARKING_PACE / 2)) * PARKING_PACE_MS);
    for (int i = 0; i < N; i++)
        assert_int_equal(crowd[i].news, PARKING_LANE);
    lot_end(&lot);
}

static void test_bounds(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest *crowd = mem_new(CROWD * sizeof *crowd);
    char host[32];
    int n = 0;

    lot_follow(&lot, "");
    for (int i = 0; i < CROWD; i++)
        crowd[i] = (struct guest){ .lot = &lot, .number = i };
    while (enter(&crowd[n], "a.test", 0, 0, LONG_MS))
        n++;
    assert_int_equal(n, PARKING_PER_SITE);
    for (; n < CROWD - 1; n++) { /* in truth they would have counts of their own */
        snprintf(host, sizeof host, "b%d.test", n);
        atomic_store(&lot.counts[1]->parked, 0);
        assert_true(enter(&crowd[n], host, 0, 0, LONG_MS));
    }
    atomic_store(&lot.counts[1]->parked, 0);
    assert_int_equal(n, PARKING_REQUESTS);
    assert_false(enter(&crowd[n], "b.test", 0, 0, LONG_MS));
    parking_leave(&crowd[0].parked);
    assert_true(enter(&crowd[n], "b.test", 0, 0, LONG_MS));
    atomic_store(&lot.counts[1]->parked, PARKING_REQUESTS - PARKING_PER_SITE + 1);
    for (int i = 0; i < CROWD; i++)
        parking_leave(&crowd[i].parked);
    lot_end(&lot);
    free(crowd);
}

static void test_bytes(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest a = { .lot = &lot }, b = { .lot = &lot }, c = { .lot = &lot };

    lot_follow(&lot, "");
    assert_false(enter(&a, "a.test", 0, PARKING_BYTES + 1, LONG_MS));
    assert_true(enter(&a, "a.test", 0, PARKING_BYTES - 1000, LONG_MS));
    assert_false(enter(&b, "a.test", 0, 1001, LONG_MS));
    assert_true(enter(&b, "a.test", 0, 400, LONG_MS));
    assert_true(parking_grow(&b.parked, 1000));
    assert_true(parking_grow(&b.parked, 500)); /* he does not get any back until he leaves */
    assert_false(parking_grow(&b.parked, 1001));
    assert_false(enter(&c, "a.test", 0, 1, LONG_MS));
    parking_leave(&b.parked);
    assert_true(enter(&c, "a.test", 0, 1000, LONG_MS));
    lot_end(&lot);
}

/* First, in the middle, last, alone, and who does not wait at all. */
static void test_leaving(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest guests[4];

    lot_follow(&lot, "");
    for (int i = 0; i < 4; i++) {
        guests[i] = (struct guest){ .lot = &lot, .number = i };
        assert_true(enter(&guests[i], "a.test", 0, 10, LONG_MS));
    }
    parking_leave(&guests[1].parked);
    parking_leave(&guests[1].parked);
    parking_leave(&guests[0].parked);
    parking_leave(&guests[3].parked);
    assert_int_equal(atomic_load(&lot.counts[0]->parked), 1);
    parking_leave(&guests[2].parked);
    assert_true(enter(&guests[0], "a.test", 0, 10, LONG_MS));
    lot_follow(&lot, "1");
    assert_string_equal(buf_text(&lot.woken), "0 lane;");
    lot_end(&lot);
}

/* Who is woken may make others leave who were to be woken as well, or come back himself. */
static void test_waking_changes_the_list(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest guests[4];

    lot_follow(&lot, "");
    for (int i = 0; i < 4; i++) {
        guests[i] = (struct guest){ .lot = &lot, .number = i };
        assert_true(enter(&guests[i], "a.test", 0, 0, LONG_MS));
    }
    guests[0].takes_along = &guests[1];
    guests[2].takes_along = &guests[0];
    guests[0].returns = guests[2].returns = true;
    lot_follow(&lot, "1");
    assert_string_equal(buf_text(&lot.woken), "0 lane;2 lane;3 lane;");
    assert_int_equal(atomic_load(&lot.counts[0]->parked), 1);
    lot_end(&lot);
    assert_string_equal(guests[2].news == PARKING_OVER ? "over" : "", "over");
}

static void test_drain(void **state)
{
    struct lot lot = lot_begin(state, 1);
    struct guest a = { .lot = &lot, .number = 1, .returns = true }, b = { .lot = &lot, .number = 2 };

    lot_follow(&lot, "");
    assert_true(enter(&a, "a.test", 0, 0, LONG_MS));
    assert_true(enter(&b, "b.test", 0, 0, LONG_MS));
    parking_drain(lot.parking);
    assert_int_equal(lot.woken_n, 2);
    assert_int_equal(a.news, PARKING_OVER);
    b = (struct guest){ .lot = &lot };
    assert_false(enter(&b, "b.test", 0, 0, LONG_MS));
    lot_follow(&lot, "1");
    lot_end(&lot);
    assert_int_equal(lot.woken_n, 2);
}

static void test_stop_before_anything(void **state)
{
    struct lot lot = lot_begin(state, 64);

    lot_end(&lot);
}

static void test_stop_while_some_wait_for_their_turn(void **state)
{
    enum { N = PARKING_PACE + 5 };
    struct lot lot = lot_begin(state, 1);
    struct guest crowd[N];
    int over = 0;

    lot_follow(&lot, "");
    for (int i = 0; i < N; i++) {
        crowd[i] = (struct guest){ .lot = &lot, .number = i };
        assert_true(enter(&crowd[i], "a.test", 0, 0, LONG_MS));
    }
    lot_follow(&lot, "1");
    lot_end(&lot);
    for (int i = 0; i < N; i++)
        over += crowd[i].news == PARKING_OVER;
    assert_int_equal(over, N - PARKING_PACE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_make, loop_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lane_comes_back),
        TEST(test_the_time_is_over),
        TEST(test_the_site_is_gone),
        TEST(test_a_lane_that_failed_does_not_count),
        TEST(test_the_pace),
        TEST(test_bounds),
        TEST(test_bytes),
        TEST(test_leaving),
        TEST(test_waking_changes_the_list),
        TEST(test_drain),
        TEST(test_stop_before_anything),
        TEST(test_stop_while_some_wait_for_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
