/* tests/unit/shared/opt_broken.h - texts for opt_table.h with all that is wrong in them: rows, and what checks them. */
#ifndef TESTS_UNIT_SHARED_OPT_BROKEN_H
#define TESTS_UNIT_SHARED_OPT_BROKEN_H
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "tests/unit/shared/opt_table.h"

#define LINE(text) text, sizeof(text) - 1

/* What is wrong with a text, one error a line; empty when it loads. It lies in a block of exactly its size. */
static inline struct buf broken_errors(const char *bytes, size_t n)
{
    struct opt_errors errors = { 0 };
    char *text = malloc(n > 0 ? n : 1);
    struct buf out = { 0 };
    struct opt_conf *conf;

    assert_non_null(text);
    memcpy(text, bytes, n);
    conf = opt_load_text(&table_schema, "all.ini", text, n, &errors);
    free(text);
    assert_int_equal(conf == NULL, errors.n > 0);
    for (size_t i = 0; i < errors.n; i++)
        buf_printf(&out, "%s%s", i > 0 ? "\n" : "", errors.lines[i]);
    assert_int_equal(errors.left_out, 0);
    opt_errors_free(&errors);
    opt_conf_free(conf);
    return out;
}

struct broken {
    const char *text;
    size_t n;
    const char *errors;
};

static inline void check_broken(const struct broken *rows, size_t rows_n)
{
    int wrong = 0;

    for (size_t i = 0; i < rows_n; i++) {
        struct buf errors = broken_errors(rows[i].text, rows[i].n);

        if (strcmp(buf_text(&errors), rows[i].errors) != 0) {
            print_error("%s\n  is not: %s\n  but:    %s\n", rows[i].text, rows[i].errors, buf_text(&errors));
            wrong++;
        }
        buf_free(&errors);
    }
    assert_int_equal(wrong, 0);
}

#define CHECK_BROKEN(rows) check_broken(rows, sizeof rows / sizeof rows[0])
#endif
