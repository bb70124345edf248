/* tests/fuzz/h1_fuzz.h - one side of a connection: heads, bodies and trailers of one message after the
 * other.
 *
 * Everything that comes out is written down, and has to be the same however the input was cut. A head that
 * was accepted is also written anew from what was understood, and that has to be understood in the same
 * way. */
#ifndef TESTS_FUZZ_H1_FUZZ_H
#define TESTS_FUZZ_H1_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/http/h1.h"
#include "tests/unit/pieces.h"

#define must(fact)                                                             \
    do {                                                                       \
        if (!(fact)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #fact); \
            abort();                                                           \
        }                                                                      \
    } while (0)

struct talk {
    const char *response_to; /* the method asked with, or NULL for requests */
    struct h1_head head;
    struct h1_body body;
    struct buf in, trailers;
    enum { IN_HEAD, IN_BODY, OVER } part;
};

static const struct h1_limits talk_limits = { .max_uri = 100, .max_header = 1000 };

static void head_init(struct h1_head *h, const char *response_to)
{
    if (response_to)
        h1_response_init(h, str_of(response_to));
    else
        h1_request_init(h);
}

static void write_meaning(struct buf *out, const struct h1_head *h)
{
    const struct h1_span spans[] = { h->method,    h->target, h->reason, h->path,
                                     h->authority, h->host,   h->upgrade };

    buf_printf(out, "head %d %d 1.%d %lld%s%s%s\n", (int)h->framing, h->status, h->minor,
               (long long)h->content_length, h->keep_alive ? " keep" : "",
               h->expects_continue ? " expects" : "", h->te_trailers ? " trailers" : "");
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        must(spans[i].at <= h->at && spans[i].n <= h->at - spans[i].at);
        buf_printf(out, "[%.*s]", STR_ARG(h1_text(h, spans[i])));
    }
}

static void write_fields(struct buf *out, const struct h1_head *h)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct str name = h1_text(h, h->fields[i].name), value = h1_text(h, h->fields[i].value);

        must(name.n > 0 && str_trim(value).n == value.n);
        for (size_t k = 0; k < name.n; k++)
            must(name.p[k] > ' ' && name.p[k] < 127 && !strchr(":()<>@,;\\\"/[]?={}", name.p[k]));
        for (size_t k = 0; k < value.n; k++)
            must(((unsigned char)value.p[k] >= ' ' && value.p[k] != 127) || value.p[k] == '\t');
        buf_printf(out, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
        h1_field_is_hop(h, &h->fields[i]);
    }
}

/* Never two lengths, and never a length and chunks: whatever else is accepted, these would be smuggling. */
static void check_framing(const struct h1_head *h)
{
    int length = h1_field_find(h, "content-length", 0), coding = h1_field_find(h, "transfer-encoding", 0);

    must((length >= 0) == (h->content_length >= 0));
    must(length < 0 || coding < 0);
    must(length < 0 || h1_field_find(h, "content-length", (uint32_t)length + 1) < 0);
    must(coding < 0 || h1_field_find(h, "transfer-encoding", (uint32_t)coding + 1) < 0);
    must(h->framing != H1_CHUNKED || (coding >= 0 && h->minor == 1));
    must(h->framing != H1_LENGTH || length >= 0);
    must(h->kind == H1_RESPONSE || h->minor == 0 || h->host.n > 0);
}

/* No blanks but the necessary ones, no empty lines in front: the spans move, what they hold does not. */
static void check_rewritten(const struct h1_head *h, const char *response_to)
{
    struct buf text = { 0 }, meaning = { 0 }, again = { 0 };
    struct h1_head *second = malloc(sizeof *second);
    struct h1_limits limits = { .max_uri = talk_limits.max_uri, .max_header = 2 * talk_limits.max_header };

    if (response_to)
        buf_printf(&text, "HTTP/1.%d %d %.*s\r\n", h->minor, h->status, STR_ARG(h1_text(h, h->reason)));
    else
        buf_printf(&text, "%.*s %.*s HTTP/1.%d\r\n", STR_ARG(h1_text(h, h->method)),
                   STR_ARG(h1_text(h, h->target)), h->minor);
    write_fields(&text, h);
    buf_add_text(&text, "\r\n");
    head_init(second, response_to);
    must(h1_head_parse(second, buf_bytes(&text), text.len, &limits) == (ssize_t)text.len);
    write_meaning(&meaning, h);
    write_meaning(&again, second);
    must(meaning.len == again.len && memcmp(meaning.mem, again.mem, again.len) == 0);
    buf_free(&text);
    buf_free(&meaning);
    buf_free(&again);
    free(second);
}

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
    check_framing(&t->head);
    check_rewritten(&t->head, t->response_to);
    write_meaning(out, &t->head);
    write_fields(out, &t->head);
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

    must(used <= t->in.len && data.n <= used);
    if (event == H1_BODY_DATA)
        buf_add(out, data.p, data.n);
    if (event == H1_BODY_TRAILER)
        buf_add(&t->trailers, data.p, data.n);
    must(event != H1_BODY_MORE || used == t->in.len);
    must(event == H1_BODY_MORE || event == H1_BODY_END || event == H1_BODY_BAD || data.n > 0);
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

    if (!t)
        abort();
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
