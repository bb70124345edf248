/* tests/fuzz/h1_check.h - what has to be true of every head that was accepted, whatever the input. */
#ifndef TESTS_FUZZ_H1_CHECK_H
#define TESTS_FUZZ_H1_CHECK_H
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/http/h1.h"
#include "tests/fuzz/must.h"

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

/* A head written anew from what was understood has to be understood in the same way. It has no blanks but the
 * necessary ones and no empty lines in front: the spans move, what they hold does not. */
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

static void check_head(const struct h1_head *h, const char *response_to, struct buf *out)
{
    check_framing(h);
    check_rewritten(h, response_to);
    write_meaning(out, h);
    write_fields(out, h);
}

static void check_event(enum h1_body_event event, size_t n, size_t used, size_t data)
{
    must(used <= n && data <= used);
    must(event != H1_BODY_MORE || used == n);
    must((event == H1_BODY_DATA || event == H1_BODY_TRAILER) == (data > 0));
}
#endif
