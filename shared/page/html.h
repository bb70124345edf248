/* shared/page/html.h - HTML of bounded length: text of others, and tables that say how much they leave out. Pure.
 *
 * End tags that HTML does not ask for (td, th, tr, tbody) are left out: a table of a thousand sites has to be small. */
#ifndef SHARED_PAGE_HTML_H
#define SHARED_PAGE_HTML_H
#include "shared/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Adds text that anybody may have written: without control characters, escaped, and cut off with a … behind so many
 * characters. */
void html_text(struct buf *out, const char *text, size_t max_chars);

/* Plain data, on the stack: begin, then for each row html_row and a cell for each column, then end. */
struct html_table {
    struct buf *out, row;
    const char *const *headings;
    size_t room, columns, column, rows, left_out;
    bool full;
};

/* headings: as many as columns; borrowed until the end, which the rest of the section needs not wait for: a table takes
 * no more than `room` bytes of rows. */
void html_table_begin(struct html_table *t, struct buf *out, size_t room, const char *const *headings,
                      size_t columns);
/* False: there is no room for a further one; it is counted among those left out. */
bool html_row(struct html_table *t);
/* Where the next cell's content goes; valid until the next call. */
struct buf *html_cell(struct html_table *t);
/* Where to look for those left out is said by `command`; what there is none of by `none`. */
void html_table_end(struct html_table *t, const char *command, const char *none);
#endif
