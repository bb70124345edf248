/* How streams begin and end: stopped in every state, reset, broken by the peer. Their bytes are in
 * stream_test.c. */
#include "tests/unit/shared/stream_side.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

/* ---- stop in every state ---- */

static void as_it_began(struct loop *l, struct side *s, int peer)
{
    (void)l;
    (void)s;
    (void)peer;
}

static void after_bytes(struct loop *l, struct side *s, int peer)
{
    (void)s;
    assert_int_equal(write(peer, "x", 1), 1);
    loop_settle(l);
}

static void with_unread_bytes(struct loop *l, struct side *s, int peer)
{
    stream_pause(s->stream);
    after_bytes(l, s, peer);
}

static void half_closed_by_peer(struct loop *l, struct side *s, int peer)
{
    (void)s;
    shutdown(peer, SHUT_WR);
    loop_settle(l);
}

static void half_closed_by_us(struct loop *l, struct side *s, int peer)
{
    (void)peer;
    stream_shutdown(s->stream);
    loop_settle(l);
}

static void about_to_half_close(struct loop *l, struct side *s, int peer)
{
    (void)l;
    (void)peer;
    stream_shutdown(s->stream);
}

static void full(struct loop *l, struct side *s, int peer)
{
    static const char bytes[65536];

    (void)peer;
    while (!stream_full(s->stream))
        stream_write(s->stream, bytes, sizeof bytes);
    loop_settle(l);
}

static void half_close_behind_a_queue(struct loop *l, struct side *s, int peer)
{
    full(l, s, peer);
    stream_shutdown(s->stream);
    loop_settle(l);
}

static void held_by_itself(struct loop *l, struct side *s, int peer)
{
    stream_set_source(s->stream, s->stream);
    full(l, s, peer);
}

static void stopped_already(struct loop *l, struct side *s, int peer)
{
    (void)l;
    (void)peer;
    stream_stop(s->stream);
}

static const struct {
    const char *name;
    void (*reach)(struct loop *l, struct side *s, int peer);
    const char *events; /* before the end */
} states[] = {
    { "as it began", as_it_began, "" },
    { "after bytes", after_bytes, "r" },
    { "with unread bytes", with_unread_bytes, "" },
    { "half closed by the peer", half_closed_by_peer, "f" },
    { "half closed by us", half_closed_by_us, "" },
    { "about to half-close", about_to_half_close, "" },
    { "full", full, "" },
    { "half-close behind a queue", half_close_behind_a_queue, "" },
    { "held by itself", held_by_itself, "" },
    { "stopped already", stopped_already, "" },
};

/* After the end nothing happens but `ended`, whatever the peer does and the stream is asked for. */
static void end_in_every_state(struct loop *l, bool tcp, void (*end)(struct stream *s))
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct side s = { 0 };
        int peer = side_with_peer(l, &s, tcp);
        char events[64];

        states[i].reach(l, &s, peer);
        snprintf(events, sizeof events, "%se", states[i].events);
        end(s.stream);
        assert_false(s.ended); /* from the loop, not from inside */
        send(peer, "late", 4, MSG_NOSIGNAL);
        stream_write(s.stream, "late", 4);
        stream_resume(s.stream);
        stream_shutdown(s.stream);
        loop_run(l);
        if (strcmp(s.events, events) != 0 || s.why.code != ERR_NONE)
            fail_msg("%s, %s: %s, not %s; %s", tcp ? "TCP" : "Unix", states[i].name, s.events, events,
                     s.why.text);
        buf_free(&s.got);
        close(peer);
    }
}

static void test_stop_in_every_state(void **state)
{
    end_in_every_state(*state, false, stream_stop);
    end_in_every_state(*state, true, stream_stop);
}

static void test_reset_in_every_state_of_a_unix_socket(void **state)
{
    end_in_every_state(*state, false, stream_reset);
}

static void test_reset_in_every_state_of_tcp(void **state)
{
    end_in_every_state(*state, true, stream_reset);
}

/* Both directions are done, in either order: one that is kept says so with its eof, and then waits to be stopped. */
static void test_a_kept_stream_stays_when_it_is_done(void **state)
{
    for (int last = 0; last < 2; last++) {
        struct side s = { 0 };
        int peer = side_with_peer(*state, &s, true);

        stream_keep(s.stream, true);
        if (last == 0)
            stream_shutdown(s.stream);
        shutdown(peer, SHUT_WR);
        while (!strchr(s.events, 'f'))
            uv_run(&((struct loop *)*state)->uv, UV_RUN_ONCE);
        stream_shutdown(s.stream);
        for (int i = 0; i < 10; i++)
            uv_run(&((struct loop *)*state)->uv, UV_RUN_NOWAIT);
        assert_string_equal(s.events, "f");
        stream_keep(s.stream, false);
        loop_run(*state);
        assert_string_equal(s.events, "fe");
        assert_int_equal(s.why.code, ERR_NONE);
        close(peer);
    }
}

