/* shared/ctl/table.h - aligned columns for a person: as wide as their widest cell. Pure. */
#ifndef SHARED_CTL_TABLE_H
#define SHARED_CTL_TABLE_H
#include "shared/buf.h"

enum { TABLE_COLUMNS = 8 };

struct table {
    char **cells; /* row by row, the headings first */
    size_t columns, rows;
    size_t left_out; /* rows that table_keep has taken away */
};

void table_init(struct table *t, size_t columns, const char *const *headings);
void table_free(struct table *t);
/* One row: as many texts as there are columns. Control characters are left out: a peer may have written them. */
void table_row(struct table *t, const char *const *cells);
/* Leaves so many rows below the headings, at most; what is printed then ends with how many more there are. */
void table_keep(struct table *t, size_t rows);
/* Indented by two blanks; nothing behind the last cell of a line. */
void table_print(struct buf *out, const struct table *t);
/* How many columns of a terminal so many bytes take: East Asian wide characters and emoji two each, combining ones none. */
size_t table_width(const char *text, size_t n);
#endif
