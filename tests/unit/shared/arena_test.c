#include "shared/arena.h"

#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct arena a;
    unsigned char *pieces[400];
    size_t n = sizeof pieces / sizeof pieces[0];

    (void)state;
    arena_init(&a, 0);
    for (size_t i = 0; i < n; i++) {
        size_t size = i * 7 % 1500;

        pieces[i] = arena_get(&a, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i * 7 % 1500; j++)
            assert_int_equal(pieces[i][j], i & 0xff);
    arena_free(&a);
}

static void test_a_big_piece_does_not_waste_the_block(void **state)
{
    struct arena a;
    char *before, *after;

    (void)state;
    arena_init(&a, 0);
    before = arena_get(&a, 16);
    arena_get(&a, 100000);
    after = arena_get(&a, 16);
    assert_ptr_equal(after, before + 16);
    arena_free(&a);
}

static void test_the_cap(void **state)
{
    static const struct {
        const char *name;
        size_t max, size;
        int fit;
    } rows[] = {
        { "ten small ones", 160, 16, 10 },    { "one whole", 100, 100, 1 },
        { "one too large", 100, 101, 0 },     { "of the size of blocks", 8192, 4096, 2 },
        { "all there is", 100, SIZE_MAX, 0 }, { "nearly all there is", 100, SIZE_MAX - 8, 0 },
        { "single bytes", 1, 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        int fit = 0;

        arena_init(&a, rows[i].max);
        for (int round = 0; round < 2; round++, fit = 0) { /* the same again after arena_free */
            while (fit < 100 && arena_get(&a, rows[i].size))
                fit++;
            if (fit != rows[i].fit)
                fail_msg("%s: %d", rows[i].name, fit);
            arena_free(&a);
            assert_int_equal(a.used_bytes, 0);
            assert_int_equal(a.max_bytes, rows[i].max);
        }
    }
}

static void test_a_refusal_leaves_the_rest(void **state)
{
    struct arena a;
    char *text;

    (void)state;
    arena_init(&a, 64);
    text = arena_copy(&a, "stays");
    assert_null(arena_get(&a, 64));
    assert_string_equal(text, "stays");
    assert_non_null(arena_get(&a, 16));
    arena_free(&a);
}

static void test_copies(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1000);
    assert_string_equal(arena_copy(&a, "text"), "text");
    assert_string_equal(arena_copy(&a, ""), "");
    assert_string_equal(arena_copy_str(&a, (struct str){ "cut here", 3 }), "cut");
    assert_string_equal(arena_copy_str(&a, (struct str){ NULL, 0 }), "");
    assert_memory_equal(arena_copy_str(&a, (struct str){ "a\0b", 3 }), "a\0b", 4);
    assert_null(arena_copy_str(&a, (struct str){ "", SIZE_MAX }));
    assert_null(arena_copy_str(&a, (struct str){ "", 1000 }));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_a_big_piece_does_not_waste_the_block),
        cmocka_unit_test(test_the_cap),
        cmocka_unit_test(test_a_refusal_leaves_the_rest),
        cmocka_unit_test(test_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
