#include "shared/ctl/table.h"

#include "shared/mem.h"
#include "shared/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, size_t columns, const char *const *headings)
{
    assert(columns <= TABLE_COLUMNS);
    *t = (struct table){ .columns = columns };
    table_row(t, headings);
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){ 0 };
}

static char *printable(const char *text)
{
    size_t left = strlen(text), kept = 0;
    char *copy = mem_copy(text);

    while (left > 0) {
        size_t n = utf8_printable(text, left);

        memmove(copy + kept, text, n);
        kept += n;
        n = n ? n : 1;
        text += n;
        left -= n;
    }
    copy[kept] = 0;
    return copy;
}

void table_row(struct table *t, const char *const *cells)
{
    t->cells = mem_grow(t->cells, (t->rows + 1) * t->columns * sizeof(char *));
    for (size_t i = 0; i < t->columns; i++)
        t->cells[t->rows * t->columns + i] = printable(cells[i]);
    t->rows++;
}

/* Characters, not bytes: continuation bytes take no room. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void table_print(struct buf *out, const struct table *t)
{
    size_t widths[TABLE_COLUMNS] = { 0 };

    for (size_t i = 0; i < t->rows * t->columns; i++)
        if (width_of(t->cells[i]) > widths[i % t->columns])
            widths[i % t->columns] = width_of(t->cells[i]);
    for (size_t row = 0; row < t->rows; row++) {
        size_t owed = 2; /* blanks, which are only paid when something follows them */

        for (size_t i = 0; i < t->columns; i++) {
            const char *cell = t->cells[row * t->columns + i];

            if (*cell) {
                buf_printf(out, "%*s%s", (int)owed, "", cell);
                owed = 0;
            }
            owed += widths[i] - width_of(cell) + 2;
        }
        buf_add(out, "\n", 1);
    }
}
