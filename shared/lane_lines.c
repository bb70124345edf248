#include "shared/lane_lines.h"

#include <string.h>

enum { KEPT_BYTES = 4096 };

/* One long line in a lane's life must not cost its memory for the rest of it. */
static void forget_taken(struct lane_lines *l)
{
    buf_take(&l->in, l->taken);
    l->taken = 0;
    if (l->in.len == 0 && l->in.room > KEPT_BYTES)
        buf_free(&l->in);
}

/* What goes on a line that nobody wants: without its newline nothing is left of it. */
static void skip_cut_line(struct lane_lines *l, const char **bytes, size_t *n)
{
    const char *newline = memchr(*bytes, '\n', *n);
    size_t skipped = newline ? (size_t)(newline - *bytes) + 1 : *n;

    *bytes += skipped;
    *n -= skipped;
    l->drops = !newline;
}

/* Follows the length of the line that has no newline yet, through all the lines that these bytes end. */
static int measure(struct lane_lines *l, const char *bytes, size_t n, struct err *e)
{
    while (n > 0) {
        const char *newline = memchr(bytes, '\n', n);
        size_t piece = newline ? (size_t)(newline - bytes) : n;

        if (piece > LANE_LINE_BYTES - l->open)
            return err_set(e, ERR_LIMIT, "a line is longer than %d bytes", LANE_LINE_BYTES);
        l->open = newline ? 0 : l->open + piece;
        piece += newline ? 1 : 0;
        bytes += piece;
        n -= piece;
    }
    return 0;
}

int lane_lines_feed(struct lane_lines *l, const char *bytes, size_t n, struct err *e)
{
    forget_taken(l);
    if (l->drops)
        skip_cut_line(l, &bytes, &n);
    if (measure(l, bytes, n, e) != 0)
        return -1;
    return buf_add_max(&l->in, bytes, n, LANE_LINE_BYTES + n, e);
}

bool lane_lines_next(struct lane_lines *l, struct str *line)
{
    const char *from, *newline;

    forget_taken(l);
    /* A line that comes in many small pieces is searched for its end once, not at each of them. */
    if (l->in.len == l->open)
        return false;
    from = buf_bytes(&l->in);
    newline = memchr(from, '\n', l->in.len);
    if (!newline)
        return false;
    *line = (struct str){ from, (size_t)(newline - from) };
    l->taken = line->n + 1;
    return true;
}

void lane_lines_cut(struct lane_lines *l)
{
    bool cut = l->drops || l->open > 0;

    lane_lines_free(l);
    l->drops = cut;
}

void lane_lines_free(struct lane_lines *l)
{
    buf_free(&l->in);
    *l = (struct lane_lines){ 0 };
}
