#include "shared/lane_member.h"

#include "shared/json.h"
#include "shared/utf8.h"
#include "shared/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_BYTES = 8 };

/* ---- read ---- */

/* What may stand in a log line, and be compared, as it is. */
static int check_text(const char *text, const char *key, bool may_be_empty, struct err *e)
{
    size_t left = strlen(text), n;

    if (left == 0 && !may_be_empty)
        return err_set(e, ERR_INPUT, "member \"%s\" is empty", key);
    for (; left > 0; text += n, left -= n) {
        n = utf8_printable(text, left);
        if (n == 0)
            return err_set(e, ERR_INPUT, "member \"%s\" holds what cannot be printed", key);
    }
    return 0;
}

int lane_get_text(const json_t *from, const char *key, size_t max, const char **text, struct err *e)
{
    return json_get_text(from, key, max, text, e) == 0 ? check_text(*text, key, false, e) : -1;
}

int lane_get_text_or_none(const json_t *from, const char *key, size_t max, const char **text, struct err *e)
{
    return json_get_text(from, key, max, text, e) == 0 ? check_text(*text, key, true, e) : -1;
}

int lane_get_name(const json_t *from, const char *key, const char **name, struct err *e)
{
    if (json_get_text(from, key, LANE_WORD_BYTES, name, e) != 0)
        return -1;
    return value_name(str_of(*name), e) == 0 ? 0 : err_wrap(e, "member \"%s\"", key);
}

/* Cut where a character ends; what cannot be printed becomes '?'. Such a text only informs, and is no reason to lose a
 * lane. */
static void make_showable(const char *text, char out[LANE_TEXT_BYTES + 1])
{
    size_t left = text ? strlen(text) : 0, used = 0;

    while (left > 0) {
        size_t n = utf8_char(text, left);
        bool printable = utf8_printable(text, left) > 0;

        if (used + (printable ? n : 1) > LANE_TEXT_BYTES)
            break;
        memcpy(out + used, printable ? text : "?", printable ? n : 1);
        used += printable ? n : 1;
        n = n > 0 ? n : 1;
        text += n;
        left -= n;
    }
    out[used] = 0;
}

int lane_get_showable(struct lane_msg *m, const json_t *from, const char *key, const char **text,
                      struct err *e)
{
    char clean[LANE_TEXT_BYTES + 1];

    if (json_get_text(from, key, LANE_LINE_BYTES, text, e) != 0)
        return -1;
    make_showable(*text, clean);
    *text = arena_copy(&m->arena, clean);
    return *text ? 0 : err_set(e, ERR_LIMIT, "too many texts in one line");
}

static unsigned char digit_value(char c)
{
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

int lane_get_hex(const json_t *from, const char *key, unsigned char *out, size_t n, struct err *e)
{
    const char *text;

    if (json_get_text(from, key, 2 * n, &text, e) != 0)
        return -1;
    if (strspn(text, "0123456789abcdef") != 2 * n)
        return err_set(e, ERR_INPUT, "member \"%s\" is not %zu lower-case hex digits", key, 2 * n);
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
    return 0;
}

int lane_get_stream(const json_t *from, uint64_t *stream, struct err *e)
{
    unsigned char bytes[STREAM_BYTES] = { 0 };

    if (lane_get_hex(from, "stream", bytes, sizeof bytes, e) != 0)
        return -1;
    *stream = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        *stream = *stream << 8 | bytes[i];
    return 0;
}

int lane_get_list(struct lane_msg *m, const json_t *from, const char *key, size_t max, size_t size,
                  const json_t **list, void **room, struct err *e)
{
    if (json_get_list(from, key, max, list, e) != 0)
        return -1;
    *room = arena_get(&m->arena, (json_array_size(*list) + 1) * size);
    return *room ? 0 : err_set(e, ERR_LIMIT, "member \"%s\": too much for one line", key);
}

int lane_get_texts(struct lane_msg *m, const json_t *from, const char *key, size_t max,
                   const char *const **texts, size_t *n, struct err *e)
{
    const json_t *list;
    const char **room;
    void *memory;

    if (lane_get_list(m, from, key, max, sizeof *room, &list, &memory, e) != 0)
        return -1;
    room = memory;
    *texts = room;
    *n = json_array_size(list);
    for (size_t i = 0; i < *n; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(item) || json_string_length(item) > LANE_ITEM_BYTES)
            return err_set(e, ERR_INPUT, "member \"%s\" is not a list of texts of at most %d bytes", key,
                           LANE_ITEM_BYTES);
        room[i] = json_string_value(item);
        if (check_text(room[i], key, false, e) != 0)
            return -1;
    }
    return 0;
}

/* ---- written ---- */

void lane_set_text(json_t *to, const char *key, const char *text)
{
    json_object_set_new(to, key, json_any_text(text ? text : ""));
}

void lane_set_showable(json_t *to, const char *key, const char *text)
{
    char clean[LANE_TEXT_BYTES + 1];

    make_showable(text, clean);
    lane_set_text(to, key, clean);
}

void lane_set_int(json_t *to, const char *key, int64_t n)
{
    json_object_set_new(to, key, json_integer(n));
}

void lane_set_stream(json_t *to, uint64_t stream)
{
    char text[2 * STREAM_BYTES + 1];

    snprintf(text, sizeof text, "%016" PRIx64, stream);
    lane_set_text(to, "stream", text);
}

void lane_set_texts(json_t *to, const char *key, const char *const *texts, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_any_text(texts[i]));
    json_object_set_new(to, key, list);
}
