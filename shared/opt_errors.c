#include "shared/opt_errors.h"

#include "shared/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ERRORS_MAX = 200 };

void opt_errors_free(struct opt_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        free(errors->lines[i]);
    free(errors->lines);
    *errors = (struct opt_errors){ 0 };
}

void opt_errors_print(const struct opt_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        fprintf(stderr, "%s\n", errors->lines[i]);
    if (errors->left_out > 0)
        fprintf(stderr, "and %zu further errors\n", errors->left_out);
}

void opt_errors_add(struct opt_errors *errors, const char *fmt, ...)
{
    char *line = NULL;
    va_list args;

    if (errors->n == ERRORS_MAX) {
        errors->left_out++;
        return;
    }
    va_start(args, fmt);
    if (vasprintf(&line, fmt, args) < 0)
        line = mem_copy(fmt);
    va_end(args);
    if (!errors->lines)
        errors->lines = mem_new(ERRORS_MAX * sizeof *errors->lines);
    errors->lines[errors->n++] = line;
}
