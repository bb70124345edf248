/* tests/unit/capture.h - what is printed on a descriptor, such as stderr, in place of showing it. */
#ifndef TESTS_UNIT_CAPTURE_H
#define TESTS_UNIT_CAPTURE_H
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/buf.h"

struct capture {
    int fd, saved;
    FILE *file;
    struct buf text;
};

static inline void capture_begin(struct capture *c, int fd)
{
    fflush(NULL);
    *c = (struct capture){ .fd = fd, .saved = dup(fd), .file = tmpfile() };
    if (!c->file || c->saved < 0 || dup2(fileno(c->file), fd) < 0)
        abort();
}

/* What was printed meanwhile; buf_free(&c->text) gives it back. */
static inline const char *capture_end(struct capture *c)
{
    char piece[4096];
    size_t n;

    fflush(NULL);
    if (dup2(c->saved, c->fd) < 0)
        abort();
    close(c->saved);
    rewind(c->file);
    while ((n = fread(piece, 1, sizeof piece, c->file)) > 0)
        buf_add(&c->text, piece, n);
    fclose(c->file);
    return buf_text(&c->text);
}
#endif