/* ---- stop from inside events ---- */

static void test_stop_inside_received(void **state)
{
    struct side s = { .on_received = side_stop };
    int peer = side_with_peer(*state, &s, false);
    static const char bytes[200000]; /* more than one read */

    assert_true(write(peer, bytes, sizeof bytes) > LOOP_READ_BYTES);
    loop_run(*state);
    assert_string_equal(s.events, "re");
    assert_true(s.got.len <= LOOP_READ_BYTES);
    buf_free(&s.got);
    close(peer);
}

static void test_stop_inside_eof(void **state)
{
    struct side s = { .on_eof = side_stop };
    int peer = side_with_peer(*state, &s, true);

    close(peer);
    loop_run(*state);
    assert_string_equal(s.events, "fe");
    assert_int_equal(s.why.code, ERR_NONE);
}

static void test_stop_inside_drained(void **state)
{
    struct side s = { .on_drained = side_stop };
    int peer = side_with_peer(*state, &s, false);
    static char piece[65536];

    stream_set_source(s.stream, s.stream);
    full(*state, &s, peer);
    while (!s.ended) {
        while (read(peer, piece, sizeof piece) > 0)
            continue;
        loop_settle(*state);
    }
    assert_string_equal(s.events, "de");
    loop_run(*state);
    close(peer);
}

static void stop_the_other(struct side *s)
{
    stream_stop(s->other->stream);
    stream_stop(s->stream);
}

static void test_stop_both_inside_received(void **state)
{
    struct side a = { .on_received = stop_the_other }, b = { 0 };

    side_pair(*state, &a, &b, true);
    stream_set_source(a.stream, b.stream);
    stream_set_source(b.stream, a.stream);
    stream_write(b.stream, "x", 1);
    loop_run(*state);
    assert_string_equal(a.events, "re");
    assert_string_equal(b.events, "e");
    buf_free(&a.got);
}

/* ---- resets ---- */

static void test_a_reset_is_seen_by_the_peer(void **state)
{
    static void (*const reach[])(struct loop * l, struct side * s, int peer) = { as_it_began, full,
                                                                                 half_closed_by_peer };

    for (size_t i = 0; i < sizeof reach / sizeof reach[0]; i++) {
        struct side s = { 0 };
        int peer = side_with_peer(*state, &s, true), error = 0;
        socklen_t size = sizeof error;

        reach[i](*state, &s, peer);
        stream_reset(s.stream);
        loop_run(*state);
        assert_int_equal(getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &size), 0);
        assert_int_equal(error, ECONNRESET);
        close(peer);
    }
}

/* What the peer's reset looks like while we read, and while we do nothing but write. */
static void reset_by_peer(struct loop *l, struct side *s, bool paused)
{
    const struct linger at_once = { .l_onoff = 1 };
    int peer = side_with_peer(l, s, true);

    if (paused)
        stream_pause(s->stream);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(peer);
    if (paused)
        stream_write(s->stream, "x", 1);
    loop_run(l);
    assert_string_equal(s->events, "e");
    assert_int_equal(s->why.code, ERR_PEER);
}

static void test_a_reset_by_the_peer(void **state)
{
    struct side reader = { 0 }, writer = { 0 };

    reset_by_peer(*state, &reader, false);
    assert_string_equal(reader.why.text, "the connection broke while reading: connection reset by peer");
    reset_by_peer(*state, &writer, true);
    assert_non_null(strstr(writer.why.text, "the connection broke while writing: "));
}

/* It answers early, and its reset is found by a write while nobody reads. */
static void test_an_answer_is_heard_out(void **state)
{
    struct side s = { 0 };
    int peer = side_with_peer(*state, &s, true);

    stream_hear_out(s.stream);
    stream_pause(s.stream);
    stream_write(s.stream, "question", 8);
    loop_run(*state);
    assert_int_equal(send(peer, "answer", 6, 0), 6);
    close(peer); /* the question has not been read, which makes it a reset */
    stream_write(s.stream, "x", 1);
    stream_write(s.stream, "y", 1);
    loop_run(*state);
    assert_string_equal(s.events, "");
    stream_resume(s.stream);
    loop_run(*state);
    assert_string_equal(s.events, "re");
    assert_int_equal(s.got.len, 6);
    assert_int_equal(s.why.code, ERR_PEER);
    assert_non_null(strstr(s.why.text, "the connection broke while writing: "));
    buf_free(&s.got);
}

