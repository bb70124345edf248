#include "shared/page/parts.h"

#include "shared/status/text.h"
#include "shared/status/when.h"

#include <string.h>

enum { CELL_CHARS = 120 };

static const char *const nothing = "\xe2\x80\x93"; /* – */

bool part_is_relay(const json_t *status)
{
    return strcmp(status_text(status, "role"), "relay") == 0;
}

void part_text(struct html_table *t, const json_t *object, const char *key)
{
    const char *text = status_text(object, key);

    html_text(html_cell(t), *text ? text : nothing, CELL_CHARS);
}

void part_number(struct html_table *t, const json_t *object, const char *key, const char *unit)
{
    const json_t *value = json_object_get(object, key);
    struct buf *cell = html_cell(t);

    if (json_is_integer(value))
        buf_printf(cell, "%" JSON_INTEGER_FORMAT "%s", json_integer_value(value), unit);
    else
        buf_add_text(cell, nothing);
}

void part_bytes(struct html_table *t, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char text[32];

    status_bytes((double)json_integer_value(value), text, sizeof text);
    buf_add_text(html_cell(t), json_is_integer(value) ? text : nothing);
}

void part_since(struct html_table *t, const json_t *object, const char *key)
{
    struct when ago;

    when_ago(status_text(object, key), &ago);
    buf_add_text(html_cell(t), strcmp(ago.text, "-") == 0 ? nothing : ago.text);
}

void part_word(struct html_table *t, const char *word, bool well)
{
    static const char *const good[] = { "up", "ok", "valid", "accepted" };
    const char *kind = well ? "idle" : "bad";
    struct buf *cell = html_cell(t);

    if (!*word || strcmp(word, "-") == 0) {
        buf_add_text(cell, nothing);
        return;
    }
    for (size_t i = 0; well && i < sizeof good / sizeof *good; i++)
        if (strcspn(word, ",") == strlen(good[i]) && strncmp(word, good[i], strlen(good[i])) == 0)
            kind = "ok";
    buf_printf(cell, "<b class=%s>", kind);
    html_text(cell, word, CELL_CHARS);
    buf_add_text(cell, "</b>");
}

void part_state(struct html_table *t, const json_t *object, const char *key, bool well)
{
    part_word(t, status_text(object, key), well);
}

void part_list(struct html_table *t, const json_t *list)
{
    struct buf text = { 0 };
    const json_t *word;
    size_t i;

    json_array_foreach(list, i, word)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", json_string_value(word) ? json_string_value(word) : "");
    html_text(html_cell(t), text.len > 0 ? buf_text(&text) : nothing, CELL_CHARS);
    buf_free(&text);
}
