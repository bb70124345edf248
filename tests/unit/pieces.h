/* tests/unit/pieces.h - runs an incremental parser over one input in every way it may arrive: whole, byte
 * by byte, and cut in two at every position. What comes out, written as text, has to be the same each time.
 *
 * Each piece lies in a block of its own and exactly of its size, which is gone when the next one comes:
 * under ASan a parser that reads past a piece, or keeps a pointer into an old one, fails here. */
#ifndef TESTS_UNIT_PIECES_H
#define TESTS_UNIT_PIECES_H
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"

struct pieces {
    void (*start)(void *parser);
    void (*feed)(void *parser, const char *piece, size_t n, struct buf *result);
    void (*end)(void *parser, struct buf *result); /* the input is over; frees what start got */
};

static inline void pieces_feed(const struct pieces *p, void *parser, const char *bytes, size_t n,
                               struct buf *result)
{
    char *copy = malloc(n > 0 ? n : 1);

    if (!copy)
        abort();
    memcpy(copy, bytes, n);
    p->feed(parser, copy, n, result);
    free(copy);
}

/* Pieces of `each` bytes, the first one of `first`. Returns the result in text, to be freed with buf_free. */
static inline struct buf pieces_run(const struct pieces *p, void *parser, const char *in, size_t n,
                                    size_t first, size_t each)
{
    struct buf result = { 0 };
    size_t take = first < n ? first : n;

    p->start(parser);
    for (size_t at = 0; at < n; at += take, take = each < n - at ? each : n - at)
        pieces_feed(p, parser, in + at, take, &result);
    p->end(parser, &result);
    buf_text(&result);
    return result;
}

/* Returns the result of the whole run. When another run differs, its text is put behind it, so that whoever
 * compares the result with what is expected fails, and shows both. */
static inline struct buf pieces_result(const struct pieces *p, void *parser, const char *in, size_t n)
{
    struct buf whole = pieces_run(p, parser, in, n, n, n), other;
    size_t len = whole.len;

    for (size_t cut = 0; cut < n; cut++) { /* 0 stands for byte by byte */
        other = cut > 0 ? pieces_run(p, parser, in, n, cut, n) : pieces_run(p, parser, in, n, 1, 1);
        if (len == whole.len && (other.len != len || memcmp(other.mem, whole.mem, len) != 0))
            buf_printf(&whole, " -- but cut at %zu (0: bytes): %s", cut, buf_text(&other));
        buf_free(&other);
    }
    buf_text(&whole);
    return whole;
}
#endif
