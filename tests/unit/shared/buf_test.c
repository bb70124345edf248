#include "shared/buf.h"

#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_zero_is_empty(void **state)
{
    struct buf zero = { 0 }, b;

    (void)state;
    buf_init(&b);
    assert_memory_equal(&b, &zero, sizeof b);
    assert_non_null(buf_bytes(&b));
    assert_string_equal(buf_text(&b), "");
    assert_int_equal(b.len, 0);
    buf_add(&b, "", 0);
    buf_take(&b, 0);
    assert_int_equal(b.len, 0);
    buf_free(&b);
    assert_memory_equal(&b, &zero, sizeof b);
    buf_free(&b);
    buf_add_text(&b, "again");
    assert_string_equal(buf_text(&b), "again");
    buf_free(&b);
}

static void test_room_for_nothing(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_space(&b, 0);
    buf_added(&b, 0);
    assert_string_equal(buf_text(&b), "");
    buf_free(&b);
}

static void test_adds_in_every_way(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_add(&b, "a\0b", 3);
    buf_add_text(&b, " text ");
    buf_printf(&b, "%s=%d", "n", 5);
    buf_printf(&b, "%s", "");
    memcpy(buf_space(&b, 5000), "!?", 2);
    buf_added(&b, 2);
    assert_int_equal(b.len, 14);
    assert_memory_equal(buf_bytes(&b), "a\0b text n=5!?", 14);
    assert_int_equal(buf_text(&b)[14], 0);
    assert_int_equal(b.len, 14);
    buf_take(&b, 3);
    assert_string_equal(buf_text(&b), " text n=5!?");
    buf_free(&b);
}

static void test_text_of_every_length(void **state)
{
    struct buf b = { 0 };

    (void)state;
    for (size_t n = 0; n < 2000; n++) {
        assert_int_equal(strlen(buf_text(&b)), n);
        buf_printf(&b, "%c", 'a');
    }
    buf_free(&b);
}

/* It is formatted again when it did not fit at first. */
static void test_formats_texts_of_every_length(void **state)
{
    char text[600];

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct buf b = { 0 };

        memset(text, 'a', n);
        text[n] = 0;
        buf_printf(&b, "<%s|%zu>", text, n);
        buf_add_text(&b, "!");
        assert_int_equal(strncmp(buf_text(&b) + 1, text, n), 0);
        assert_int_equal(strtoul(buf_bytes(&b) + n + 2, NULL, 10), n);
        assert_string_equal(buf_bytes(&b) + b.len - 2, ">!");
        buf_free(&b);
    }
}

static void test_adds_numbers(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_add_number(&b, 0);
    buf_add_text(&b, " ");
    buf_add_number(&b, 1090);
    buf_add_text(&b, " ");
    buf_add_number(&b, UINT64_MAX);
    assert_string_equal(buf_text(&b), "0 1090 18446744073709551615");
    buf_free(&b);
}

static void test_max_is_exact_and_a_refusal_adds_nothing(void **state)
{
    static const struct {
        const char *name;
        size_t before, n, max;
        int rc;
    } rows[] = {
        { "nothing into nothing", 0, 0, 0, 0 },
        { "one into nothing", 0, 1, 0, -1 },
        { "up to max", 10, 90, 100, 0 },
        { "one more", 10, 91, 100, -1 },
        { "already more", 10, 0, 5, -1 },
        { "already more, by one", 10, 1, 10, -1 },
        { "past the first room", 200, 800, 1000, 0 },
        { "no overflow", 10, 1, (size_t)-1, 0 },
    };
    static const char bytes[1000] = { 'z' };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = { 0 };
        struct err e = { 0 };

        buf_add(&b, bytes, rows[i].before);
        if (buf_add_max(&b, bytes, rows[i].n, rows[i].max, &e) != rows[i].rc)
            fail_msg("%s", rows[i].name);
        assert_int_equal(b.len, rows[i].before + (rows[i].rc == 0 ? rows[i].n : 0));
        assert_int_equal(e.code, rows[i].rc == 0 ? ERR_NONE : ERR_LIMIT);
        buf_free(&b);
    }
}

/* A queue that is never empty, filled and emptied in uneven steps, keeps its order and stays small. */
static void test_a_long_queue_stays_small(void **state)
{
    struct buf b = { 0 };
    unsigned char in = 0, out = 0;
    struct err e;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        unsigned char piece[37];
        size_t n = 1 + (size_t)round % sizeof piece;

        for (size_t i = 0; i < n; i++)
            piece[i] = in++;
        if (round % 2)
            buf_add(&b, piece, n);
        else
            assert_int_equal(buf_add_max(&b, piece, n, 4096, &e), 0);
        for (; b.len > 300; buf_take(&b, 1))
            assert_int_equal((unsigned char)buf_bytes(&b)[0], out++);
    }
    assert_true(b.room <= 2048);
    assert_int_equal(b.len, 300);
    buf_take(&b, b.len);
    buf_free(&b);
}

static void test_an_emptied_queue_starts_anew(void **state)
{
    struct buf b = { 0 };
    size_t room;

    (void)state;
    buf_add_text(&b, "0123456789");
    room = b.room;
    for (int i = 0; i < 10000; i++) {
        buf_take(&b, b.len);
        buf_add_text(&b, "abcdefghij");
    }
    assert_int_equal(b.room, room);
    assert_string_equal(buf_text(&b), "abcdefghij");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_empty),
        cmocka_unit_test(test_adds_in_every_way),
        cmocka_unit_test(test_text_of_every_length),
        cmocka_unit_test(test_adds_numbers),
        cmocka_unit_test(test_formats_texts_of_every_length),
        cmocka_unit_test(test_max_is_exact_and_a_refusal_adds_nothing),
        cmocka_unit_test(test_a_long_queue_stays_small),
        cmocka_unit_test(test_an_emptied_queue_starts_anew),
        cmocka_unit_test(test_room_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
