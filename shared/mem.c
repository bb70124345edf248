#include "shared/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *p, size_t size_bytes)
{
    if (!p && size_bytes > 0) {
        fprintf(stderr, "out of memory: cannot get %zu bytes\n", size_bytes);
        abort();
    }
    return p;
}

void *mem_new(size_t size_bytes)
{
    return or_abort(calloc(1, size_bytes), size_bytes);
}

void *mem_grow(void *old, size_t size_bytes)
{
    return or_abort(realloc(old, size_bytes), size_bytes);
}

char *mem_copy(const char *text)
{
    return text ? mem_copy_n(text, strlen(text)) : NULL;
}

char *mem_copy_n(const char *bytes, size_t n)
{
    char *copy = or_abort(malloc(n + 1), n + 1);

    memcpy(copy, bytes, n);
    copy[n] = 0;
    return copy;
}

char *mem_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    return or_abort(n < 0 ? NULL : text, 1);
}
