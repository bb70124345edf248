/* Frames looked at by their headers; what a whole session makes of them is in h2_rows_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>

#include "relay/edge/h2_rules.h"
#include "shared/buf.h"

static const char frames[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                             "\0\0\xc\4\0\0\0\0\0\0\4\0\0\1\0\0\4\0\0\0\1" /* SETTINGS of two windows */
                             "\0\0\5\2\0\0\0\0\1\0\0\0\0\xf"               /* PRIORITY */
                             "\0\0\4\x8\0\0\0\0\0\0\0\0\1"                 /* WINDOW_UPDATE */
                             "\0\0\1\1\4\0\0\0\1\x82"                      /* HEADERS */
                             "\0\0\0\0\1\0\0\0\1"                          /* DATA */
                             "\0\0\4\x8\0\0\0\0\3\0\0\0\0";                /* WINDOW_UPDATE by 0 */

/* All of it goes on as it came, and is seen alike however it is cut. */
static void test_pieces(void **state)
{
    (void)state;
    for (size_t most = 1; most < sizeof frames; most++) {
        struct h2_rules r;
        struct buf out = { 0 };
        uint32_t begun = 0, window = 0;
        bool adds_nothing = false;

        h2_rules_init(&r);
        for (size_t at = 0; at < sizeof frames - 1; at += most) {
            size_t n = sizeof frames - 1 - at;
            struct str rest = { frames + at, n < most ? n : most }, piece;

            while (rest.n > 0) {
                assert_int_equal(h2_rules_next(&r, &rest, &piece), NGHTTP2_NO_ERROR);
                buf_add(&out, piece.p, piece.n);
                begun += r.begins;
                window = r.most_window > window ? r.most_window : window;
                adds_nothing = adds_nothing || r.adds_nothing;
            }
        }
        assert_int_equal(begun, 6);
        assert_int_equal(window, 0x100);
        assert_true(adds_nothing && r.stream == 3 && r.kind == NGHTTP2_WINDOW_UPDATE);
        assert_int_equal(out.len, sizeof frames - 1);
        assert_memory_equal(buf_bytes(&out), frames, out.len);
        buf_free(&out);
    }
}

static uint32_t check(struct h2_rules *r, uint8_t kind, uint32_t stream, bool *of_stream)
{
    r->kind = kind;
    r->stream = stream;
    return h2_rules_without_stream(r, of_stream);
}

/* Only so many are remembered, and of the others it is believed that they were under way. */
static void test_streams_that_have_ended(void **state)
{
    struct h2_rules r;
    bool of_stream;

    (void)state;
    h2_rules_init(&r);
    for (uint32_t id = 1; id <= 2 * H2_ENDED_STREAMS + 1; id += 2) {
        assert_int_equal(check(&r, NGHTTP2_HEADERS, id, &of_stream), NGHTTP2_NO_ERROR);
        h2_rules_ended(&r, id, id % 4 == 3);
    }
    assert_int_equal(check(&r, NGHTTP2_DATA, 1, &of_stream), NGHTTP2_NO_ERROR);
    assert_int_equal(check(&r, NGHTTP2_DATA, 3, &of_stream), NGHTTP2_STREAM_CLOSED);
    assert_true(of_stream);
    assert_int_equal(check(&r, NGHTTP2_HEADERS, 5, &of_stream), NGHTTP2_STREAM_CLOSED);
    assert_false(of_stream);
    assert_int_equal(check(&r, NGHTTP2_WINDOW_UPDATE, 5, &of_stream), NGHTTP2_NO_ERROR);
}

static void test_streams_that_were_left_out(void **state)
{
    struct h2_rules r;
    bool of_stream;

    (void)state;
    h2_rules_init(&r);
    for (uint32_t id = 3; id <= 4 * (H2_GAPS + 1); id += 4)
        assert_int_equal(check(&r, NGHTTP2_HEADERS, id, &of_stream), NGHTTP2_NO_ERROR);
    assert_int_equal(check(&r, NGHTTP2_HEADERS, 1, &of_stream), NGHTTP2_NO_ERROR); /* forgotten */
    for (uint32_t id = 5; id <= 4 * H2_GAPS; id += 4) {
        assert_int_equal(check(&r, NGHTTP2_HEADERS, id, &of_stream), NGHTTP2_PROTOCOL_ERROR);
        assert_int_equal(check(&r, NGHTTP2_DATA, id, &of_stream), NGHTTP2_STREAM_CLOSED);
        assert_int_equal(check(&r, NGHTTP2_DATA, id + 2, &of_stream), NGHTTP2_NO_ERROR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_streams_that_have_ended),
        cmocka_unit_test(test_streams_that_were_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
