#include "shared/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BLOCK = 512 };

static void add(struct buf *out, const char *path, uint32_t mode, struct str content)
{
    struct tar_member m = { .mode = mode, .changed_at = 1000, .content = content };
    struct err why = { 0 };

    snprintf(m.path, sizeof m.path, "%s", path);
    if (tar_add(out, &m, &why) != 0)
        fail_msg("%s: %s", path, why.text);
}

static void test_what_is_written_is_read(void **state)
{
    static const size_t sizes[] = { 0, 1, 511, 512, 513, 10000 };
    char content[10000], path[TAR_PATH_BYTES];
    struct buf out = { 0 };
    struct tar_member m;
    struct err why = { 0 };
    struct str rest;

    (void)state;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(path, sizeof path, "etc/%zu/%0*d", i, (int)(i * 20), 0);
        add(&out, path, 0600, (struct str){ content, sizes[i] });
    }
    tar_end(&out);
    assert_int_equal(out.len % BLOCK, 0);
    rest = (struct str){ buf_bytes(&out), out.len };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(tar_next(&rest, &m, &why), 1);
        snprintf(path, sizeof path, "etc/%zu/%0*d", i, (int)(i * 20), 0);
        assert_string_equal(m.path, path);
        assert_int_equal(m.mode, 0600);
        assert_int_equal(m.changed_at, 1000);
        assert_int_equal(m.content.n, sizes[i]);
        assert_memory_equal(m.content.p, content, sizes[i]);
    }
    assert_int_equal(tar_next(&rest, &m, &why), 0);
    buf_free(&out);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        bool may;
    } rows[] = {
        { "a", true },     { "a/b.ini", true }, { "a/..b", true }, { "/a", false },
        { "a//b", false }, { "", false },       { "a/", false },   { ".", false },
        { "./a", false },  { "a/./b", false },  { "..", false },   { "../a", false },
        { "a/..", false }, { "a/../b", false }, { "a\nb", false }, { "a\x7f", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err why = { 0 };

        if ((tar_check_path(rows[i].path, &why) == 0) != rows[i].may)
            fail_msg("%s", rows[i].path);
    }
}

/* Every archive that is cut short is found out, and so is every header of which a bit is another one. */
static void test_damage(void **state)
{
    struct buf out = { 0 };
    struct err why = { 0 };
    struct tar_member m;
    char copy[4 * BLOCK];

    (void)state;
    add(&out, "etc/a", 0644, (struct str){ "hello", 5 });
    tar_end(&out);
    assert_int_equal(out.len, sizeof copy);
    for (size_t n = 0; n < 3 * BLOCK; n++) {
        struct str rest = { buf_bytes(&out), n };
        int rc = tar_next(&rest, &m, &why);

        if (rc == 1)
            rc = tar_next(&rest, &m, &why);
        assert_int_equal(rc, -1);
    }
    for (size_t bit = 0; bit < 8 * BLOCK; bit++) {
        struct str rest = { copy, sizeof copy };

        memcpy(copy, buf_bytes(&out), sizeof copy);
        copy[bit / 8] ^= (char)(1 << bit % 8);
        if (tar_next(&rest, &m, &why) != -1) /* that of the sum may only change how it ends */
            assert_true(bit / 8 >= 148 && bit / 8 < 156);
    }
    buf_free(&out);
}

/* A header's fields have room for one byte more than any path of ours has: nothing is cut off of it. */
static int read_one_more(const char *header)
{
    char block[BLOCK], sum[8];
    struct str rest = { block, sizeof block };
    struct err why = { 0 };
    struct tar_member m;

    memcpy(block, header, sizeof block);
    block[99] = 'x';
    snprintf(sum, sizeof sum, "%06lo", strtoul(header + 148, NULL, 8) + 'x');
    memcpy(block + 148, sum, 7);
    return tar_next(&rest, &m, &why);
}

static void test_long_paths(void **state)
{
    char path[TAR_PATH_BYTES];
    struct buf out = { 0 };
    struct tar_member m = { .mode = 0600, .content = { "", 0 } };
    struct err why = { 0 };

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    memcpy(m.path, path, sizeof path);
    assert_int_equal(tar_add(&out, &m, &why), -1); /* no / at which it could be split */
    m.path[155] = '/';
    assert_int_equal(tar_add(&out, &m, &why), 0);
    assert_int_equal(read_one_more(buf_bytes(&out)), -1);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_long_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
