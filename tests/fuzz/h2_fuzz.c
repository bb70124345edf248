/* Fuzzes the server's side of HTTP/2, with a made-up exchange on the other side: the first byte says into how large pieces
 * the frames behind the second are cut, the second how the exchange behaves. Whatever comes, a head is refused or is one
 * head and not two, what waits is bounded, a body in chunks is well framed, and what is said is frames. */
#include <stdint.h>
#include <string.h>

#include "relay/edge/h2_session.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_HEADER = 4096, FRAME = 16384, FRAME_HEAD = 9, LARGE = 200000 };

/* How the exchange behaves: bits of the second byte. */
enum {
    HINTS = 1,      /* 103 before the response */
    EARLY = 2,      /* answers without waiting for the body, */
    LATE = 4,       /* or only when all of it is there */
    IN_PIECES = 8,  /* the response, with trailers */
    MUCH = 16,      /* of it, so that windows fill */
    BREAKS = 32,    /* in the middle of the response */
    DRAINS = 64,    /* with the second request */
    TAKES_ALL = 128 /* of a body at once, instead of half of what there is */
};

struct other_side {
    struct h2_session *s;
    unsigned how, requests;
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static char waits, answers, has_answered; /* what a stream's user points to */

static void take_head(struct other_side *o, struct h2_stream *st)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 2 * MAX_HEADER };
    struct buf text = { 0 };
    struct h1_head head;

    st->user = &has_answered;
    switch (h2_stream_read_head(st, "AAAAAAAAAAAAAAAAAAAAAA==", &limits, &text, &head)) {
    case H2_HEAD_READ:
        h1_request_init(&head);
        must(h1_head_parse(&head, buf_bytes(&text), text.len, &limits) == (ssize_t)text.len);
        st->user = o->how & LATE ? &waits : &answers;
        if (++o->requests == 2 && (o->how & DRAINS))
            h2_session_drain(o->s);
        break;
    case H2_HEAD_REFUSED:
        must(head.why);
        h2_stream_answer(st, STR("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n"));
        h2_stream_discard(st);
        break;
    case H2_HEAD_MALFORMED: h2_stream_discard(st); break;
    }
    buf_free(&text);
}

/* Without a limit, so that what waits is what the windows let through. */
static void take_body(struct other_side *o, struct h2_stream *st)
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
        buf_take(&st->in, o->how & TAKES_ALL ? st->in.len : st->in.len / 2);
    }
    h2_stream_used(st);
}

/* A WebSocket, of which either way may end first. */
static void agree(const struct other_side *o, struct h2_stream *st)
{
    buf_add_text(&st->head, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n");
    h2_stream_head(st, 101);
    h2_stream_body(st, "hello", 5);
    if (o->how & IN_PIECES)
        h2_stream_end(st, STR(""));
    if (o->how & BREAKS) {
        h2_stream_discard(st);
        h2_stream_finish(st);
    }
}

static void answer(const struct other_side *o, struct h2_stream *st)
{
    static const char much[LARGE];

    st->user = &has_answered;
    if (st->connects) {
        agree(o, st);
        return;
    }
    if (o->how & HINTS) {
        buf_add_text(&st->head, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        h2_stream_head(st, 103);
    }
    if (!(o->how & (IN_PIECES | MUCH | BREAKS))) {
        h2_stream_answer(st, STR("HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nhello"));
        return;
    }
    buf_add_text(&st->head, "HTTP/1.1 200 OK\r\nConnection: x\r\nX-A: b\r\n\r\n");
    h2_stream_head(st, 200);
    h2_stream_body(st, much, o->how & MUCH ? LARGE : 3);
    must(h2_stream_full(st) == !!(o->how & MUCH));
    if (o->how & BREAKS) {
        h2_stream_flush(st);
        h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
    } else {
        h2_stream_end(st, o->how & IN_PIECES ? STR("X-Sum: 1\r\n\r\n") : STR(""));
    }
}

static void run(struct other_side *o)
{
    struct h2_stream *st;

    while ((st = h2_session_next(o->s))) {
        if (st->closed) {
            h2_stream_free(st);
            continue;
        }
        if (st->head_whole && !st->user)
            take_head(o, st);
        if (!(o->how & EARLY) || st->user != &answers)
            take_body(o, st);
        if (st->user == &answers || (st->user == &waits && st->remote_ended && st->in.len == 0))
            answer(o, st);
        h2_stream_flush(st);
    }
}

/* What is said is whole frames, none larger than may be, and none of a stream that was not begun. */
static void check_said(const struct buf *out)
{
    const unsigned char *at = (const unsigned char *)buf_bytes(out), *end = at + out->len;

    while (at < end) {
        size_t length = end - at >= FRAME_HEAD ? (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2] : SIZE_MAX;

        must(length <= FRAME && (size_t)(end - at) >= FRAME_HEAD + length);
        must(at[3] <= 9 && at[3] != 5 && at[3] != 2); /* neither promises nor priorities */
        must((at[5] & 0x80) == 0 && ((at[8] & 1) || at[3] == 3 || memcmp(at + 5, "\0\0\0", 4) == 0));
        at += FRAME_HEAD + length;
    }
}

static size_t streams(const struct h2_session *s)
{
    size_t n = 0;

    for (const struct h2_stream *st = h2_session_first(s); st; st = st->next)
        n++;
    return n;
}

static int feed(struct other_side *o, const char *bytes, size_t n, uint64_t now_ms)
{
    const char *why = NULL;
    struct buf out = { 0 };
    int rc = h2_session_feed(o->s, bytes, n, now_ms, &why);

    must(rc == 0 || why);
    run(o);
    h2_session_send(o->s, &out, 1 << 20);
    must(out.len < 1 << 21);
    check_said(&out);
    buf_free(&out);
    run(o);
    must(streams(o->s) <= H2_MAX_STREAMS + 1);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece = size > 0 && data[0] > 0 ? data[0] : size;
    struct other_side o = { .s = h2_session_new(MAX_HEADER, 0), .how = size > 1 ? data[1] : 0 };
    int rc = feed(&o, preface, sizeof preface - 1, 0);

    must(rc == 0);
    for (size_t at = 2; at < size && rc == 0; at += piece)
        rc = feed(&o, (const char *)data + at, size - at < piece ? size - at : piece, at);
    h2_session_end(o.s);
    rc = feed(&o, "", 0, size);
    must(rc == 0);
    h2_session_free(o.s);
    return 0;
}
