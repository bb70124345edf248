#include "shared/bans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct cidr net_of(const char *text)
{
    struct cidr net;

    assert_int_equal(cidr_read(str_of(text), &net, NULL), 0);
    return net;
}

static void test_who_can_be_banned(void **state)
{
    static const struct {
        const char *text;
        bool may;
    } rows[] = {
        { "192.0.2.7", true },         { "192.0.2.0/24", true },  { "10.0.0.0/8", true },
        { "10.0.0.0/7", false },       { "0.0.0.0/0", false },    { "2001:db8::/64", true },
        { "2001::/16", true },         { "2000::/15", false },    { "127.0.0.1", false },
        { "127.4.0.0/16", false },     { "::1", false },          { "::/16", false },
        { "::ffff:127.0.0.1", false }, { "0.0.0.0", false },      { "::", false },
        { "192.0.2.7/24", false },     { "192.0.2", false },      { "", false },
        { "a.test", false },           { "192.0.2.7/33", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err why = { 0 };
        struct cidr net;

        if ((bans_read_net(str_of(rows[i].text), &net, &why) == 0) != rows[i].may)
            fail_msg("%s: %s", rows[i].text, why.text);
        assert_true(rows[i].may || why.text[0]);
    }
}

static void test_overlaps(void **state)
{
    static const struct {
        const char *a, *b;
        bool do_so;
    } rows[] = {
        { "192.0.2.0/24", "192.0.2.7", true },     { "192.0.2.7", "192.0.2.0/24", true },
        { "192.0.2.0/25", "192.0.2.128", false },  { "192.0.2.128/25", "192.0.2.200/29", true },
        { "2001:db8::/32", "2001:db8:1::", true }, { "192.0.2.7", "192.0.2.6", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cidr a = net_of(rows[i].a), b = net_of(rows[i].b);

        assert_int_equal(bans_overlap(&a, &b), rows[i].do_so);
    }
}

static void test_the_list_is_bounded_and_ends(void **state)
{
    struct bans b = { 0 };
    struct err why = { 0 };
    struct cidr net;

    (void)state;
    for (int i = 0; i < BANS_MAX; i++) {
        char text[32];

        snprintf(text, sizeof text, "192.%d.%d.7", i / 250, i % 250);
        net = net_of(text);
        assert_int_equal(bans_put(&b, &net, 100, 200 + i, &why), 0);
    }
    net = net_of("203.0.113.7");
    assert_int_equal(bans_put(&b, &net, 100, 200, &why), -1);
    assert_int_equal(why.code, ERR_LIMIT);
    net = net_of("192.0.0.7");
    atomic_store(&bans_find(&b, &net)->hits, 5);
    assert_int_equal(bans_put(&b, &net, 150, 900, &why), 0); /* another end; it goes on counting */
    assert_int_equal(bans_find(&b, &net)->since, 100);
    assert_int_equal(bans_find(&b, &net)->until, 900);
    assert_int_equal(atomic_load(&bans_find(&b, &net)->hits), 5);
    assert_true(bans_expire(&b, 201));
    assert_int_equal(b.n, BANS_MAX - 1);
    assert_false(bans_expire(&b, 201));
    assert_true(bans_take_out(&b, &net));
    assert_false(bans_take_out(&b, &net));
    bans_free(&b);
}

static void test_what_is_written_is_read(void **state)
{
    struct bans b = { 0 }, again = { 0 }, later = { 0 };
    struct cidr a = net_of("192.0.2.7"), c = net_of("2001:db8::/32");
    struct err why = { 0 };
    json_t *doc;

    (void)state;
    assert_int_equal(bans_put(&b, &a, 100, 300, &why), 0);
    assert_int_equal(bans_put(&b, &c, 110, 400, &why), 0);
    atomic_store(&b.list[1]->hits, 7);
    doc = json_pack("{s:o}", "bans", bans_to_json(&b));
    assert_int_equal(bans_from_json(&again, doc, "bans", 150, &why), 0);
    assert_int_equal(again.n, 2);
    assert_int_equal(bans_find(&again, &c)->since, 110);
    assert_int_equal(bans_find(&again, &c)->until, 400);
    assert_int_equal(atomic_load(&bans_find(&again, &c)->hits), 7);
    assert_int_equal(bans_from_json(&later, doc, "bans", 350, &why), 0);
    assert_int_equal(later.n, 1);
    json_object_set_new(json_array_get(json_object_get(doc, "bans"), 1), "address", json_string("::1"));
    assert_int_equal(bans_from_json(&later, doc, "bans", 150, &why), -1);
    json_decref(doc);
    bans_free(&b);
    bans_free(&again);
    bans_free(&later);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path, *net; /* NULL: refused */
    } rows[] = {
        { "192.0.2.7", "192.0.2.7" },
        { "192.0.2.0%2F24", "192.0.2.0/24" },
        { "2001%3adb8%3A%3a%2f32", "2001:db8::/32" },
        { "2001:db8::1", "2001:db8::1" },
        { "192.0.2.7%00", NULL },
        { "%2", NULL },
        { "%2F", NULL },
        { "::ffff:192.0.2.7", "192.0.2.7" },
        { "::ffff:192.0.2.0%2F120", "192.0.2.0/24" },
        { "2001:0db8:0000:0000:0000:0000:0000:0001%2F0000000000000000000012899", NULL },
        { "192.0.2.7192.0.2.7192.0.2.7192.0.2.7192.0.2.7192.0.2.7192.0.2.7192.0.2.7", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err why = { 0 };
        struct buf text = { 0 };
        struct cidr net;
        int rc = bans_read_path(str_of(rows[i].path), &net, &why);

        assert_int_equal(rc, rows[i].net ? 0 : -1);
        if (rc == 0) {
            cidr_print(&text, &net);
            assert_string_equal(buf_text(&text), rows[i].net);
        }
        buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_can_be_banned),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_the_list_is_bounded_and_ends),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
