/* How long a visitor by HTTP/2 is borne with: floods end, and whoever really asks for much goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/edge/h2_patience.h"

enum { MANY = 100000 };

static unsigned times_until_lost(struct h2_patience *p, unsigned cost, uint64_t apart_ms)
{
    unsigned n = 0;

    for (uint64_t now_ms = 0; n < MANY && h2_patience_pay(p, cost, now_ms); now_ms += apart_ms)
        n++;
    return n;
}

static void test_floods_end(void **state)
{
    static const struct {
        unsigned cost, apart_ms, least, most;
    } table[] = {
        { H2_COST_OF_FRAME, 0, 1000, 1000 },  { H2_COST_OF_FRAME, 1, 1000, 1200 },
        { H2_COST_OF_FRAME, 10, MANY, MANY }, { H2_COST_OF_REQUEST, 0, 200, 200 },
        { H2_COST_OF_REQUEST, 10, 200, 300 }, { H2_COST_OF_REQUEST, 50, MANY, MANY },
        { H2_COST_OF_STALL, 0, 10, 10 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct h2_patience p;
        unsigned n;

        h2_patience_init(&p, 0);
        n = times_until_lost(&p, table[i].cost, table[i].apart_ms);
        assert_in_range(n, table[i].least, table[i].most);
    }
}

/* It does not come back, whatever is done and however long that is ago. */
static void test_lost_is_lost(void **state)
{
    struct h2_patience p;

    (void)state;
    h2_patience_init(&p, 0);
    (void)times_until_lost(&p, H2_COST_OF_FRAME, 0);
    h2_patience_served(&p);
    h2_patience_sent(&p);
    assert_false(h2_patience_pay(&p, 0, 1000000));
    assert_false(h2_patience_pay_ack(&p, 1000000));
}

/* Of two requests one may be given up, without any end. */
static void test_who_is_served_may_give_up_as_often(void **state)
{
    struct h2_patience p;

    (void)state;
    h2_patience_init(&p, 0);
    for (int i = 0; i < MANY; i++) {
        h2_patience_served(&p);
        assert_true(h2_patience_pay(&p, H2_COST_OF_REQUEST, 0));
    }
}

/* A window opened for each piece, of the stream and of the connection, and a PING between. */
static void test_answers_to_what_was_sent(void **state)
{
    struct h2_patience p;
    unsigned n = 0;

    (void)state;
    h2_patience_init(&p, 0);
    for (int i = 0; i < MANY; i++) {
        h2_patience_sent(&p);
        for (int k = 0; k < 3; k++)
            assert_true(h2_patience_pay_ack(&p, 0));
    }
    for (int i = 0; i < MANY; i++)
        h2_patience_sent(&p); /* not saved up without end */
    h2_patience_asked(&p);
    while (n < MANY && h2_patience_pay_ack(&p, 0))
        n++;
    assert_int_equal(n, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods_end),
        cmocka_unit_test(test_lost_is_lost),
        cmocka_unit_test(test_who_is_served_may_give_up_as_often),
        cmocka_unit_test(test_answers_to_what_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
