/* tests/unit/shared/http/h1_run.h - a head parsed piece by piece, for rows. After every piece the bytes
 * are copied to a block of their exact size, as in a buffer that moves. */
#ifndef TESTS_UNIT_SHARED_HTTP_H1_RUN_H
#define TESTS_UNIT_SHARED_HTTP_H1_RUN_H
#include <stdlib.h>

#include "tests/unit/shared/http/h1_rows.h"
#include "tests/unit/shared/http/h1_show.h"

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

static void head_end(void *parser, struct buf *out)
{
    struct head_run *run = parser;
    const struct h1_head *h = &run->head;

    if (run->rc == 0) {
        buf_add_text(out, "more");
    } else if (run->rc < 0) {
        buf_printf(out, "%d %s", h->status, h->why);
    } else {
        show_head(out, h);
        if ((size_t)run->rc < run->n)
            buf_printf(out, " +%zu", run->n - (size_t)run->rc);
    }
    free(run->bytes);
}

static const struct pieces head_pieces = { head_start, head_feed, head_end };
#endif
