#include "relay/edge/credit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { KIB = 1024, FIRST = 256 * KIB, MOST = 2048 * KIB };

static void send_all(struct credit *c, int64_t now_ms)
{
    credit_use(c, credit_room(c), now_ms);
    assert_int_equal(credit_room(c), 0);
}

static void test_room(void **state)
{
    struct credit c;

    (void)state;
    credit_init(&c);
    assert_int_equal(credit_room(&c), FIRST);
    credit_use(&c, 100, 0);
    assert_int_equal(credit_room(&c), FIRST - 100);
    assert_true(credit_give(&c, 60, 0));
    assert_int_equal(credit_room(&c), FIRST - 40);
}

static void test_what_cannot_be_is_ignored(void **state)
{
    struct credit c;

    (void)state;
    credit_init(&c);
    credit_use(&c, 100, 0);
    assert_true(credit_give(&c, 50, 0));
    assert_false(credit_give(&c, 50, 0));
    assert_false(credit_give(&c, 10, 0));
    assert_false(credit_give(&c, 101, 0));
    assert_int_equal(credit_room(&c), FIRST - 50);
}

struct pace {
    const char *name;
    unsigned step;   /* that one word gives */
    int64_t step_ms; /* between two words */
    uint64_t want;   /* after 16 MiB */
};

static const struct pace paces[] = {
    { "as fast as words come", 64 * KIB, 10, MOST },
    { "in one piece", 256 * KIB, 100, MOST },
    { "as much as the first credit in a second", 64 * KIB, 250, 2 * FIRST },
    { "less", 64 * KIB, 260, FIRST },
    { "hardly", 4 * KIB, 100, FIRST },
};

/* The relay always sends all that it may. */
static void test_grows_with_a_service_that_keeps_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paces / sizeof *paces; i++) {
        struct credit c;
        int64_t now_ms = 5000;

        print_message("row: %s\n", paces[i].name);
        credit_init(&c);
        while (c.consumed < 16 * MOST / 2) {
            send_all(&c, now_ms);
            now_ms += paces[i].step_ms;
            assert_true(credit_give(&c, c.consumed + paces[i].step, now_ms));
        }
        assert_int_equal(c.bytes, paces[i].want);
    }
}

/* One whose visitor is the slow one has all the credit it needs. */
static void test_stays_when_nobody_waits(void **state)
{
    struct credit c;

    (void)state;
    credit_init(&c);
    for (int64_t now_ms = 0; now_ms < 100000; now_ms += 10) {
        credit_use(&c, FIRST - KIB, now_ms);
        assert_true(credit_give(&c, c.sent, now_ms + 5));
    }
    assert_int_equal(c.bytes, FIRST);
}

/* Bytes of an old request, long ago, say nothing about this one. */
static void test_begins_anew_after_a_pause(void **state)
{
    struct credit c;

    (void)state;
    credit_init(&c);
    credit_use(&c, 1000, 0);
    assert_true(credit_give(&c, 1000, 10));
    send_all(&c, 600000);
    assert_true(credit_give(&c, c.sent, 600100));
    assert_int_equal(c.bytes, 2 * FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_what_cannot_be_is_ignored),
        cmocka_unit_test(test_grows_with_a_service_that_keeps_up),
        cmocka_unit_test(test_stays_when_nobody_waits),
        cmocka_unit_test(test_begins_anew_after_a_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
