/* Lines cut out of bytes in every way; lines that are too long; lines that nobody wants any more. */
#include "shared/lane_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void feed(struct lane_lines *l, const char *bytes, size_t n, struct buf *out)
{
    struct err e = { 0 };
    struct str line;

    assert_int_equal(lane_lines_feed(l, bytes, n, &e), 0);
    while (lane_lines_next(l, &line))
        buf_printf(out, "<%.*s>", STR_ARG(line));
}

static void lines_are_the_same_however_they_come(void **state)
{
    static const char bytes[] = "one\n\ntwo three\n{\"four\"}\nfi";
    static const char wanted[] = "<one><><two three><{\"four\"}>";
    const size_t n = sizeof bytes - 1;

    (void)state;
    for (size_t cut = 0; cut <= n + 1; cut++) { /* n + 1: byte by byte */
        struct lane_lines l = { 0 };
        struct buf out = { 0 };

        if (cut <= n) {
            feed(&l, bytes, cut, &out);
            feed(&l, bytes + cut, n - cut, &out);
        } else {
            for (size_t i = 0; i < n; i++)
                feed(&l, bytes + i, 1, &out);
        }
        assert_string_equal(buf_text(&out), wanted);
        buf_free(&out);
        lane_lines_free(&l);
    }
}

/* Bytes come, are forgotten after `cut` of them, and go on. */
static void check_cut(const char *bytes, size_t cut, const char *wanted)
{
    struct lane_lines l = { 0 };
    struct buf out = { 0 };

    feed(&l, bytes, cut, &out);
    lane_lines_cut(&l);
    lane_lines_cut(&l); /* what is to be dropped stays so */
    feed(&l, "", 0, &out);
    feed(&l, bytes + cut, strlen(bytes) - cut, &out);
    assert_string_equal(buf_text(&out), wanted);
    buf_free(&out);
    lane_lines_free(&l);
}

static void a_cut_line_is_dropped_to_its_end(void **state)
{
    static const char bytes[] = "one\ntwo\n\nfour\n";

    (void)state;
    for (size_t cut = 0; cut < sizeof bytes; cut++)
        if (cut > 0 && cut < 4)
            check_cut(bytes, cut, "<two><><four>");
        else if (cut > 4 && cut < 8)
            check_cut(bytes, cut, "<one><><four>");
        else if (cut > 9 && cut < 14)
            check_cut(bytes, cut, "<one><two><>");
        else
            check_cut(bytes, cut, "<one><two><><four>");
}

static void a_dropped_line_may_be_of_any_length(void **state)
{
    char bytes[1024];
    struct lane_lines l = { 0 };
    struct buf out = { 0 };

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    feed(&l, "x", 1, &out);
    lane_lines_cut(&l);
    for (int i = 0; i < 2 * LANE_LINE_BYTES / 1024; i++)
        feed(&l, bytes, sizeof bytes, &out);
    assert_int_equal(l.in.room, 0);
    feed(&l, "\nend\n", 5, &out);
    assert_string_equal(buf_text(&out), "<end>");
    buf_free(&out);
    lane_lines_free(&l);
}

static void a_line_of_64k_is_cut_out_and_no_longer_one(void **state)
{
    char *bytes = malloc(2 * LANE_LINE_BYTES);
    struct lane_lines l = { 0 };
    struct err e = { 0 };
    struct str line;

    (void)state;
    memset(bytes, 'x', 2 * LANE_LINE_BYTES);
    bytes[LANE_LINE_BYTES] = '\n';
    for (size_t i = 0; i <= LANE_LINE_BYTES; i++)
        assert_int_equal(lane_lines_feed(&l, bytes + i, 1, &e), 0);
    assert_true(lane_lines_next(&l, &line));
    assert_int_equal(line.n, LANE_LINE_BYTES);
    assert_int_equal(lane_lines_feed(&l, bytes, LANE_LINE_BYTES, &e), 0);
    assert_false(lane_lines_next(&l, &line));
    assert_int_equal(lane_lines_feed(&l, "x", 1, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    lane_lines_free(&l);

    bytes[LANE_LINE_BYTES] = 'x';
    bytes[LANE_LINE_BYTES + 1] = '\n';
    assert_int_equal(lane_lines_feed(&l, bytes, LANE_LINE_BYTES + 2, &e), -1);
    lane_lines_free(&l);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_they_come),
        cmocka_unit_test(a_cut_line_is_dropped_to_its_end),
        cmocka_unit_test(a_dropped_line_may_be_of_any_length),
        cmocka_unit_test(a_line_of_64k_is_cut_out_and_no_longer_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
