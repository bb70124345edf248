/* The client's side of HTTP/2, with services that break the protocol, or say something without end. */
#include "tests/unit/relay/edge/h2_client_talk.h"

/* ---- what breaks the protocol ---- */

struct row {
    const char *name;
    struct {
        int kind, flags;
        uint32_t stream;
        const char *payload;
        size_t n;
    } frames[3];
    int code; /* of what is said of it */
};

#define F(kind, flags, stream, payload)                  \
    {                                                    \
        kind, flags, stream, payload, sizeof payload - 1 \
    }
#define ALL (END_HEADERS | END_STREAM)

/* In a response: its call alone ends. */
static const struct row bad_responses[] = {
    { "no status", { F(HEADERS, ALL, 1, LINE("\x01", "a", "\x01", "b")) }, 1 },
    { "a status of letters",
      { F(HEADERS, ALL, 1,
          "\x08\x03"
          "abc") },
      1 },
    { "a status of two digits",
      { F(HEADERS, ALL, 1,
          "\x08\x02"
          "20") },
      1 },
    { "a status of four digits",
      { F(HEADERS, ALL, 1,
          "\x08\x04"
          "2000") },
      1 },
    { "a status that is too low",
      { F(HEADERS, ALL, 1,
          "\x08\x03"
          "099") },
      1 },
    { "an empty status", { F(HEADERS, ALL, 1, "\x08\x00") }, 1 },
    { "101",
      { F(HEADERS, END_HEADERS, 1,
          "\x08\x03"
          "101") },
      1 },
    { "two of them", { F(HEADERS, ALL, 1, OK OK) }, 1 },
    { "behind another field", { F(HEADERS, ALL, 1, LINE("\x01", "a", "\x01", "b") OK) }, 1 },
    { "an unknown pseudo-header field", { F(HEADERS, ALL, 1, OK LINE("\x02", ":x", "\x01", "b")) }, 1 },
    { "one of requests", { F(HEADERS, ALL, 1, OK "\x82") }, 1 },
    { "an upper-case name", { F(HEADERS, ALL, 1, OK LINE("\x01", "A", "\x01", "b")) }, 1 },
    { "a blank in a name", { F(HEADERS, ALL, 1, OK LINE("\x03", "a b", "\x01", "b")) }, 1 },
    { "a colon in a name", { F(HEADERS, ALL, 1, OK LINE("\x03", "a:b", "\x01", "b")) }, 1 },
    { "no name", { F(HEADERS, ALL, 1, OK LINE("\x00", "", "\x01", "b")) }, 1 },
    { "LF in a value", { F(HEADERS, ALL, 1, OK LINE("\x01", "a", "\x03", "b\nc")) }, 1 },
    { "CR in a value", { F(HEADERS, ALL, 1, OK LINE("\x01", "a", "\x03", "b\rc")) }, 1 },
    { "NUL in a value", { F(HEADERS, ALL, 1, OK LINE("\x01", "a", "\x03", "b\0c")) }, 1 },
    { "connection", { F(HEADERS, ALL, 1, OK LINE("\x0a", "connection", "\x05", "close")) }, 1 },
    { "keep-alive", { F(HEADERS, ALL, 1, OK LINE("\x0a", "keep-alive", "\x01", "5")) }, 1 },
    { "proxy-connection", { F(HEADERS, ALL, 1, OK LINE("\x10", "proxy-connection", "\x05", "close")) }, 1 },
    { "transfer-encoding",
      { F(HEADERS, ALL, 1, OK LINE("\x11", "transfer-encoding", "\x07", "chunked")) },
      1 },
    { "upgrade", { F(HEADERS, ALL, 1, OK LINE("\x07", "upgrade", "\x01", "x")) }, 1 },
    { "te", { F(HEADERS, ALL, 1, OK LINE("\x02", "te", "\x04", "gzip")) }, 1 },
    { "a length that is no number",
      { F(HEADERS, END_HEADERS, 1, OK LINE("\x0e", "content-length", "\x01", "x")) },
      1 },
    { "two lengths",
      { F(HEADERS, END_HEADERS, 1,
          OK LINE("\x0e", "content-length", "\x01", "1") LINE("\x0e", "content-length", "\x01", "2")) },
      1 },
    { "a body that is too short",
      { F(HEADERS, END_HEADERS, 1, OK LINE("\x0e", "content-length", "\x01", "5")),
        F(DATA, END_STREAM, 1, "abc") },
      1 },
    { "a body that is too long",
      { F(HEADERS, END_HEADERS, 1, OK LINE("\x0e", "content-length", "\x01", "2")),
        F(DATA, END_STREAM, 1, "abc") },
      1 },
    { "none where one was announced",
      { F(HEADERS, ALL, 1, OK LINE("\x0e", "content-length", "\x01", "5")) },
      1 },
    { "a body of 204", { F(HEADERS, END_HEADERS, 1, "\x89"), F(DATA, END_STREAM, 1, "abc") }, 1 },
    { "a body behind a 1xx",
      { F(HEADERS, END_HEADERS, 1,
          "\x08\x03"
          "103"),
        F(DATA, 0, 1, "abc") },
      1 },
    { "a 1xx at the end",
      { F(HEADERS, ALL, 1,
          "\x08\x03"
          "103") },
      1 },
    { "trailers that do not end it",
      { F(HEADERS, END_HEADERS, 1, OK), F(HEADERS, END_HEADERS, 1, LINE("\x01", "a", "\x01", "b")) },
      1 },
    { "a status in trailers", { F(HEADERS, END_HEADERS, 1, OK), F(HEADERS, ALL, 1, OK) }, 1 },
    { "a window that overflows", { F(WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff") }, 3 },
};

static void test_bad_responses(void **state)
{
    for (size_t i = 0; i < sizeof bad_responses / sizeof *bad_responses; i++) {
        const struct row *row = &bad_responses[i];
        struct talk *t;

        if (i > 0) {
            teardown(state);
            setup(state);
        }
        t = *state;
        print_message("%s\n", row->name);
        for (int f = 0; f < 3 && row->frames[f].payload; f++)
            assert_int_equal(frame(t, row->frames[f].kind, row->frames[f].flags, row->frames[f].stream,
                                   row->frames[f].payload, row->frames[f].n),
                             0);
        assert_int_equal(code_said(t, RST), row->code);
        assert_true(t->call->closed || t->call->why);
        assert_false(t->call->remote_ended);
        assert_int_equal(h2_call_how(t->call), H2_CALL_REFUSED);
        assert_int_equal(FRAME(t, PING, 0, 0, "12345678"), 0); /* others go on */
    }
}

/* Of the connection: all ends. */
static const struct row bad_frames[] = {
    { "HTTP/1.1", { F('1', '.', 0x3120, "400 Bad Request\r\n\r\n") }, 1 }, /* written out below */
    { "DATA of no stream", { F(DATA, 0, 0, "abc") }, 1 },
    { "HEADERS of no stream", { F(HEADERS, ALL, 0, OK) }, 1 },
    { "HEADERS of a stream that is not begun", { F(HEADERS, ALL, 3, OK) }, 1 },
    { "HEADERS of a stream of the service's", { F(HEADERS, ALL, 2, OK) }, 1 },
    { "a body in front of the head", { F(DATA, 0, 1, "abc") }, 1 },
    { "DATA of a stream that is not begun", { F(DATA, 0, 5, "abc") }, 1 },
    { "a push", { F(PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82\x84\x86") }, 1 },
    { "SETTINGS of a stream", { F(SETTINGS, 0, 1, "") }, 1 },
    { "SETTINGS of 5 bytes", { F(SETTINGS, 0, 0, "\0\3\0\0\0") }, 6 },
    { "an acknowledgement with something in it", { F(SETTINGS, ACK, 0, "\0\3\0\0\0\1") }, 6 },
    { "a server that wants pushes", { F(SETTINGS, 0, 0, "\0\2\0\0\0\1") }, 1 },
    { "a window of 2 GiB", { F(SETTINGS, 0, 0, "\0\4\x80\0\0\0") }, 3 },
    { "frames of 100 bytes", { F(SETTINGS, 0, 0, "\0\5\0\0\0\x64") }, 1 },
    { "PING of 7 bytes", { F(PING, 0, 0, "1234567") }, 6 },
    { "PING of a stream", { F(PING, 0, 1, "12345678") }, 1 },
    { "a window that grows by nothing", { F(WINDOW_UPDATE, 0, 0, "\0\0\0\0") }, 1 },
    { "a window that overflows", { F(WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff") }, 3 },
    { "WINDOW_UPDATE of 3 bytes", { F(WINDOW_UPDATE, 0, 0, "\0\0\1") }, 6 },
    { "WINDOW_UPDATE of a stream that is not begun", { F(WINDOW_UPDATE, 0, 7, "\0\0\0\1") }, 1 },
    { "GOAWAY of a stream", { F(GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0") }, 1 },
    { "GOAWAY of 7 bytes", { F(GOAWAY, 0, 0, "\0\0\0\0\0\0\0") }, 6 },
    { "RST_STREAM of no stream", { F(RST, 0, 0, "\0\0\0\0") }, 1 },
    { "RST_STREAM of a stream that is not begun", { F(RST, 0, 9, "\0\0\0\0") }, 1 },
    { "RST_STREAM of 3 bytes", { F(RST, 0, 1, "\0\0\0") }, 6 },
    { "CONTINUATION of nothing", { F(CONTINUATION, END_HEADERS, 1, OK) }, 1 },
    { "a head that something else comes into", { F(HEADERS, 0, 1, OK), F(DATA, 0, 1, "abc") }, 1 },
    { "a head that another one goes on with",
      { F(HEADERS, 0, 1, OK), F(CONTINUATION, END_HEADERS, 3, OK) },
      1 },
    { "a field that no table has", { F(HEADERS, ALL, 1, "\xff\xff\x03") }, 9 },
    { "a field that is cut off",
      { F(HEADERS, ALL, 1,
          OK "\x00\x05"
             "ab") },
      9 },
    { "bad Huffman",
      { F(HEADERS, ALL, 1,
          OK "\x00\x01"
             "a\x84\xff\xff\xff\xff") },
      9 },
    { "padding that is longer than its frame",
      { F(DATA, PADDED, 1,
          "\x09"
          "abc") },
      1 },
};

static void test_bad_frames(void **state)
{
    static const char http1[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

    for (size_t i = 0; i < sizeof bad_frames / sizeof *bad_frames; i++) {
        const struct row *row = &bad_frames[i];
        struct talk *t;
        int rc = 0;

        if (i > 0) {
            teardown(state);
            setup(state);
        }
        t = *state;
        print_message("%s\n", row->name);
        if (i == 0)
            rc = feed(t, http1, sizeof http1 - 1);
        for (int f = 0; f < 3 && row->frames[f].payload && rc == 0; f++)
            rc = frame(t, row->frames[f].kind, row->frames[f].flags, row->frames[f].stream,
                       row->frames[f].payload, row->frames[f].n);
        assert_int_equal(rc, -1);
        assert_int_equal(code_said(t, GOAWAY), i == 0 ? 6 : row->code);
        assert_true(h2_client_retiring(t->c));
    }
}

/* ---- what has no end ---- */

static void test_floods(void **state)
{
    static const struct {
        const char *name;
        int kind, flags;
        uint32_t stream;
        const char *payload;
        size_t n;
    } rows[] = {
        { "PING", PING, 0, 0, "12345678", 8 },
        { "SETTINGS", SETTINGS, 0, 0, "", 0 },
        { "DATA of nothing", DATA, 0, 1, "", 0 },
        { "PRIORITY", PRIORITY, 0, 1, "\0\0\0\0\0", 5 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk *t;
        int rc = 0, n = 0;

        teardown(state);
        setup(state);
        t = *state;
        print_message("%s\n", rows[i].name);
        assert_int_equal(FRAME(t, HEADERS, END_HEADERS, 1, OK), 0);
        for (; n < 20000 && rc == 0; n++) {
            rc = frame(t, rows[i].kind, rows[i].flags, rows[i].stream, rows[i].payload, rows[i].n);
            if (rc == 0)
                buf_take(&t->out, t->out.len);
        }
        assert_true(n > 9000 && n < 11000);
        assert_int_equal(code_said(t, GOAWAY), 11);
        assert_string_equal(t->why, "a flood of frames");
    }
}

/* Some servers measure their line with a PING for each piece of a body. */
static void test_pings_beside_data_are_no_flood(void **state)
{
    struct talk *t = *state;

    assert_int_equal(FRAME(t, HEADERS, END_HEADERS, 1, OK), 0);
    for (int i = 0; i < 30000; i++) {
        assert_int_equal(FRAME(t, DATA, 0, 1, "x"), 0);
        assert_int_equal(FRAME(t, PING, 0, 0, "12345678"), 0);
        h2_call_taken(t->call);
        buf_take(&t->out, t->out.len);
    }
}

static void test_a_head_without_end(void **state)
{
    struct talk *t = *state;
    struct buf line = { 0 }, piece = { 0 };
    int rc = 0, n = 0;

    buf_add(&line,
            "\x00\x01"
            "a\x7f\x61",
            5);
    for (int i = 0; i < 224; i++)
        buf_add(&line, "x", 1);
    for (int i = 0; i < 60; i++)
        buf_add(&piece, buf_bytes(&line), line.len);
    rc = FRAME(t, HEADERS, END_STREAM, 1, OK);
    for (; n < 1000 && rc == 0; n++) {
        rc = frame(t, CONTINUATION, 0, 1, buf_bytes(&piece), piece.len);
        assert_true(t->call->fields.lines.len <= H2_CALL_HEAD_BYTES);
    }
    assert_int_equal(rc, -1);
    assert_true(n < 100);
    buf_free(&line);
    buf_free(&piece);
}

static void test_a_head_that_is_too_large(void **state)
{
    struct talk *t = *state;
    struct buf line = { 0 };

    buf_add(&line,
            "\x00\x01"
            "a\x7f\x81\x7e",
            6); /* 127 + 0x7e01 = 16,256 more */
    for (int i = 0; i < 127 + 1 + (0x7e << 7); i++)
        buf_add(&line, "x", 1);
    assert_int_equal(FRAME(t, HEADERS, END_STREAM, 1, OK), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(frame(t, CONTINUATION, i == 4 ? END_HEADERS : 0, 1, buf_bytes(&line), line.len), 0);
    assert_int_equal(code_said(t, RST), 1);
    assert_int_equal(h2_call_how(t->call), H2_CALL_REFUSED);
    assert_true(t->call->heads.len == 0);
    buf_free(&line);
}

static void test_1xx_without_end(void **state)
{
    struct talk *t = *state;

    for (int i = 0; i <= H2_CALL_INTERIMS; i++) {
        assert_null(t->call->why);
        assert_int_equal(FRAME(t, HEADERS, END_HEADERS, 1,
                               "\x08\x03"
                               "103"),
                         0);
    }
    assert_non_null(t->call->why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_bad_responses),
        TEST(test_bad_frames),
        TEST(test_floods),
        TEST(test_pings_beside_data_are_no_flood),
        TEST(test_a_head_without_end),
        TEST(test_a_head_that_is_too_large),
        TEST(test_1xx_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
