/* tests/unit/shared/http/h1_show.h - a head in words, so that a row of a test can say what should come out.
 *
 * Fields are shown where their names begin with X. A head that is parsed again after every piece is copied
 * to a block of its exact size each time, as in a buffer that moves. */
#ifndef TESTS_UNIT_SHARED_HTTP_H1_SHOW_H
#define TESTS_UNIT_SHARED_HTTP_H1_SHOW_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/http/h1.h"
#include "tests/unit/pieces.h"

struct row {
    const char *name, *in;
    size_t n;
    const char *out;
};

/* The input is a literal, which may hold NUL. */
#define ROW(name, in, out)            \
    {                                 \
        name, in, sizeof(in) - 1, out \
    }

struct head_run {
    const char *response_to; /* the method asked with, or NULL for a request */
    struct h1_limits limits;
    struct h1_head head;
    char *bytes;
    size_t n;
    ssize_t rc;
};

static void head_start(void *parser)
{
    struct head_run *run = parser;

    if (run->response_to)
        h1_response_init(&run->head, str_of(run->response_to));
    else
        h1_request_init(&run->head);
    run->bytes = NULL;
    run->n = 0;
    run->rc = 0;
}

static void head_feed(void *parser, const char *piece, size_t n, struct buf *result)
{
    struct head_run *run = parser;
    char *moved = malloc(run->n + n);

    (void)result;
    if (run->n > 0)
        memcpy(moved, run->bytes, run->n);
    memcpy(moved + run->n, piece, n);
    free(run->bytes);
    run->bytes = moved;
    run->n += n;
    if (run->rc == 0)
        run->rc = h1_head_parse(&run->head, run->bytes, run->n, &run->limits);
    run->head.bytes = run->bytes;
}

static void show_fields(struct buf *out, const struct h1_head *h)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct str name = h1_text(h, h->fields[i].name), value = h1_text(h, h->fields[i].value);

        if (name.p[0] == 'X')
            buf_printf(out, " %.*s=[%.*s]", STR_ARG(name), STR_ARG(value));
    }
}

static void show_span(struct buf *out, const struct h1_head *h, const char *label, struct h1_span span)
{
    if (span.n > 0)
        buf_printf(out, " %s=%.*s", label, STR_ARG(h1_text(h, span)));
}

static void show_start_line(struct buf *out, const struct h1_head *h)
{
    if (h->kind == H1_RESPONSE) {
        buf_printf(out, "%d 1.%d", h->status, h->minor);
        show_span(out, h, "reason", h->reason);
        return;
    }
    buf_printf(out, "%.*s %.*s 1.%d", STR_ARG(h1_text(h, h->method)), STR_ARG(h1_text(h, h->target)),
               h->minor);
    show_span(out, h, "host", h->host);
    if (h->authority.n != h->host.n)
        show_span(out, h, "authority", h->authority);
    if (h->path.at != h->target.at)
        show_span(out, h, "path", h->path);
}

static void show_framing(struct buf *out, const struct h1_head *h)
{
    static const char *const texts[] = { [H1_NO_BODY] = "none",
                                         [H1_LENGTH] = "length",
                                         [H1_CHUNKED] = "chunked",
                                         [H1_UNTIL_CLOSE] = "until-close" };

    buf_printf(out, " %s", texts[h->framing]);
    if (h->content_length >= 0)
        buf_printf(out, "=%lld", (long long)h->content_length);
    buf_printf(out, " %s", h->keep_alive ? "keep" : "close");
}

static void head_end(void *parser, struct buf *out)
{
    struct head_run *run = parser;
    const struct h1_head *h = &run->head;

    if (run->rc == 0) {
        buf_add_text(out, "more");
    } else if (run->rc < 0) {
        buf_printf(out, "%d %s", h->status, h->why);
    } else {
        show_start_line(out, h);
        show_framing(out, h);
        buf_add_text(out, h->expects_continue ? " expects" : "");
        buf_add_text(out, h->te_trailers ? " trailers" : "");
        show_span(out, h, "upgrade", h->upgrade);
        show_fields(out, h);
        if ((size_t)run->rc < run->n)
            buf_printf(out, " +%zu", run->n - (size_t)run->rc);
    }
    free(run->bytes);
}

static const struct pieces head_pieces = { head_start, head_feed, head_end };

/* Runs every row in all ways. Returns how many came out wrong, each shown. */
static int wrong_heads(struct head_run *run, const struct row *rows, size_t count)
{
    int wrong = 0;

    for (size_t i = 0; i < count; i++) {
        struct buf result = pieces_result(&head_pieces, run, rows[i].in, rows[i].n);

        if (strcmp(result.mem, rows[i].out) != 0) {
            printf("%s:\n  expected %s\n  got      %s\n", rows[i].name, rows[i].out, result.mem);
            wrong++;
        }
        buf_free(&result);
    }
    return wrong;
}
#endif
