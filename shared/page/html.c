#include "shared/page/html.h"

#include "shared/page_template.h"
#include "shared/str.h"
#include "shared/value.h"

void html_text(struct buf *out, const char *text, size_t max_chars)
{
    struct buf shown = { 0 };

    value_show(&shown, str_of(text), max_chars);
    page_template_escape(out, buf_text(&shown));
    buf_free(&shown);
}

/* ---- tables ---- */

void html_table_begin(struct html_table *t, struct buf *out, size_t room, const char *const *headings,
                      size_t columns)
{
    *t = (struct html_table){ .out = out, .headings = headings, .room = room, .columns = columns };
}

static void add_head(struct html_table *t)
{
    buf_add_text(t->out, "<table><thead><tr>");
    for (size_t i = 0; i < t->columns; i++)
        buf_printf(t->out, "<th scope=col>%s", t->headings[i]);
    buf_add_text(t->out, "<tbody>");
}

static void finish_row(struct html_table *t)
{
    if (t->row.len == 0)
        return;
    t->full = t->full || t->row.len > t->room;
    if (t->full) {
        t->left_out++;
    } else {
        if (t->rows++ == 0)
            add_head(t);
        t->room -= t->row.len;
        buf_add(t->out, buf_bytes(&t->row), t->row.len);
    }
    buf_take(&t->row, t->row.len);
}

bool html_row(struct html_table *t)
{
    finish_row(t);
    if (t->full) {
        t->left_out++;
        return false;
    }
    t->column = 0;
    buf_add_text(&t->row, "<tr>");
    return true;
}

/* On a phone a row is a card, and each cell says what it is. */
struct buf *html_cell(struct html_table *t)
{
    if (t->column == 0)
        buf_add_text(&t->row, "<th scope=row>");
    else
        buf_printf(&t->row, "<td data-l=\"%s\">", t->headings[t->column]);
    t->column++;
    return &t->row;
}

void html_table_end(struct html_table *t, const char *command, const char *none)
{
    finish_row(t);
    if (t->rows > 0)
        buf_add_text(t->out, "</table>");
    if (t->left_out > 0)
        buf_printf(t->out, "<p class=more>%s%zu %s: <code>%s</code></p>", t->rows > 0 ? "and " : "",
                   t->left_out, t->rows > 0 ? "more" : "too long for this page", command);
    else if (t->rows == 0)
        buf_printf(t->out, "<p class=none>%s</p>", none);
    buf_free(&t->row);
}
