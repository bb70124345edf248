/* tests/fuzz/h1_talk.h - one side of a connection. What comes out is the same however the input was cut. */
#ifndef TESTS_FUZZ_H1_TALK_H
#define TESTS_FUZZ_H1_TALK_H
#include <stdint.h>

#include "tests/fuzz/h1_check.h"
#include "tests/unit/pieces.h"

struct talk {
    const char *response_to; /* the method asked with, or NULL for requests */
    struct h1_head head;
    struct h1_body body;
    struct buf in, trailers;
    enum { IN_HEAD, IN_BODY, OVER } part;
};

static bool talk_head(struct talk *t, struct buf *out)
{
    ssize_t n = h1_head_parse(&t->head, buf_bytes(&t->in), t->in.len, &talk_limits);

    must(n <= (ssize_t)t->in.len && n <= (ssize_t)talk_limits.max_header);
    if (n < 0) {
        must(t->head.status >= 400 && t->head.why);
        buf_printf(out, "refused %d %s\n", t->head.status, t->head.why);
        t->part = OVER;
    }
    if (n <= 0)
        return false;
    check_head(&t->head, t->response_to, out);
    h1_body_init(&t->body, t->head.framing, t->head.content_length);
    buf_take(&t->in, (size_t)n);
    t->part = IN_BODY;
    return true;
}

static void talk_next(struct talk *t, struct buf *out)
{
    t->part = t->head.keep_alive ? IN_HEAD : OVER;
    if (t->trailers.len > 0 && h1_trailers_parse(&t->head, buf_bytes(&t->trailers), t->trailers.len) < 0) {
        buf_printf(out, "trailers refused: %s\n", t->head.why);
        t->part = OVER;
    } else if (t->trailers.len > 0) {
        write_fields(out, &t->head);
    }
    buf_free(&t->trailers);
    head_init(&t->head, t->response_to);
}

static bool talk_body(struct talk *t, struct buf *out)
{
    struct str data;
    size_t used;
    enum h1_body_event event = h1_body_feed(&t->body, buf_bytes(&t->in), t->in.len, &used, &data);

    check_event(event, t->in.len, used, data.n);
    if (event == H1_BODY_DATA)
        buf_add(out, data.p, data.n);
    if (event == H1_BODY_TRAILER)
        buf_add(&t->trailers, data.p, data.n);
    buf_take(&t->in, used);
    if (event == H1_BODY_END) {
        buf_add_text(out, "end\n");
        talk_next(t, out);
    }
    if (event == H1_BODY_BAD) {
        buf_printf(out, "bad %s\n", t->body.why);
        t->part = OVER;
    }
    return event != H1_BODY_MORE && event != H1_BODY_BAD;
}

static void talk_start(void *parser)
{
    struct talk *t = parser;

    head_init(&t->head, t->response_to);
    t->part = IN_HEAD;
}

static void talk_feed(void *parser, const char *piece, size_t n, struct buf *out)
{
    struct talk *t = parser;
    bool on = true;

    buf_add(&t->in, piece, n);
    while (on && t->part != OVER)
        on = t->part == IN_HEAD ? talk_head(t, out) : talk_body(t, out);
}

static void talk_end(void *parser, struct buf *out)
{
    struct talk *t = parser;

    if (t->part == IN_BODY)
        buf_printf(out, "eof %d %s\n", h1_body_eof(&t->body) == H1_BODY_END, t->body.why ? t->body.why : "");
    buf_printf(out, "part %d, %zu bytes of trailers\n", (int)t->part, t->trailers.len);
    buf_free(&t->in);
    buf_free(&t->trailers);
}

/* Whole, byte by byte, in two, and in pieces of odd sizes. */
static void talk_in_pieces(const char *response_to, const char *in, size_t n)
{
    static const struct pieces pieces = { talk_start, talk_feed, talk_end };
    const size_t cuts[][2] = { { 1, 1 }, { n / 2 + 1, n }, { n > 0 ? (unsigned char)in[n - 1] + 1u : 1, 7 } };
    struct talk *t = calloc(1, sizeof *t);
    struct buf whole, other;

    must(t);
    t->response_to = response_to;
    whole = pieces_run(&pieces, t, in, n, n, n);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        other = pieces_run(&pieces, t, in, n, cuts[i][0], cuts[i][1]);
        must(other.len == whole.len && memcmp(other.mem, whole.mem, whole.len) == 0);
        buf_free(&other);
    }
    buf_free(&whole);
    free(t);
}
#endif
