/* shared/opt_errors.h - all that is wrong with a configuration: the lines that --check prints. */
#ifndef SHARED_OPT_ERRORS_H
#define SHARED_OPT_ERRORS_H
#include "shared/err.h"

#include <stddef.h>

struct opt_errors {
    char **lines;
    size_t n, left_out; /* at most 200 lines are kept */
};

void opt_errors_free(struct opt_errors *errors);
void opt_errors_print(const struct opt_errors *errors); /* to the standard error output */
void opt_errors_add(struct opt_errors *errors, const char *fmt, ...) printf_like(2, 3);
#endif
