/* The server's side of HTTP/2, by frames written out by hand; nothing here has a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/h2_session.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

enum {
    MAX_HEADER = 8192,
    DATA = 0,
    HEADERS = 1,
    RST = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* GET https://a.test/ without a table: indexed fields of RFC 7541 appendix A, and one literal. */
#define HEAD_OF(method)       \
    method "\x84\x87\x01\x06" \
           "a.test"
static const char get[] = HEAD_OF("\x82"), post[] = HEAD_OF("\x83");

struct talk {
    struct h2_session *s;
    struct buf out; /* what it says, from where it was last looked at */
    const char *why;
    uint64_t now_ms;
};

static int feed(struct talk *t, const void *bytes, size_t n)
{
    int rc = h2_session_feed(t->s, bytes, n, t->now_ms, &t->why);

    h2_session_send(t->s, &t->out, 1 << 20);
    return rc;
}

static int frame(struct talk *t, int kind, int flags, uint32_t stream, const void *payload, size_t n)
{
    struct buf out = { 0 };
    const char head[9] = { (char)(n >> 16),     (char)(n >> 8), (char)n, (char)kind, (char)flags, 0, 0,
                           (char)(stream >> 8), (char)stream };
    int rc;

    buf_add(&out, head, sizeof head);
    buf_add(&out, payload, n);
    rc = feed(t, buf_bytes(&out), out.len);
    buf_free(&out);
    return rc;
}

