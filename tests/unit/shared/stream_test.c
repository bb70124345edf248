/* Bytes: order, echo, half-close, backpressure. How streams end is in stream_end_test.c. */
#include "tests/unit/shared/stream_side.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

/* ---- both directions ---- */

static void echo_once(struct loop *l, bool tcp, size_t n)
{
    struct side a = { 0 }, b = { .on_received = side_echo, .on_eof = side_shut };
    struct buf sent = { 0 };

    side_pair(l, &a, &b, tcp);
    put_pattern(&sent, 0, n);
    stream_write(a.stream, buf_bytes(&sent), n);
    stream_shutdown(a.stream);
    stream_write(a.stream, "too late", 8); /* dropped: the end has been announced */
    loop_run(l);
    assert_int_equal(a.got.len, n);
    assert_true(is_pattern(buf_bytes(&a.got), 0, n));
    assert_int_equal(a.why.code, ERR_NONE);
    assert_int_equal(b.why.code, ERR_NONE);
    assert_null(strchr(a.events, 'f')); /* a had ended its own direction: the other end is the end of all */
    assert_int_equal(a.events[strlen(a.events) - 1], 'e');
    buf_free(&sent);
    buf_free(&a.got);
    buf_free(&b.got);
}

static void test_echo(void **state)
{
    static const size_t sizes[] = { 0, 1, 1000, 65536, 65537, 3000000 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        echo_once(*state, false, sizes[i]);
        echo_once(*state, true, sizes[i]);
    }
}

static void answer_and_shut(struct side *s)
{
    stream_write(s->stream, "last words", 10);
    stream_shutdown(s->stream);
}

/* Whoever ends its direction first still hears all that the other one says. */
static void half_close(struct loop *l, bool tcp, bool swapped)
{
    struct side a = { 0 }, b = { .on_eof = answer_and_shut };

    side_pair(l, swapped ? &b : &a, swapped ? &a : &b, tcp);
    stream_write(a.stream, "hello", 5);
    stream_shutdown(a.stream);
    stream_shutdown(a.stream); /* once is enough */
    loop_run(l);
    assert_string_equal(buf_text(&b.got), "hello");
    assert_string_equal(b.events, "rfe");
    assert_string_equal(buf_text(&a.got), "last words");
    assert_string_equal(a.events, "re");
    assert_int_equal(a.why.code, ERR_NONE);
    assert_int_equal(b.why.code, ERR_NONE);
    buf_free(&a.got);
    buf_free(&b.got);
}

struct reader {
    struct side side; /* first: a side of this kind is a reader */
    struct buf into;
    size_t at; /* how much of the pattern is no longer in it */
};

/* Whoever owns the buffer takes from it as he likes: here all but one byte. */
static void take_most(struct side *s)
{
    struct reader *r = (struct reader *)s;
    size_t n = r->into.len - 1;

    assert_true(s->got.len > 0 && s->got.len <= LOOP_BUF_BYTES);
    assert_memory_equal(buf_bytes(&r->into) + r->into.len - s->got.len, buf_bytes(&s->got), s->got.len);
    assert_true(is_pattern(buf_bytes(&r->into), r->at, r->into.len));
    buf_free(&s->got);
    buf_take(&r->into, n);
    r->at += n;
}

static void test_read_into_a_buffer(void **state)
{
    enum { BYTES = 3000000 };
    struct reader r = { .side = { .on_received = take_most, .on_eof = side_shut } };
    struct side a = { 0 };
    struct buf sent = { 0 };

    side_pair(*state, &a, &r.side, true);
    stream_read_into(r.side.stream, &r.into);
    put_pattern(&sent, 0, BYTES);
    stream_write(a.stream, buf_bytes(&sent), BYTES);
    stream_shutdown(a.stream);
    loop_run(*state);
    assert_int_equal(r.at + r.into.len, BYTES);
    assert_string_equal(r.side.events, "rfe");
    buf_free(&sent);
    buf_free(&r.into);
}

static void test_half_close(void **state)
{
    for (int i = 0; i < 4; i++)
        half_close(*state, i & 1, i & 2);
}

static void test_eof_leaves_our_direction_open(void **state)
{
    struct side s = { 0 };
    int peer = side_with_peer(*state, &s, true);
    char text[8];

    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    loop_settle(*state);
    assert_string_equal(s.events, "f");
    stream_write(s.stream, "still", 5);
    assert_int_equal(read(peer, text, sizeof text), 5);
    stream_shutdown(s.stream);
    loop_run(*state);
    assert_string_equal(s.events, "fe");
    assert_int_equal(read(peer, text, sizeof text), 0);
    close(peer);
}

