/* What is done once behind a round of the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/round.h"

enum { ITEMS = 3 };

struct table;

struct guest {
    struct round_item item;
    struct table *table;
    int acted; /* the how-manieth of all */
    int again; /* how often he asks anew */
    struct guest *sends_off;
};

struct table {
    uv_loop_t loop;
    struct round round;
    struct guest guests[ITEMS];
    int acted;
};

static void on_acted(void *user)
{
    struct guest *g = user;

    g->acted = ++g->table->acted;
    if (g->sends_off)
        round_remove(&g->table->round, &g->sends_off->item);
    if (g->again-- > 0)
        round_add(&g->table->round, &g->item);
}

static int setup(void **state)
{
    static struct table t;

    memset(&t, 0, sizeof t);
    assert_int_equal(uv_loop_init(&t.loop), 0);
    round_init(&t.round, &t.loop);
    for (size_t i = 0; i < ITEMS; i++)
        t.guests[i] = (struct guest){ .item = { .act = on_acted, .user = &t.guests[i] }, .table = &t };
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct table *t = *state;

    round_close(&t->round);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t->loop), 0);
    return 0;
}

static void add(struct table *t, size_t i)
{
    round_add(&t->round, &t->guests[i].item);
}

/* Asked before the loop waits: it does not, and nothing else would wake it. */
static void test_each_once_in_order(void **state)
{
    struct table *t = *state;

    add(t, 2);
    add(t, 0);
    add(t, 2);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(t->acted, 2);
    assert_int_equal(t->guests[2].acted, 1);
    assert_int_equal(t->guests[0].acted, 2);
    add(t, 1);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(t->guests[1].acted, 3);
}

static void test_who_asks_anew_has_the_next_round(void **state)
{
    struct table *t = *state;

    t->guests[0].again = 2;
    add(t, 0);
    add(t, 1);
    uv_run(&t->loop, UV_RUN_ONCE);
    assert_int_equal(t->acted, 2);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(t->acted, 4);
}

static void test_who_is_sent_off(void **state)
{
    struct table *t = *state;

    for (size_t sender = 0; sender < ITEMS; sender++) {
        size_t gone = (sender + 1) % ITEMS;

        t->acted = 0;
        t->guests[sender].sends_off = &t->guests[gone];
        for (size_t i = 0; i < ITEMS; i++)
            add(t, i);
        uv_run(&t->loop, UV_RUN_DEFAULT);
        assert_int_equal(t->acted, gone > sender ? ITEMS - 1 : ITEMS);
        t->guests[sender].sends_off = NULL;
    }
    add(t, 0);
    add(t, 1);
    round_remove(&t->round, &t->guests[1].item);
    round_remove(&t->round, &t->guests[1].item);
    add(t, 2); /* behind the one that was the last */
    t->acted = 0;
    uv_run(&t->loop, UV_RUN_DEFAULT);
    assert_int_equal(t->acted, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_once_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_asks_anew_has_the_next_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_sent_off, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
