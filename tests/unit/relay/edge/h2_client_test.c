/* The client's side of HTTP/2, with services that speak it well; nothing here has a socket. */
#include "tests/unit/relay/edge/h2_client_talk.h"

static const char *text_of(struct buf *b)
{
    return buf_text(b);
}
/* ---- what goes ---- */

static void test_a_request(void **state)
{
    struct talk *t = *state;
    size_t n;
    int flags;

    h2_call_body(t->call, "hello", 5);
    h2_call_flush(t->call);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_memory_equal(said(t, DATA, &n, &flags), "hello", 5);
    assert_true(n == 5 && !(flags & END_STREAM));
    h2_call_body(t->call, "!", 1);
    h2_call_end(t->call, STR("X-Sum: 1\r\n\r\n"));
    h2_call_flush(t->call);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_non_null(said(t, DATA, &n, &flags));
    assert_false(flags & END_STREAM);
    assert_non_null(said(t, HEADERS, &n, &flags));
    assert_true(flags & END_STREAM);
}

static void test_a_request_without_a_body_ends_with_its_head(void **state)
{
    struct talk *t = *state;
    struct h2_call *call = call_of(t, HEAD("GET") "\r\n");
    size_t n;
    int flags;

    h2_call_end(call, STR(""));
    h2_call_flush(call);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_non_null(said(t, HEADERS, &n, &flags));
    assert_true(flags & END_STREAM);
    assert_null(said(t, DATA, &n, &flags));
}

/* Only as much of bodies as there is room for goes; heads go in any case. */
static void test_bodies_wait_for_room(void **state)
{
    struct talk *t = *state;
    char body[1000] = { 0 };
    size_t n;
    int flags;

    h2_call_body(t->call, body, sizeof body);
    h2_call_flush(t->call);
    h2_client_send(t->c, &t->out, 1 << 20, 100);
    assert_non_null(said(t, DATA, &n, &flags));
    assert_int_equal(n, 100);
    h2_client_send(t->c, &t->out, 1 << 20, 0);
    assert_int_equal(t->out.len, 0);
    h2_call_flush(call_of(t, HEAD("GET") "\r\n"));
    h2_client_send(t->c, &t->out, 1 << 20, 0);
    assert_non_null(said(t, HEADERS, &n, &flags));
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_non_null(said(t, DATA, &n, &flags));
    assert_int_equal(n, 900);
    assert_int_equal(h2_call_room(t->call), H2_CALL_ROOM_BYTES);
}

/* ---- what comes ---- */

static void test_a_response(void **state)
{
    struct talk *t = *state;

    assert_int_equal(FRAME(t, HEADERS, END_HEADERS, 1,
                           "\x08\x03"
                           "103" LINE("\x04", "link", "\x01", "x")),
                     0);
    assert_int_equal(FRAME(t, HEADERS, END_HEADERS, 1, OK LINE("\x01", "a", "\x01", "b")), 0);
    assert_int_equal(FRAME(t, DATA, 0, 1, "hello"), 0);
    assert_ptr_equal(h2_client_next(t->c), t->call);
    assert_string_equal(text_of(&t->call->heads),
                        "HTTP/1.1 103 \r\nlink: x\r\n\r\nHTTP/1.1 200 \r\na: b\r\n\r\n");
    assert_string_equal(text_of(&t->call->in), "hello");
    assert_false(t->call->remote_ended);
    assert_int_equal(FRAME(t, HEADERS, END_HEADERS | END_STREAM, 1, LINE("\x0b", "grpc-status", "\x01", "0")),
                     0);
    assert_true(t->call->remote_ended);
    assert_string_equal(text_of(&t->call->trailers), "grpc-status: 0\r\n\r\n");
    assert_ptr_equal(h2_client_next(t->c), t->call);
    assert_null(h2_client_next(t->c));
}

/* What is held back is as much as the window: no more is granted until it is taken. */
static void test_a_visitor_who_does_not_read(void **state)
{
    struct talk *t = *state;
    static char piece[16384];
    size_t n;
    int flags;

    h2_call_hold(t->call, true);
    assert_int_equal(FRAME(t, HEADERS, END_HEADERS, 1, OK), 0);
    for (size_t i = 0; i < H2_CALL_WINDOW_BYTES / sizeof piece; i++) {
        assert_int_equal(frame(t, DATA, 0, 1, piece, sizeof piece), 0);
        h2_call_taken(t->call);
    }
    while (t->out.len > 0) { /* the connection's own window is for all */
        assert_true(((const unsigned char *)buf_bytes(&t->out))[8] == 0);
        (void)said(t, WINDOW_UPDATE, &n, &flags);
    }
    h2_call_hold(t->call, false);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_int_equal(((const unsigned char *)buf_bytes(&t->out))[8], 1);
    assert_non_null(said(t, WINDOW_UPDATE, &n, &flags));
    assert_int_equal(frame(t, DATA, 0, 1, piece, sizeof piece), 0);
}