/* Two million writes of 1 to 16 bytes, with pauses whenever the stream is full. */
enum { SMALL_WRITES = 2000000 };

static struct {
    size_t writes, sent, received;
} small;

static void write_small(struct side *s)
{
    char piece[32];

    for (; small.writes < SMALL_WRITES && !stream_full(s->stream); small.writes++) {
        size_t n = 1 + small.writes % 16;

        for (size_t i = 0; i < n; i++)
            piece[i] = pattern(small.sent + i);
        stream_write(s->stream, piece, n);
        memset(piece, '!', n); /* what is not sent yet has been copied */
        small.sent += n;
    }
    if (small.writes == SMALL_WRITES)
        stream_shutdown(s->stream);
}

static void check_small(struct side *s)
{
    assert_true(is_pattern(buf_bytes(&s->got), small.received, s->got.len));
    small.received += s->got.len;
    buf_take(&s->got, s->got.len);
}

static void test_small_writes_keep_their_order(void **state)
{
    struct side a = { .on_drained = write_small }, b = { .on_received = check_small, .on_eof = side_shut };

    side_pair(*state, &a, &b, false);
    write_small(&a);
    loop_run(*state);
    assert_int_equal(small.writes, SMALL_WRITES);
    assert_int_equal(small.received, small.sent);
    assert_int_equal(b.why.code, ERR_NONE);
    buf_free(&b.got);
}

static void test_pause_and_resume(void **state)
{
    struct side s = { 0 };
    int peer = side_with_peer(*state, &s, false);

    stream_pause(s.stream);
    assert_int_equal(write(peer, "abc", 3), 3);
    loop_settle(*state);
    assert_string_equal(s.events, "");
    stream_resume(s.stream);
    loop_settle(*state);
    assert_string_equal(buf_text(&s.got), "abc");
    close(peer);
    loop_settle(*state);
    assert_string_equal(s.events, "rf");
    stream_stop(s.stream);
    loop_run(*state);
    buf_free(&s.got);
}

/* ---- backpressure ---- */

struct flow {
    struct side source, sink; /* from one socket through source and sink to the other */
    int in, out;
    size_t written, read;
};

static struct stream *flow_sink(const struct flow *f)
{
    return f->sink.stream ? f->sink.stream : f->source.stream;
}