static void test_a_peer_that_goes_while_we_are_full(void **state)
{
    for (int tcp = 0; tcp <= 1; tcp++) {
        struct side s = { 0 };
        int peer = side_with_peer(*state, &s, tcp);

        stream_set_source(s.stream, s.stream);
        full(*state, &s, peer);
        close(peer);
        loop_run(*state);
        assert_string_equal(s.events, "e");
        assert_int_equal(s.why.code, ERR_PEER);
    }
}

static void note_break(void *user)
{
    side_note(user, 'b');
}

/* However it is found: by reading, by writing, or by writing while nothing is read. */
static void test_a_broken_stream_that_is_kept_is_told_of_and_stays(void **state)
{
    for (int way = 0; way < 3; way++) {
        const struct linger at_once = { .l_onoff = 1 };
        struct side s = { 0 };
        int peer = side_with_peer(*state, &s, true);

        stream_keep_broken(s.stream, note_break);
        if (way == 1)
            full(*state, &s, peer);
        if (way == 2)
            stream_pause(s.stream);
        setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(peer);
        for (int i = 0; i < 10; i++) {
            if (way == 2)
                stream_write(s.stream, "x", 1);
            loop_settle(*state);
        }
        assert_string_equal(s.events, "b");
        assert_true(stream_is_broken(s.stream));
        stream_write(s.stream, "late", 4);
        stream_shutdown(s.stream);
        stream_resume(s.stream);
        stream_keep(s.stream, false);
        loop_settle(*state);
        assert_string_equal(s.events, "b");
        assert_int_equal(stream_queued(s.stream), 0);
        stream_stop(s.stream);
        loop_run(*state);
        assert_string_equal(s.events, "be");
        assert_int_equal(s.why.code, ERR_PEER);
    }
}

/* A stream that is not read can be asked; one that is read will tell. */
static void test_what_is_seen_of_a_peer_who_has_gone(void **state)
{
    static const char first[] = "first";
    const struct linger at_once = { .l_onoff = 1 };
    struct side s = { 0 };
    int peer = side_with_peer(*state, &s, true);

    stream_pause(s.stream);
    assert_false(stream_peer_has_ended(s.stream) || stream_is_broken(s.stream));
    assert_int_equal(write(peer, first, 5), 5);
    shutdown(peer, SHUT_WR);
    assert_true(stream_peer_has_ended(s.stream));
    assert_false(stream_is_broken(s.stream));
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(peer);
    assert_true(stream_is_broken(s.stream));
    assert_true(stream_is_broken(s.stream)); /* to look changes nothing */
    stream_resume(s.stream);
    loop_run(*state);
    assert_string_equal(s.events, "re");
    assert_int_equal(s.why.code, ERR_PEER);
    buf_free(&s.got);
}

/* ---- start ---- */

static void test_open_without_a_descriptor(void **state)
{
    struct side s = { 0 };
    struct err e = { 0 };

    assert_null(stream_open(*state, -1, &side_events, &s, &e));
    assert_int_equal(e.code, ERR_SYSTEM);
    loop_run(*state);
    assert_string_equal(s.events, ""); /* a stream that never lived does not end */
}

static void test_fd_is_for_looking_at(void **state)
{
    struct side s = { 0 };
    int peer = side_with_peer(*state, &s, false);
    struct ucred who = { 0 };
    socklen_t size = sizeof who;

    assert_int_equal(getsockopt(stream_fd(s.stream), SOL_SOCKET, SO_PEERCRED, &who, &size), 0);
    assert_int_equal(who.pid, getpid());
    stream_stop(s.stream);
    assert_int_equal(stream_fd(s.stream), -1);
    loop_run(*state);
    close(peer);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, loop_make, loop_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_stop_in_every_state),
        LOOP_TEST(test_reset_in_every_state_of_a_unix_socket),
        LOOP_TEST(test_reset_in_every_state_of_tcp),
        LOOP_TEST(test_a_kept_stream_stays_when_it_is_done),
        LOOP_TEST(test_stop_inside_received),
        LOOP_TEST(test_stop_inside_eof),
        LOOP_TEST(test_stop_inside_drained),
        LOOP_TEST(test_stop_both_inside_received),
        LOOP_TEST(test_a_reset_is_seen_by_the_peer),
        LOOP_TEST(test_a_reset_by_the_peer),
        LOOP_TEST(test_an_answer_is_heard_out),
        LOOP_TEST(test_a_peer_that_goes_while_we_are_full),
        LOOP_TEST(test_a_broken_stream_that_is_kept_is_told_of_and_stays),
        LOOP_TEST(test_what_is_seen_of_a_peer_who_has_gone),
        LOOP_TEST(test_open_without_a_descriptor),
        LOOP_TEST(test_fd_is_for_looking_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