static int setup(void **state)
{
    struct talk *t = calloc(1, sizeof *t);

    t->s = h2_session_new(MAX_HEADER, 0);
    assert_int_equal(feed(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 0);
    assert_int_equal(frame(t, SETTINGS, 0, 0, "", 0), 0);
    assert_int_equal(frame(t, SETTINGS, ACK, 0, "", 0), 0);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct talk *t = *state;

    h2_session_free(t->s);
    buf_free(&t->out);
    free(t);
    return 0;
}

/* Takes frames off until one of this kind; its payload, or NULL. */
static const unsigned char *said(struct talk *t, int kind, uint32_t *stream, size_t *n)
{
    static unsigned char payload[65536];

    while (t->out.len >= 9) {
        const unsigned char *head = (const void *)buf_bytes(&t->out);
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        bool found = head[3] == kind;

        assert_true(t->out.len >= 9 + length && length <= sizeof payload);
        *stream = (uint32_t)head[7] << 8 | head[8];
        memcpy(payload, head + 9, length);
        buf_take(&t->out, 9 + length);
        *n = length;
        if (found)
            return payload;
    }
    return NULL;
}

/* The error code that a frame of this kind carries at this place. */
static int code_said(struct talk *t, int kind)
{
    uint32_t stream;
    size_t n;
    const unsigned char *payload = said(t, kind, &stream, &n);

    return payload ? payload[kind == GOAWAY ? 7 : 3] : -1;
}

static struct h2_stream *asked(struct talk *t, const char *head, size_t n, int flags, uint32_t id)
{
    struct h2_stream *st;

    assert_int_equal(frame(t, HEADERS, END_HEADERS | flags, id, head, n), 0);
    st = h2_session_next(t->s);
    assert_non_null(st);
    assert_true(st->head_whole && (uint32_t)st->id == id);
    return st;
}

#define ASKED(t, head, flags, id) asked(t, head, sizeof head - 1, flags, id)

static void test_a_request_and_its_answer(void **state)
{
    struct talk *t = *state;
    struct h2_stream *st = ASKED(t, get, END_STREAM, 1);
    struct buf head = { 0 };
    uint32_t stream;
    size_t n;

    assert_int_equal(h2_stream_take_head(st, KEY, &head), 0);
    assert_string_equal(buf_text(&head), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    h2_stream_answer(st, STR("HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello"));
    h2_stream_flush(st);
    h2_session_send(t->s, &t->out, 1 << 20);
    assert_memory_equal(said(t, DATA, &stream, &n), "hello", 5);
    assert_true(stream == 1 && n == 5);
    assert_ptr_equal(h2_session_next(t->s), st);
    assert_true(st->closed && st->sent_bytes == 5);
    h2_stream_free(st);
    assert_null(h2_session_first(t->s));
    buf_free(&head);
}

/* However it is cut, a body of unknown length becomes chunks, and trailers stand behind the last one. */
static void test_a_body_in_pieces(void **state)
{
    struct talk *t = *state;
    struct h2_stream *st = ASKED(t, post, 0, 1);
    struct buf head = { 0 };

    assert_int_equal(h2_stream_take_head(st, KEY, &head), 0);
    assert_non_null(strstr(buf_text(&head), "transfer-encoding: chunked\r\n"));
    assert_int_equal(frame(t, DATA, 0, 1, "ab", 2), 0);
    assert_int_equal(frame(t, DATA, 0, 1, "c", 1), 0);
    assert_true(h2_stream_fill(st));
    assert_string_equal(buf_text(&st->in), "3\r\nabc\r\n");
    assert_false(h2_stream_fill(st));
    buf_take(&st->in, st->in.len);
    h2_stream_used(st);
    assert_int_equal(st->unacked, 0);
    assert_int_equal(frame(t, HEADERS, END_HEADERS | END_STREAM, 1, "\0\1a\1b", 5), 0);
    assert_true(h2_stream_fill(st));
    assert_string_equal(buf_text(&st->in), "0\r\na: b\r\n\r\n");
    buf_free(&head);
}

/* All of it may have come before anybody looks. */
static void test_trailers_behind_a_head_not_yet_taken(void **state)
{
    struct talk *t = *state;
    struct buf head = { 0 };
    struct h2_stream *st;

    assert_int_equal(frame(t, HEADERS, END_HEADERS, 1, post, sizeof post - 1), 0);
    assert_int_equal(frame(t, DATA, 0, 1, "abc", 3), 0);
    assert_int_equal(frame(t, HEADERS, END_HEADERS | END_STREAM, 1, "\0\1a\1b", 5), 0);
    st = h2_session_next(t->s);
    assert_int_equal(h2_stream_take_head(st, KEY, &head), 0);
    assert_non_null(strstr(buf_text(&head), "POST / HTTP/1.1\r\n"));
    assert_true(h2_stream_fill(st));
    assert_string_equal(buf_text(&st->in), "3\r\nabc\r\n");
    buf_take(&st->in, st->in.len);
    assert_true(h2_stream_fill(st));
    assert_string_equal(buf_text(&st->in), "0\r\na: b\r\n\r\n");
    buf_free(&head);
}

/* What is not taken is not asked for again, and what is, is. */
static void test_a_window_is_what_was_taken(void **state)
{
    struct talk *t = *state;
    struct h2_stream *st = ASKED(t, post, 0, 1);
    static const char piece[16384];
    uint32_t stream;
    size_t n, pieces = 0;

    while (said(t, 8, &stream, &n))
        ;
    while (pieces < H2_WINDOW_BYTES / sizeof piece) {
        assert_int_equal(frame(t, DATA, 0, 1, piece, sizeof piece), 0);
        pieces++;
    }
    while (said(t, 8, &stream, &n))
        assert_int_equal(stream, 0); /* the other streams go on */
    assert_int_equal(st->raw.len, H2_WINDOW_BYTES);
    assert_true(h2_stream_fill(st));
    buf_take(&st->in, st->in.len);
    h2_stream_used(st);
    h2_session_send(t->s, &t->out, 1 << 20);
    assert_non_null(said(t, 8, &stream, &n));
    assert_int_equal(stream, 1);
    assert_int_equal(frame(t, DATA, 0, 1, piece, sizeof piece), 0);
}

static void test_more_than_the_window_is_an_error(void **state)
{
    struct talk *t = *state;
    struct h2_stream *st = ASKED(t, post, 0, 1);
    static const char piece[16384];

    for (size_t i = 0; i <= H2_WINDOW_BYTES / sizeof piece; i++)
        assert_int_equal(frame(t, DATA, 0, 1, piece, sizeof piece), 0);
    assert_int_equal(code_said(t, RST), NGHTTP2_FLOW_CONTROL_ERROR);
    assert_true(st->raw.len <= H2_WINDOW_BYTES + sizeof piece); /* the frame that was too much is the last */
}

static void test_an_early_answer(void **state)
{
    struct talk *t = *state;
    struct h2_stream *st = ASKED(t, post, 0, 1);

    static const char piece[16384];
    uint32_t stream;
    size_t n;

    h2_stream_answer(st, STR("HTTP/1.1 413 Content Too Large\r\n\r\n"));
    h2_stream_discard(st);
    h2_stream_flush(st);
    assert_false(st->answered);
    h2_session_send(t->s, &t->out, 1 << 20);
    assert_true(st->answered);
    for (size_t i = 0; i < H2_WINDOW_BYTES / sizeof piece; i++) /* what he may send he may, but not more */
        assert_int_equal(frame(t, DATA, 0, 1, piece, sizeof piece), 0);
    while (said(t, 8, &stream, &n))
        assert_int_equal(stream, 0);
    assert_false(st->closed);
    assert_int_equal(st->raw.len + st->in.len, 0);
    h2_stream_reset(st, NGHTTP2_NO_ERROR);
    h2_session_send(t->s, &t->out, 1 << 20);
    assert_int_equal(code_said(t, RST), NGHTTP2_NO_ERROR);
}

/* CONNECT, :protocol websocket, https, /, a.test */
static const char extended[] = "\x02\x07"
                               "CONNECT"
                               "\x00\x09:protocol\x09websocket\x87\x84\x01\x06"
                               "a.test";

static struct h2_stream *switched(struct talk *t)
{
    struct h2_stream *st = ASKED(t, extended, 0, 1);
    struct buf head = { 0 };

    assert_int_equal(h2_stream_take_head(st, KEY, &head), 0);
    assert_non_null(strstr(buf_text(&head), "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\n"));
    buf_free(&head);
    buf_add_text(&st->head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    h2_stream_head(st, 101);
    h2_stream_flush(st);
    h2_session_send(t->s, &t->out, 1 << 20);
    return st;
}

/* Bytes go both ways as they are, and either way may end first. */
static void test_a_websocket(void **state)
{
    for (int visitor_first = 0; visitor_first < 2; visitor_first++) {
        struct talk *t = *state;
        struct h2_stream *st = switched(t);
        uint32_t stream;
        size_t n;

        assert_memory_equal(said(t, HEADERS, &stream, &n), "\x88", 1); /* :status 200 */
        assert_int_equal(frame(t, DATA, visitor_first ? END_STREAM : 0, 1, "abc", 3), 0);
        assert_string_equal(buf_text(&st->in), "abc");
        assert_int_equal(st->remote_ended, visitor_first);
        h2_stream_body(st, "xyz", 3);
        h2_stream_end(st, STR(""));
        h2_stream_flush(st);
        h2_session_send(t->s, &t->out, 1 << 20);
        assert_memory_equal(said(t, DATA, &stream, &n), "xyz", 3);
        assert_int_equal(code_said(t, RST), -1);
        assert_int_equal(st->closed, visitor_first);
        if (!visitor_first)
            assert_int_equal(frame(t, DATA, END_STREAM, 1, "", 0), 0);
        assert_true(st->closed && st->ended_well);
        teardown(state);
        setup(state);
    }
}

/* Nobody listens to the visitor any more. */
static void test_a_websocket_that_is_over(void **state)
{
    for (int told = 0; told < 2; told++) {
        struct talk *t = *state;
        struct h2_stream *st = switched(t);

        if (told)
            h2_stream_end(st, STR(""));
        h2_stream_flush(st);
        h2_session_send(t->s, &t->out, 1 << 20);
        assert_int_equal(st->answered, told);
        h2_stream_discard(st);
        h2_stream_finish(st);
        h2_stream_flush(st);
        h2_session_send(t->s, &t->out, 1 << 20);
        assert_true(st->answered && !st->closed);
        h2_stream_reset(st, NGHTTP2_NO_ERROR);
        h2_session_send(t->s, &t->out, 1 << 20);
        assert_true(st->closed && !st->ended_well);
        teardown(state);
        setup(state);
    }
}

static void test_what_is_connected_has_no_trailers(void **state)
{
    struct talk *t = *state;

    (void)switched(t);
    assert_int_equal(frame(t, HEADERS, END_HEADERS | END_STREAM, 1, "\0\1a\1b", 5), 0);
    assert_int_equal(code_said(t, RST), NGHTTP2_PROTOCOL_ERROR);
}

static void test_the_end_is_told_twice(void **state)
{
    struct talk *t = *state;
    uint32_t stream;
    size_t n;
    const unsigned char *payload;

    (void)ASKED(t, get, END_STREAM, 1);
    h2_session_drain(t->s);
    h2_session_send(t->s, &t->out, 1 << 20);
    payload = said(t, GOAWAY, &stream, &n);
    assert_memory_equal(payload, "\x7f\xff\xff\xff\0\0\0\0", 8);
    assert_non_null(said(t, PING, &stream, &n));
    (void)ASKED(t, get, END_STREAM, 3); /* it was under way */
    assert_int_equal(frame(t, PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8), 0);
    assert_memory_equal(said(t, GOAWAY, &stream, &n), "\0\0\0\3\0\0\0\0", 8);
    assert_false(h2_session_is_over(t->s));
}

static void test_floods(void **state)
{
    static const struct {
        int kind, flags;
        const char *payload;
        size_t n;
    } table[] = {
        { PING, 0, "pingpong", 8 }, { SETTINGS, 0, "", 0 },          { 2, 0, "\0\0\0\3\x10", 5 },
        { DATA, 0, "", 0 },         { DATA, PADDED, "\3\0\0\0", 4 }, { WINDOW_UPDATE, 0, "\0\0\0\1", 4 },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct talk *t = *state;
        int rc = 0, sent = 0;

        (void)ASKED(t, post, 0, 1);
        for (; rc == 0 && sent < 5000; sent++)
            rc = frame(t, table[i].kind, table[i].flags,
                       table[i].kind == PING || table[i].kind == SETTINGS ? 0 : 1, table[i].payload,
                       table[i].n);
        assert_int_equal(rc, -1);
        assert_true(sent > 900 && sent < 1100);
        assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
        assert_true(h2_session_is_over(t->s));
        teardown(state);
        setup(state);
    }
}

/* nghttp2 does not tell of them, and they cost little: sixteen count as one. */
static void test_a_flood_of_what_is_unknown(void **state)
{
    struct talk *t = *state;
    int rc = 0, sent = 0;

    for (; rc == 0 && sent < 100000; sent++)
        rc = frame(t, 0x42, 0, 0, "x", 1);
    assert_int_equal(rc, -1);
    assert_true(sent > 15000 && sent < 17000);
    assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Each byte of room makes us write a frame. */
static void test_a_window_opened_byte_by_byte(void **state)
{
    struct talk *t = *state;
    struct h2_stream *st;
    static const char body[65536];
    int rc, opened = 0;

    assert_int_equal(frame(t, SETTINGS, 0, 0, "\0\4\0\0\0\0", 6), 0);
    st = ASKED(t, get, END_STREAM, 1);
    buf_add_text(&st->head, "HTTP/1.1 200 OK\r\n\r\n");
    h2_stream_head(st, 200);
    h2_stream_body(st, body, sizeof body);
    h2_stream_flush(st);
    for (rc = 0; rc == 0 && opened < 5000; opened++)
        rc = frame(t, WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4);
    assert_int_equal(rc, -1);
    assert_true(opened > 900 && opened < 1100);
    assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
}

/* He reads nothing meanwhile: what is kept for him does not grow with each of his frames. The room is given back. */
static void test_data_behind_the_end_while_nothing_is_read(void **state)
{
    enum { FRAMES = 1000, FRAME_BYTES = 1024, MAX_OWED = 256 * 1024 };
    struct talk *t = *state;
    char bytes[9 + FRAME_BYTES] = { 0, FRAME_BYTES >> 8, 0, DATA, 0, 0, 0, 0, 1 };
    size_t given = 0, frames = 0, n;
    const unsigned char *payload;
    uint32_t stream;

    (void)ASKED(t, get, END_STREAM, 1);
    buf_free(&t->out);
    for (int i = 0; i < FRAMES; i++)
        assert_int_equal(h2_session_feed(t->s, bytes, sizeof bytes, t->now_ms, &t->why), 0);
    h2_session_send(t->s, &t->out, 1 << 20);
    for (; (payload = said(t, WINDOW_UPDATE, &stream, &n)); frames++) {
        assert_int_equal(stream, 0);
        given += (size_t)payload[1] << 16 | (size_t)payload[2] << 8 | payload[3];
    }
    assert_true(frames > 0 && frames < 10);
    assert_true(given + MAX_OWED > (size_t)FRAMES * FRAME_BYTES && given <= (size_t)FRAMES * FRAME_BYTES);
}

/* Ten of what he has asked for and never reads. */
static void test_responses_that_are_not_read(void **state)
{
    struct talk *t = *state;

    for (uint32_t id = 1; id < 18; id += 2) {
        assert_false(h2_session_is_flooded(t->s));
        h2_stream_unread(ASKED(t, get, END_STREAM, id));
        h2_session_send(t->s, &t->out, 1 << 20);
        assert_int_equal(code_said(t, RST), NGHTTP2_CANCEL);
        h2_stream_free(h2_session_next(t->s)); /* it is closed */
    }
    h2_stream_unread(ASKED(t, get, END_STREAM, 19));
    h2_stream_unread(h2_session_first(t->s));
    assert_true(h2_session_is_flooded(t->s));
    h2_session_calm(t->s);
    h2_session_send(t->s, &t->out, 1 << 20);
    assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
}

static void test_rapid_reset(void **state)
{
    struct talk *t = *state;
    int rc = 0;
    uint32_t id = 1;

    for (; rc == 0 && id < 4000; id += 2) {
        struct h2_stream *st;

        rc = frame(t, HEADERS, END_HEADERS | END_STREAM, id, get, sizeof get - 1);
        if (rc == 0)
            rc = frame(t, RST, 0, id, "\0\0\0\x8", 4);
        while ((st = h2_session_next(t->s)))
            h2_stream_free(st);
    }
    assert_int_equal(rc, -1);
    assert_true(id > 300 && id < 500);
    assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Who does not say that he keeps to our limits may not know them. */
static void test_settings_that_are_not_acknowledged(void **state)
{
    struct talk *t = *state;
    struct talk other = { .s = h2_session_new(MAX_HEADER, 1000) };

    h2_session_late(t->s, 1000 + H2_SETTINGS_MS);
    assert_false(h2_session_is_over(t->s));
    assert_int_equal(feed(&other, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 0);
    assert_int_equal(frame(&other, SETTINGS, 0, 0, "", 0), 0);
    h2_session_late(other.s, 999 + H2_SETTINGS_MS);
    (void)ASKED(&other, get, END_STREAM, 1);
    h2_session_late(other.s, 1000 + H2_SETTINGS_MS);
    h2_session_send(other.s, &other.out, 1 << 20);
    assert_int_equal(code_said(&other, GOAWAY), NGHTTP2_SETTINGS_TIMEOUT);
    assert_true(h2_session_is_over(other.s));
    h2_session_free(other.s);
    buf_free(&other.out);
}

/* One PING a second is a visitor who wants to know whether we are still there. */
static void test_patience_comes_back(void **state)
{
    struct talk *t = *state;

    for (int i = 0; i < 5000; i++) {
        t->now_ms += 1000;
        assert_int_equal(frame(t, PING, 0, 0, "pingpong", 8), 0);
        buf_free(&t->out);
    }
}

static void test_continuations(void **state)
{
    struct talk *t = *state;
    int rc = frame(t, HEADERS, END_STREAM, 1, "", 0);

    for (int i = 0; rc == 0 && i < 2000; i++)
        rc = frame(t, CONTINUATION, 0, 1, "", 0);
    assert_int_equal(rc, -1);
    assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
}

/* One long field, and then a byte for each time that it is meant. */
static void test_a_header_bomb(void **state)
{
    struct talk *t = *state;
    static char block[4096 + 8192];
    size_t n = 0;
    int rc;

    memcpy(block, "\x40\x01x\x7f\x81\x1e", 6); /* x, with a value of 4,000 bytes, into the table */
    memset(block + 6, 'y', 3968);
    n = 6 + 3968;
    memset(block + n, '\xbe', 1000); /* the newest entry of it */
    n += 1000;
    rc = frame(t, HEADERS, END_HEADERS | END_STREAM, 1, block, n);
    assert_int_equal(rc, -1);
    assert_int_equal(code_said(t, GOAWAY), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(!h2_session_first(t->s) || h2_session_first(t->s)->fields.lines.len <= MAX_HEADER);
}

static void test_no_preface(void **state)
{
    struct talk t = { .s = h2_session_new(MAX_HEADER, 0) };

    (void)state;
    assert_int_equal(feed(&t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27), -1);
    assert_non_null(t.why);
    assert_true(h2_session_is_over(t.s));
    h2_session_free(t.s);
    buf_free(&t.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_request_and_its_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_body_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trailers_behind_a_head_not_yet_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_window_is_what_was_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_than_the_window_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_early_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_websocket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_websocket_that_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_connected_has_no_trailers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_is_told_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_floods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_of_what_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_window_opened_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_behind_the_end_while_nothing_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_responses_that_are_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rapid_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings_that_are_not_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patience_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_continuations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_header_bomb, setup, teardown),
        cmocka_unit_test(test_no_preface),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
