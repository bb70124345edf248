#include "shared/page/parts.h"

#include "shared/mem.h"
#include "shared/status/cert_state.h"
#include "shared/status/listeners_state.h"
#include "shared/status/problems.h"

#include <stdlib.h>
#include <string.h>

enum { WRONG_BYTES = 7000, NOTICES_BYTES = 2000, NAME_CHARS = 260, LINE_CHARS = 500 };

struct list {
    size_t room, shown, left_out;
};

/* "a.test: down: no lane …": what it is about stands out. */
static void add_words(struct buf *item, char *line)
{
    char *colon = strstr(line, ": ");

    if (colon) {
        *colon = 0;
        buf_add_text(item, "<b>");
        html_text(item, line, NAME_CHARS);
        buf_add_text(item, "</b>: ");
        line = colon + 2;
    }
    html_text(item, line, LINE_CHARS);
}

static void add_item(struct buf *out, char *line, struct list *list)
{
    struct buf item = { 0 };

    buf_add_text(&item, "<li>");
    add_words(&item, line);
    if (list->left_out > 0 || item.len > list->room) {
        list->left_out++;
    } else {
        buf_add(out, buf_bytes(&item), item.len);
        list->room -= item.len;
        list->shown++;
    }
    buf_free(&item);
}

/* Lines as problems_add makes them, each indented by two blanks. */
static void add_items(struct buf *out, const struct buf *lines, struct list *list)
{
    const char *line = buf_bytes(lines), *end = line + lines->len, *next;

    for (; line < end; line = next + 1) {
        char *text;

        next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next : end;
        text = mem_copy_n(line, (size_t)(next - line));
        add_item(out, text + strspn(text, " "), list);
        free(text);
    }
}

size_t part_wrong_add(struct buf *out, const json_t *status, const char *not_ready, bool well)
{
    struct list list = { .room = WRONG_BYTES };
    struct buf lines = { 0 }, items = { 0 };
    const json_t *listener;
    size_t i;

    if (*not_ready)
        buf_printf(&lines, "not ready: %s\n", not_ready);
    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        if (!listeners_state_of_one(listener))
            listeners_state_add_reason(&lines, listener);
    }
    problems_add(&lines, status);
    add_items(&items, &lines, &list);
    if (list.shown + list.left_out > 0)
        buf_printf(out, "<h2 class=%s>%s</h2><ul>%s</ul>", well ? "warn" : "bad",
                   well ? "Worth knowing" : "What is wrong, the worst first", buf_text(&items));
    if (list.left_out > 0)
        buf_printf(out, "<p class=more>and %zu more: <code>tunnelctl status</code></p>", list.left_out);
    buf_free(&items);
    buf_free(&lines);
    return list.shown + list.left_out;
}

void part_notices_add(struct buf *out, const json_t *status)
{
    struct list list = { .room = NOTICES_BYTES };
    struct buf lines = { 0 }, items = { 0 };

    cert_state_add_notices(&lines, status);
    add_items(&items, &lines, &list);
    if (list.shown + list.left_out > 0)
        buf_printf(out, "<h2>From the relays</h2><ul>%s</ul>", buf_text(&items));
    if (list.left_out > 0)
        buf_printf(out, "<p class=more>and %zu more: <code>tunnelctl status</code></p>", list.left_out);
    buf_free(&items);
    buf_free(&lines);
}
