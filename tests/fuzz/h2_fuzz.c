/* Fuzzes the server's side of HTTP/2: the first byte says into how large pieces the others are cut, which are frames behind
 * the preface. Whatever comes, a head is refused or is one head and not two, what waits is bounded, and a body in chunks
 * is well framed. */
#include <stdint.h>
#include <string.h>

#include "relay/edge/h2_session.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_HEADER = 4096, FRAME = 16384 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static void take_head(struct h2_stream *st)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 2 * MAX_HEADER };
    struct buf text = { 0 };
    struct h1_head head;
    ssize_t n;

    h1_request_init(&head);
    if (h2_stream_take_head(st, &text) != 0) {
        must(st->fields.why);
        h2_stream_reset(st, NGHTTP2_PROTOCOL_ERROR);
    } else {
        n = h1_head_parse(&head, buf_bytes(&text), text.len, &limits);
        must(n < 0 || (size_t)n == text.len);
        if (n < 0)
            h2_stream_discard(st);
        h2_stream_answer(st, STR("HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"));
    }
    st->user = st;
    buf_free(&text);
}

/* Half of what there is, so that windows fill. */
static void take_body(struct h2_stream *st)
{
    while (h2_stream_fill(st))
        ;
    must(st->raw.len <= H2_WINDOW_BYTES + FRAME && st->in.len <= (size_t)2 * (H2_WINDOW_BYTES + FRAME));
    if (st->chunked && !st->terminated && !st->discards && st->in.len > 0) {
        struct h1_body body;
        struct str piece;
        size_t used;

        h1_body_init(&body, H1_CHUNKED, -1);
        must(h1_body_feed(&body, buf_bytes(&st->in), st->in.len, &used, &piece) == H1_BODY_DATA);
        must(piece.n + 5 <= st->in.len);
        buf_take(&st->in, st->in.len);
    } else {
        buf_take(&st->in, st->in.len / 2);
    }
    h2_stream_used(st);
}

static void run(struct h2_session *s)
{
    struct h2_stream *st;

    while ((st = h2_session_next(s))) {
        if (st->closed) {
            h2_stream_free(st);
            continue;
        }
        if (st->head_whole && !st->user)
            take_head(st);
        take_body(st);
        h2_stream_flush(st);
    }
}

static size_t streams(const struct h2_session *s)
{
    size_t n = 0;

    for (const struct h2_stream *st = h2_session_first(s); st; st = st->next)
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h2_session *s = h2_session_new(MAX_HEADER, 0);
    size_t piece = size > 0 && data[0] > 0 ? data[0] : size;
    struct buf out = { 0 };
    const char *why = NULL;
    int rc = h2_session_feed(s, preface, sizeof preface - 1, 0, &why);

    must(rc == 0);
    for (size_t at = 1; at < size && rc == 0; at += piece) {
        rc = h2_session_feed(s, (const char *)data + at, size - at < piece ? size - at : piece, at, &why);
        must(rc == 0 || why);
        run(s);
        h2_session_send(s, &out, 1 << 20);
        must(out.len < 1 << 21);
        buf_free(&out);
        run(s);
        must(streams(s) <= H2_MAX_STREAMS + 1);
    }
    h2_session_free(s);
    buf_free(&out);
    return 0;
}
