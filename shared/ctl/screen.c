#include "shared/ctl/screen.h"

#include "shared/ctl/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct screen screen_of_stdout(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 ||
        size.ws_col == 0)
        return (struct screen){ 0 };
    return (struct screen){ size.ws_row, size.ws_col };
}

void screen_share(size_t lines, const size_t *needs, size_t *gets, size_t n)
{
    size_t open = n;
    bool settled = false;

    for (size_t i = 0; i < n; i++)
        gets[i] = SIZE_MAX;
    while (open > 0 && !settled) { /* those that need less than their share leave more to the others */
        size_t share = lines / open;

        settled = true;
        for (size_t i = 0; i < n; i++)
            if (gets[i] == SIZE_MAX && needs[i] <= share) {
                gets[i] = needs[i];
                lines -= needs[i];
                open--;
                settled = false;
            }
    }
    for (size_t i = 0; i < n && open > 0; i++)
        if (gets[i] == SIZE_MAX) {
            gets[i] = lines / open;
            lines -= gets[i];
            open--;
        }
}

static size_t lines_of(const struct screen *s, const char *text, size_t n)
{
    size_t width = table_width(text, n);

    return s->columns == 0 || width == 0 ? 1 : (width + s->columns - 1) / s->columns;
}

size_t screen_lines(const struct screen *s, const char *text)
{
    size_t lines = 0;

    for (const char *end; (end = strchr(text, '\n')); text = end + 1)
        lines += lines_of(s, text, (size_t)(end - text));
    return lines;
}

void screen_cut(const struct screen *s, struct buf *text, size_t lines, const char *of_them)
{
    const char *begin = buf_text(text), *at = begin;
    size_t used = 0, more = 0, kept;

    if (screen_lines(s, begin) <= lines)
        return;
    for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
        size_t next = lines_of(s, at, (size_t)(end - at));

        if (used + next + 1 > lines)
            break;
        used += next;
    }
    kept = (size_t)(at - begin);
    for (const char *end; (end = strchr(at, '\n')); at = end + 1)
        more++;
    text->len = kept;
    buf_printf(text, "  and %zu more%s\n", more, of_them);
}
