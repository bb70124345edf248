#include "relay/certs/nonces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_each_once_the_newest_first(void **state)
{
    static struct nonces pool;
    char nonce[NONCE_BYTES], text[16];

    (void)state;
    assert_false(nonces_take(&pool, nonce, 0));
    for (int i = 0; i < NONCES_MAX + 3; i++) {
        snprintf(text, sizeof text, "n-%d", i);
        assert_true(nonces_put(&pool, str_of(text), 1000));
    }
    for (int i = NONCES_MAX + 2; i >= 3; i--) {
        snprintf(text, sizeof text, "n-%d", i);
        assert_true(nonces_take(&pool, nonce, 1000));
        assert_string_equal(nonce, text);
    }
    assert_false(nonces_take(&pool, nonce, 1000));
}

static void test_they_are_fresh_for_a_while(void **state)
{
    static struct nonces pool;
    char nonce[NONCE_BYTES];

    (void)state;
    assert_true(nonces_put(&pool, STR("old"), 0));
    assert_true(nonces_put(&pool, STR("new"), 10));
    assert_true(nonces_take(&pool, nonce, NONCES_FRESH_MS + 9));
    assert_string_equal(nonce, "new");
    assert_false(nonces_take(&pool, nonce, NONCES_FRESH_MS + 9));
    assert_int_equal(pool.n, 0);
}

static void test_what_is_none(void **state)
{
    static struct nonces pool;
    char longest[NONCE_BYTES];

    (void)state;
    memset(longest, 'a', sizeof longest);
    assert_true(nonces_put(&pool, (struct str){ longest, sizeof longest - 1 }, 0));
    assert_false(nonces_put(&pool, (struct str){ longest, sizeof longest }, 0));
    assert_false(nonces_put(&pool, STR(""), 0));
    assert_false(nonces_put(&pool, STR("a b"), 0));
    assert_false(nonces_put(&pool, STR("a=="), 0));
    assert_false(nonces_put(&pool, STR("a\r\nb"), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once_the_newest_first),
        cmocka_unit_test(test_they_are_fresh_for_a_while),
        cmocka_unit_test(test_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
