#include "shared/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const unsigned char one[VERIFIED_KEY_BYTES] = { 1 }, other[VERIFIED_KEY_BYTES] = { 2 };

static struct verified_key key_of(const struct verified *v, int n)
{
    char said[16];

    return verified_key(v, one, said, (size_t)snprintf(said, sizeof said, "me%c%d", 0, n));
}

static void test_it_knows_who_was_right(void **state)
{
    static struct verified v, w;
    struct verified_key key, wrong, of_other;

    (void)state;
    verified_init(&v);
    verified_init(&w);
    key = verified_key(&v, one, "me\0secret", 9);
    wrong = verified_key(&v, one, "mes\0ecret", 9);
    of_other = verified_key(&v, other, "me\0secret", 9);
    assert_false(verified_has(&v, &key));
    verified_add(&v, &key);
    assert_true(verified_has(&v, &key));
    assert_false(verified_has(&v, &wrong));
    assert_false(verified_has(&v, &of_other)); /* the list has changed */
    of_other = verified_key(&w, one, "me\0secret", 9);
    assert_memory_not_equal(&of_other, &key, sizeof key); /* nobody can know it without the seed */
    verified_free(&v);
    verified_free(&w);
}

static void test_who_was_not_asked_for_goes_first(void **state)
{
    static struct verified v;
    struct verified_key mine;
    int known = 0;

    (void)state;
    verified_init(&v);
    mine = key_of(&v, -1);
    verified_add(&v, &mine);
    for (int i = 0; i < 20000; i++) {
        struct verified_key key = key_of(&v, i);

        verified_add(&v, &key);
        assert_true(verified_has(&v, &mine)); /* asked for all the time */
    }
    for (int i = 0; i < 20000; i++) {
        struct verified_key key = key_of(&v, i);

        known += verified_has(&v, &key);
    }
    assert_int_equal(known, VERIFIED_SETS * VERIFIED_WAYS - 1);
    verified_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_it_knows_who_was_right),
                                        cmocka_unit_test(test_who_was_not_asked_for_goes_first) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
