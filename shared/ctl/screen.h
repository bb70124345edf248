/* shared/ctl/screen.h - how many lines each part of what is shown may have, so that all of it fits on the terminal. */
#ifndef SHARED_CTL_SCREEN_H
#define SHARED_CTL_SCREEN_H
#include "shared/buf.h"

#include <stddef.h>

struct screen {
    size_t lines, columns; /* 0: it is no terminal, and nothing is left out */
};

/* Of stdout. */
struct screen screen_of_stdout(void);
/* What each of n parts gets of so many lines: what it needs, or else an equal share of what the others leave. Pure. */
void screen_share(size_t lines, const size_t *needs, size_t *gets, size_t n);
/* How many lines of a screen this text takes, whose lines go on in the next one where they are too long. Pure. */
size_t screen_lines(const struct screen *s, const char *text);
/* Leaves the text's first lines, as many as fit into so many of the screen, and says how many more there are, and behind
 * that what there is to say of them. Pure. */
void screen_cut(const struct screen *s, struct buf *text, size_t lines, const char *of_them);
#endif