static void test_ends(void **state)
{
    static const struct {
        const char *name;
        int kind;
        const char *payload;
        size_t n;
        uint32_t stream;
        enum h2_call_end how;
        uint32_t code;
    } rows[] = {
        { "refused", RST, "\0\0\0\7", 4, 1, H2_CALL_UNPROCESSED, 7 },
        { "cancelled", RST, "\0\0\0\10", 4, 1, H2_CALL_RESET, 8 },
        { "failed", RST, "\0\0\0\2", 4, 1, H2_CALL_RESET, 2 },
        { "above the last one", GOAWAY, "\0\0\0\0\0\0\0\0", 8, 0, H2_CALL_UNPROCESSED, 7 },
        { "above the last one, calm down", GOAWAY, "\0\0\0\0\0\0\0\13", 8, 0, H2_CALL_UNPROCESSED, 7 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct talk *t;

        if (i > 0) {
            teardown(state);
            setup(state);
        }
        t = *state;
        print_message("%s\n", rows[i].name);
        assert_int_equal(frame(t, rows[i].kind, 0, rows[i].stream, rows[i].payload, rows[i].n), 0);
        assert_true(t->call->closed && t->call->code == rows[i].code);
        assert_int_equal(h2_call_how(t->call), rows[i].how);
        assert_int_equal(h2_client_retiring(t->c), rows[i].kind == GOAWAY);
    }
}

/* Those at or below the last one go on. */
static void test_a_goaway_lets_calls_end(void **state)
{
    struct talk *t = *state;
    struct h2_call *late;

    assert_int_equal(FRAME(t, GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0"), 0);
    assert_true(h2_client_retiring(t->c) && !t->call->closed);
    late = call_of(t, HEAD("GET") "\r\n");
    h2_call_flush(late);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_true(late->closed);
    assert_int_equal(h2_call_how(late), H2_CALL_UNPROCESSED);
    assert_int_equal(FRAME(t, HEADERS, END_HEADERS | END_STREAM, 1, OK), 0);
    assert_true(t->call->remote_ended);
}

static void test_who_leaves_cancels(void **state)
{
    struct talk *t = *state;

    h2_call_leave(t->call);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_int_equal(code_said(t, RST), 8);
    assert_ptr_equal(h2_client_next(t->c), t->call);
    assert_true(t->call->closed && !t->call->user);
    h2_call_free(t->call);
    assert_null(h2_client_first(t->c));
    assert_int_equal(FRAME(t, HEADERS, END_HEADERS | END_STREAM, 1, OK), 0); /* was under way */
}

static void test_who_leaves_behind_a_whole_response_does_not(void **state)
{
    struct talk *t = *state;

    h2_call_end(t->call, STR(""));
    h2_call_flush(t->call);
    assert_int_equal(FRAME(t, HEADERS, END_HEADERS | END_STREAM, 1, OK), 0);
    h2_call_leave(t->call);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_int_equal(code_said(t, RST), -1);
    assert_true(t->call->closed);
}

static void test_settings_limit_calls(void **state)
{
    struct talk *t = *state;

    assert_int_equal(FRAME(t, SETTINGS, 0, 0, "\0\3\0\0\0\5"), 0);
    assert_int_equal(h2_client_limit(t->c), 5);
    assert_int_equal(FRAME(t, SETTINGS, 0, 0, "\0\3\0\0\0\0"), 0);
    assert_int_equal(h2_client_limit(t->c), 0);
    assert_int_equal(FRAME(t, SETTINGS, 0, 0, "\0\3\0\1\0\0"), 0);
    assert_int_equal(h2_client_limit(t->c), H2_CLIENT_CALLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_a_request),
        TEST(test_a_request_without_a_body_ends_with_its_head),
        TEST(test_bodies_wait_for_room),
        TEST(test_a_response),
        TEST(test_a_visitor_who_does_not_read),
        TEST(test_ends),
        TEST(test_a_goaway_lets_calls_end),
        TEST(test_who_leaves_cancels),
        TEST(test_who_leaves_behind_a_whole_response_does_not),
        TEST(test_settings_limit_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
