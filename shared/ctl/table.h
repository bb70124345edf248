/* shared/ctl/table.h - aligned columns for a person: as wide as their widest cell. Pure. */
#ifndef SHARED_CTL_TABLE_H
#define SHARED_CTL_TABLE_H
#include "shared/buf.h"

enum { TABLE_COLUMNS = 8 };

struct table {
    char **cells; /* row by row, the headings first */
    size_t columns, rows;
};

void table_init(struct table *t, size_t columns, const char *const *headings);
void table_free(struct table *t);
/* One row: as many texts as there are columns. Control characters are left out: a peer may have written them. */
void table_row(struct table *t, const char *const *cells);
/* Indented by two blanks; nothing behind the last cell of a line. */
void table_print(struct buf *out, const struct table *t);
#endif
