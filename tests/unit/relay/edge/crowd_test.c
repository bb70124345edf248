#include "relay/edge/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/cidr.h"

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage addr;

    assert_true(cidr_address(str_of(text), &addr));
    return addr;
}

static enum crowd_answer come(struct crowd *c, const char *from, bool many, const struct crowd_limits *limits,
                              uint64_t *place)
{
    struct sockaddr_storage addr = address(from);

    return crowd_enter(c, &addr, many, limits, place);
}

static void test_limits(void **state)
{
    const struct crowd_limits limits = { .max = 4, .max_per_source = 2 };
    uint64_t places[8];
    struct crowd c;

    (void)state;
    crowd_init(&c);
    assert_int_equal(come(&c, "192.0.2.1", false, &limits, &places[0]), CROWD_IN);
    assert_int_equal(come(&c, "192.0.2.1", false, &limits, &places[1]), CROWD_IN);
    assert_int_equal(come(&c, "192.0.2.1", false, &limits, &places[7]), CROWD_SOURCE_HAS_ENOUGH);
    assert_int_equal(come(&c, "192.0.2.1", true, &limits, &places[2]), CROWD_IN);
    assert_int_equal(come(&c, "192.0.2.2", false, &limits, &places[3]), CROWD_IN);
    assert_int_equal(come(&c, "192.0.2.3", false, &limits, &places[7]), CROWD_FULL);
    assert_int_equal(come(&c, "192.0.2.3", true, &limits, &places[7]), CROWD_FULL);
    crowd_leave(&c, places[0]);
    crowd_leave(&c, places[1]);
    assert_int_equal(come(&c, "192.0.2.1", false, &limits, &places[0]), CROWD_IN);
    assert_int_equal(come(&c, "192.0.2.1", false, &limits, &places[7]), CROWD_SOURCE_HAS_ENOUGH);
    crowd_leave(&c, places[0]);
    crowd_leave(&c, places[2]);
    crowd_leave(&c, places[3]);
    assert_int_equal(c.n, 0);
    crowd_free(&c);
}

/* Of a proxy's connection it is told whose it is, also while nobody else may come in. */
static void test_a_place_is_kept(void **state)
{
    const struct crowd_limits limits = { .max = 3, .max_per_source = 1 };
    struct sockaddr_storage one = address("192.0.2.1"), other = address("192.0.2.2");
    const struct cidrs nobody = { 0 };
    uint64_t places[3];
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (int i = 0; i < 3; i++)
        assert_int_equal(come(&c, "203.0.113.9", true, &limits, &places[i]), CROWD_IN);
    assert_true(crowd_move(&c, &one, &nobody, &limits, &places[0]));
    assert_true(crowd_move(&c, &one, &nobody, &limits, &places[0])); /* he is there */
    assert_false(crowd_move(&c, &one, &nobody, &limits, &places[1]));
    assert_true(crowd_move(&c, &other, &nobody, &limits, &places[1]));
    assert_int_equal(c.n, 3);
    for (int i = 0; i < 3; i++)
        crowd_leave(&c, places[i]);
    assert_int_equal(c.n, 0);
    crowd_free(&c);
}

static void test_what_is_one_source(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "::ffff:192.0.2.1", "192.0.2.1", true },
        { "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true },
        { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
        { "::", "::1", true },
        { "::1", "0.0.0.1", false },
    };
    const struct crowd_limits limits = { .max_per_source = 1 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t first, second;
        struct crowd c;

        crowd_init(&c);
        assert_int_equal(come(&c, rows[i].a, false, &limits, &first), CROWD_IN);
        if (come(&c, rows[i].b, false, &limits, &second) !=
            (rows[i].same ? CROWD_SOURCE_HAS_ENOUGH : CROWD_IN))
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        if (!rows[i].same)
            crowd_leave(&c, second);
        crowd_leave(&c, first);
        crowd_free(&c);
    }
}

static void test_without_limits_and_without_an_address(void **state)
{
    enum { MANY = 20000 };
    const struct crowd_limits none = { 0 }, one = { .max_per_source = 1 };
    const struct sockaddr_storage nobody = { 0 };
    static uint64_t places[MANY];
    struct crowd c;

    (void)state;
    crowd_init(&c);
    for (unsigned i = 0; i < MANY; i++) {
        char text[32];

        snprintf(text, sizeof text, "10.0.%u.%u", i / 4 % 256, i % 4);
        assert_int_equal(come(&c, text, false, &none, &places[i]), CROWD_IN);
    }
    for (unsigned i = 0; i < MANY; i++)
        crowd_leave(&c, places[i]);
    assert_int_equal(crowd_enter(&c, &nobody, false, &one, &places[0]), CROWD_IN);
    assert_int_equal(crowd_enter(&c, &nobody, false, &one, &places[1]), CROWD_IN);
    crowd_leave(&c, places[0]);
    crowd_leave(&c, places[1]);
    crowd_free(&c); /* a sanitizer would see what is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_place_is_kept),
        cmocka_unit_test(test_what_is_one_source),
        cmocka_unit_test(test_without_limits_and_without_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
