#include "shared/ctl/table.h"

#include "shared/mem.h"
#include "shared/utf8.h"

#include <assert.h>
#include <stdbool.h>
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

void table_keep(struct table *t, size_t rows)
{
    while (t->rows - 1 > rows) {
        for (size_t i = 0; i < t->columns; i++)
            free(t->cells[(t->rows - 1) * t->columns + i]);
        t->rows--;
        t->left_out++;
    }
}

/* ---- width ---- */

struct range {
    uint32_t first, last;
};

/* Of what Unicode counts as wide, and as combining or invisible: the blocks that text and names are made of. */
static const struct range wide[] = {
    { 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x23e9, 0x23ec },   { 0x2614, 0x2615 },
    { 0x26a1, 0x26a1 },   { 0x2705, 0x2705 },   { 0x274c, 0x274c },   { 0x2e80, 0x303e },
    { 0x3041, 0xa4cf },   { 0xa960, 0xa97c },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },
    { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x1b000, 0x1b2ff },
    { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f7e0, 0x1f7eb }, { 0x1f900, 0x1f9ff },
    { 0x1fa70, 0x1faff }, { 0x20000, 0x3fffd },
};
static const struct range empty[] = {
    { 0x00ad, 0x00ad }, { 0x0300, 0x036f }, { 0x0483, 0x0489 },   { 0x0591, 0x05bd },   { 0x0610, 0x061a },
    { 0x064b, 0x065f }, { 0x0900, 0x0902 }, { 0x0e34, 0x0e3a },   { 0x0e47, 0x0e4e },   { 0x1ab0, 0x1aff },
    { 0x1dc0, 0x1dff }, { 0x200b, 0x200f }, { 0x2060, 0x2064 },   { 0x20d0, 0x20ff },   { 0xfe00, 0xfe0f },
    { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef }, { 0x1f3fb, 0x1f3ff },
};

static bool is_in(const struct range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

size_t table_width(const char *text, size_t n)
{
    size_t width = 0;

    while (n > 0) {
        uint32_t code = 0;
        size_t used = utf8_decode(text, n, &code);

        if (used == 0)
            used = 1; /* no text: a terminal shows something in its place */
        if (!is_in(empty, sizeof empty / sizeof *empty, code))
            width += is_in(wide, sizeof wide / sizeof *wide, code) ? 2 : 1;
        text += used;
        n -= used;
    }
    return width;
}

static size_t width_of(const char *text)
{
    return table_width(text, strlen(text));
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
    if (t->left_out > 0)
        buf_printf(out, "  and %zu more\n", t->left_out);
}
