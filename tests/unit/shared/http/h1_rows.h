/* tests/unit/shared/http/h1_rows.h - cases as rows: a name, an input, and what comes out, in words. */
#ifndef TESTS_UNIT_SHARED_HTTP_H1_ROWS_H
#define TESTS_UNIT_SHARED_HTTP_H1_ROWS_H
#include <stdio.h>
#include <string.h>

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

/* Runs every row in all ways. Returns how many came out wrong, each shown. */
static inline int wrong_rows(const struct pieces *pieces, void *parser, const struct row *rows, size_t count)
{
    int wrong = 0;

    for (size_t i = 0; i < count; i++) {
        struct buf result = pieces_result(pieces, parser, rows[i].in, rows[i].n);

        if (strcmp(result.mem, rows[i].out) != 0) {
            printf("%s:\n  expected %s\n  got      %s\n", rows[i].name, rows[i].out, result.mem);
            wrong++;
        }
        buf_free(&result);
    }
    return wrong;
}
#endif
