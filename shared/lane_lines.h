/* shared/lane_lines.h - cuts a stream of bytes into lines of bounded length. Pure.
 *
 * A value, embedded; all zero bytes is an empty one. Holds one line and what was fed last. */
#ifndef SHARED_LANE_LINES_H
#define SHARED_LANE_LINES_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>

enum { LANE_LINE_BYTES = 64 * 1024 }; /* without the newline */

struct lane_lines {
    struct buf in;
    size_t taken; /* of in, by the line handed out last */
    size_t open;  /* of in, by the line at the end that has no newline yet */
    bool drops;   /* the rest of a line that was cut */
};

/* Take all lines before feeding again. ERR_LIMIT: one is too long. */
must_check int lane_lines_feed(struct lane_lines *l, const char *bytes, size_t n, struct err *e);
bool lane_lines_next(struct lane_lines *l, struct str *line); /* borrowed until the next call */
void lane_lines_cut(struct lane_lines *l); /* forgets all; of a line begun, also what has yet to come */
void lane_lines_free(struct lane_lines *l);
#endif
