/* A stream whose visitor does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/edge/h2_session.h"

enum { MAX_HEADER = 8192, MUCH = 1 << 20 };

/* The preface, SETTINGS, and GET https://a.test/ by fields of RFC 7541 appendix A, one of them literal. */
static const char asks[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                           "\0\0\0\4\0\0\0\0\0"
                           "\0\0\xb\1\5\0\0\0\1"
                           "\x82\x84\x87\x01\x06"
                           "a.test";

static int setup(void **state)
{
    struct h2_session *s = h2_session_new(MAX_HEADER, 0);
    const char *why;

    assert_int_equal(h2_session_feed(s, asks, sizeof asks - 1, 0, &why), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    h2_session_free(*state);
    return 0;
}

static void hint(struct h2_stream *st)
{
    buf_add_text(&st->head, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    h2_stream_head(st, 103);
}

/* Which a service may say without end: it is to wait for a visitor who does not read them. */
static void test_interim_heads_fill_it(void **state)
{
    struct h2_session *s = *state;
    struct h2_stream *st = h2_session_next(s);
    struct buf out = { 0 };
    int told = 0;

    for (; !h2_stream_full(st) && told < 1000; told++)
        hint(st);
    assert_int_equal(told, H2_FULL_INTERIMS);
    assert_null(h2_session_next(s));
    h2_session_send(s, &out, MUCH);
    assert_ptr_equal(h2_session_next(s), st);
    assert_false(h2_stream_full(st));
    buf_free(&out);
}

/* The head of the response itself is none of them, nor is that of its end. */
static void test_a_response_behind_interim_heads(void **state)
{
    struct h2_session *s = *state;
    struct h2_stream *st = h2_session_next(s);
    struct buf out = { 0 };

    hint(st);
    h2_stream_answer(st, STR("HTTP/1.1 200 OK\r\n\r\nhello"));
    h2_stream_flush(st);
    assert_int_equal(st->interims, 1);
    h2_session_send(s, &out, MUCH);
    assert_int_equal(st->interims, 0);
    assert_true(st->closed && st->ended_well);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interim_heads_fill_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_response_behind_interim_heads, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
