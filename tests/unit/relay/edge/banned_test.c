#include "relay/edge/banned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1000, UNTIL = 2000 };

static void put(struct bans *b, const char *text, int64_t until)
{
    struct cidr net;
    struct err why;

    assert_int_equal(cidr_read(str_of(text), &net, &why), 0);
    assert_int_equal(bans_put(b, &net, 0, until, &why), 0);
}

static bool hit(const struct banned *b, const char *text, time_t now)
{
    struct sockaddr_storage addr;

    assert_true(cidr_address(str_of(text), &addr));
    return banned_hit(b, &addr, now);
}

static void test_addresses_and_networks(void **state)
{
    static const struct {
        const char *address;
        bool is;
    } rows[] = {
        { "192.0.2.7", true },        { "192.0.2.8", false },     { "198.51.100.0", true },
        { "198.51.100.255", true },   { "198.51.101.0", false },  { "198.51.99.255", false },
        { "203.0.113.129", true },    { "203.0.113.127", false }, { "2001:db8::1", true },
        { "2001:db8:ffff::1", true }, { "2001:db9::", false },    { "2001:dc0::5", true },
        { "::ffff:192.0.2.7", true }, { "::192.0.2.7", false },
    };
    struct bans bans = { 0 };
    struct sockaddr_storage nobody = { .ss_family = AF_UNIX };
    struct banned *b;

    (void)state;
    put(&bans, "198.51.100.0/24", UNTIL);
    put(&bans, "192.0.2.7", UNTIL);
    put(&bans, "203.0.113.128/25", UNTIL);
    put(&bans, "2001:db8::/32", UNTIL);
    put(&bans, "2001:dc0::5", UNTIL);
    b = banned_new(&bans);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (hit(b, rows[i].address, NOW) != rows[i].is)
            fail_msg("%s", rows[i].address);
    assert_false(banned_hit(b, &nobody, NOW));
    assert_false(hit(b, "192.0.2.7", UNTIL)); /* it has ended */
    assert_int_equal(atomic_load(&bans.list[1]->hits), 2);
    banned_release(banned_hold(b));
    bans_free(&bans); /* what the set holds stays */
    assert_true(hit(b, "192.0.2.7", NOW));
    banned_release(b);
}

static void test_an_end_does_not_hide_what_is_wider(void **state)
{
    struct bans bans = { 0 };
    struct banned *b;

    (void)state;
    put(&bans, "192.0.2.7", NOW);
    put(&bans, "192.0.2.0/24", UNTIL);
    b = banned_new(&bans);
    assert_true(hit(b, "192.0.2.7", NOW));
    banned_release(b);
    bans_free(&bans);
}

static void test_a_full_list(void **state)
{
    struct bans bans = { 0 };
    struct banned *b;
    char text[32];

    (void)state;
    for (int i = 0; i < BANS_MAX; i++) {
        snprintf(text, sizeof text, "10.%d.%d.%d", i * 7 % 250, i % 250, i / 250);
        put(&bans, text, UNTIL);
    }
    b = banned_new(&bans);
    for (int i = 0; i < BANS_MAX; i++) {
        snprintf(text, sizeof text, "10.%d.%d.%d", i * 7 % 250, i % 250, i / 250);
        assert_true(hit(b, text, NOW));
        snprintf(text, sizeof text, "11.%d.%d.%d", i * 7 % 250, i % 250, i / 250);
        assert_false(hit(b, text, NOW));
    }
    banned_release(b);
    bans_free(&bans);
}

static void test_nobody(void **state)
{
    struct bans none = { 0 };

    (void)state;
    assert_null(banned_new(&none));
    assert_false(hit(NULL, "192.0.2.7", NOW));
    assert_null(banned_hold(NULL));
    banned_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_and_networks),
        cmocka_unit_test(test_an_end_does_not_hide_what_is_wider),
        cmocka_unit_test(test_a_full_list),
        cmocka_unit_test(test_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