static void flow_begin(struct flow *f, struct loop *l, bool own_source)
{
    *f = (struct flow){ .source.on_received = own_source ? side_echo : side_forward };
    f->in = side_with_peer(l, &f->source, false);
    f->out = own_source ? dup(f->in) : side_with_peer(l, &f->sink, false);
    f->source.other = &f->sink;
    /* Little room in the kernel, so that the sink drains in small steps. */
    setsockopt(stream_fd(flow_sink(f)), SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
    stream_set_source(own_source ? f->source.stream : f->sink.stream, f->source.stream);
}

/* Writes into the flow until nothing more fits anywhere. */
static void flow_fill(struct flow *f, struct loop *l)
{
    for (size_t before = 0;; before = f->written) {
        struct buf piece = { 0 };
        ssize_t n;

        put_pattern(&piece, f->written, 10000);
        while ((n = write(f->in, buf_bytes(&piece), piece.len)) > 0) {
            f->written += (size_t)n;
            buf_take(&piece, (size_t)n);
            put_pattern(&piece, f->written + piece.len, (size_t)n);
        }
        buf_free(&piece);
        loop_settle(l);
        if (f->written == before)
            return;
    }
}

static void flow_read(struct flow *f, size_t most)
{
    char piece[65536];
    ssize_t n = read(f->out, piece, most < sizeof piece ? most : sizeof piece);

    if (n > 0) {
        assert_true(is_pattern(piece, f->read, (size_t)n));
        f->read += (size_t)n;
    }
}

static void flow_end(struct flow *f, struct loop *l)
{
    stream_stop(f->source.stream);
    if (f->sink.stream)
        stream_stop(f->sink.stream);
    loop_run(l);
    close(f->in);
    close(f->out);
    buf_free(&f->source.got);
}

static void test_a_full_sink_holds_its_source(void **state)
{
    for (int own = 0; own <= 1; own++) {
        struct flow f;
        size_t queued;

        flow_begin(&f, *state, own);
        flow_fill(&f, *state);
        queued = stream_queued(flow_sink(&f));
        assert_true(stream_full(flow_sink(&f)));
        assert_true(queued >= STREAM_FULL_BYTES && queued < STREAM_FULL_BYTES + LOOP_READ_BYTES);
        while (stream_full(flow_sink(&f))) { /* what is held stays held until only 64 KiB are left */
            size_t before = stream_queued(flow_sink(&f));

            flow_read(&f, 4096);
            uv_run(&((struct loop *)*state)->uv, UV_RUN_NOWAIT);
            if (stream_full(flow_sink(&f)))
                assert_true(stream_queued(flow_sink(&f)) <= before);
        }
        assert_string_equal(own ? f.source.events : f.sink.events, own ? "rd" : "d");
        for (size_t before = 0; f.read < f.written && before != f.read;) { /* nothing was lost on the way */
            before = f.read;
            flow_read(&f, 65536);
            loop_settle(*state);
        }
        assert_int_equal(f.read, f.written);
        assert_int_equal(stream_queued(flow_sink(&f)), 0);
        flow_end(&f, *state);
    }
}

static void test_a_sink_drains_as_soon_as_64_kib_are_left(void **state)
{
    struct flow f;
    bool still_full;

    flow_begin(&f, *state, false);
    flow_fill(&f, *state);
    while (stream_queued(f.sink.stream) > STREAM_DRAINED_BYTES) {
        flow_read(&f, 1024);
        uv_run(&((struct loop *)*state)->uv, UV_RUN_NOWAIT);
    }
    still_full = stream_full(f.sink.stream);
    flow_end(&f, *state);
    assert_false(still_full);
}

/* How many bytes the source reads of those that wait for it in its socket. */
static size_t source_reads(struct flow *f, struct loop *l)
{
    size_t before = f->source.got.len;

    f->source.on_received = NULL; /* keeps them */
    loop_settle(l);
    return f->source.got.len - before;
}

static void test_a_source_that_is_let_go_reads_again(void **state)
{
    struct flow f;

    flow_begin(&f, *state, false);
    flow_fill(&f, *state);
    assert_int_equal(source_reads(&f, *state), 0);
    stream_set_source(f.sink.stream, NULL);
    assert_true(source_reads(&f, *state) > 0);
    stream_set_source(f.sink.stream, f.source.stream); /* a full sink holds a new source at once */
    assert_int_equal(write(f.in, "more", 4), 4);
    assert_int_equal(source_reads(&f, *state), 0);
    flow_end(&f, *state);
}

static void test_the_end_of_a_sink_lets_its_source_go(void **state)
{
    struct flow f;

    flow_begin(&f, *state, false);
    flow_fill(&f, *state);
    assert_int_equal(source_reads(&f, *state), 0);
    stream_stop(f.sink.stream);
    assert_true(source_reads(&f, *state) > 0);
    assert_true(f.sink.ended);
    flow_end(&f, *state);
}

static void test_the_end_of_a_source_leaves_its_sink(void **state)
{
    struct side next = { 0 };
    struct flow f;
    int peer;

    flow_begin(&f, *state, false);
    flow_fill(&f, *state);
    stream_stop(f.source.stream);
    loop_settle(*state);
    assert_true(f.source.ended);
    while (stream_full(f.sink.stream)) {
        flow_read(&f, 65536);
        loop_settle(*state);
    }
    peer = side_with_peer(*state, &next, false); /* both are free for others */
    stream_set_source(f.sink.stream, next.stream);
    stream_stop(next.stream);
    close(peer);
    stream_stop(f.sink.stream);
    loop_run(*state);
    close(f.in);
    close(f.out);
    buf_free(&f.source.got);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, loop_make, loop_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_echo),
        LOOP_TEST(test_read_into_a_buffer),
        LOOP_TEST(test_half_close),
        LOOP_TEST(test_eof_leaves_our_direction_open),
        LOOP_TEST(test_small_writes_keep_their_order),
        LOOP_TEST(test_pause_and_resume),
        LOOP_TEST(test_a_full_sink_holds_its_source),
        LOOP_TEST(test_a_sink_drains_as_soon_as_64_kib_are_left),
        LOOP_TEST(test_a_source_that_is_let_go_reads_again),
        LOOP_TEST(test_the_end_of_a_sink_lets_its_source_go),
        LOOP_TEST(test_the_end_of_a_source_leaves_its_sink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
