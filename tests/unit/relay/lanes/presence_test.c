#include "relay/lanes/presence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_since_when(void **state)
{
    struct presence p;

    (void)state;
    presence_init(&p, 1000);
    assert_int_equal(presence_away_since(&p, "pi"), 1000); /* as long as we have been there */
    presence_note(&p, "pi", false, 1001);
    assert_int_equal(presence_away_since(&p, "pi"), 1000);
    presence_note(&p, "pi", true, 1010);
    presence_note(&p, "pi", true, 1011);
    assert_int_equal(presence_since(&p, "pi"), 1010);
    assert_int_equal(presence_away_since(&p, "pi"), 0);
    assert_int_equal(presence_away_since(&p, "other"), 1000);
    presence_note(&p, "pi", false, 1020);
    presence_note(&p, "pi", false, 1021);
    assert_int_equal(presence_since(&p, "pi"), 1020);
    assert_int_equal(presence_away_since(&p, "pi"), 1020);
    presence_free(&p);
}

static void test_the_last_lane(void **state)
{
    const struct presence_lane last = { .id = 7, .error = "cut" };
    const char *agent;
    struct presence p;

    (void)state;
    presence_init(&p, 1000);
    presence_note(&p, "a", true, 1001);
    presence_note(&p, "b", true, 1001);
    presence_note(&p, "c", false, 1001);
    assert_null(presence_away(&p, 0, &agent));
    presence_note(&p, "b", false, 1002);
    presence_note_end(&p, "b", &last);
    assert_string_equal(presence_away(&p, 0, &agent)->error, "cut");
    assert_string_equal(agent, "b");
    assert_null(presence_away(&p, 1, &agent));
    presence_note(&p, "b", true, 1003);
    assert_null(presence_away(&p, 0, &agent));
    presence_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_since_when),
        cmocka_unit_test(test_the_last_lane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
