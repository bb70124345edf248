#include "shared/json.h"

#include "shared/mem.h"
#include "shared/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

json_t *json_read(const char *bytes, size_t n, struct err *e)
{
    json_error_t why;
    json_t *value = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &why);

    if (!value) {
        err_set(e, ERR_INPUT, "not JSON: %s at byte %d", why.text, why.position);
    } else if (!json_is_object(value)) {
        err_set(e, ERR_INPUT, "not a JSON object; it must begin with {");
        json_decref(value);
        value = NULL;
    }
    return value;
}

static int add_piece(const char *bytes, size_t n, void *out)
{
    buf_add(out, bytes, n);
    return 0;
}

void json_write(struct buf *out, const json_t *value)
{
    json_dump_callback(value, add_piece, out, JSON_COMPACT);
    buf_add(out, "\n", 1);
}

static const json_t *member(const json_t *object, const char *key, struct err *e)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        err_set(e, ERR_INPUT, "member \"%s\" is missing", key);
    return value;
}

int json_get_text(const json_t *object, const char *key, size_t max_bytes, const char **text, struct err *e)
{
    const json_t *value = member(object, key, e);

    if (!value)
        return -1;
    if (!json_is_string(value))
        return err_set(e, ERR_INPUT, "member \"%s\" is not text", key);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return err_set(e, ERR_INPUT, "member \"%s\" holds a NUL", key);
    if (json_string_length(value) > max_bytes)
        return err_set(e, ERR_INPUT, "member \"%s\" is longer than %zu bytes", key, max_bytes);
    *text = json_string_value(value);
    return 0;
}

int json_get_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *n, struct err *e)
{
    const json_t *value = member(object, key, e);

    if (!value)
        return -1;
    *n = json_integer_value(value);
    if (!json_is_integer(value) || *n < min || *n > max)
        return err_set(e, ERR_INPUT, "member \"%s\" is not a whole number from %" PRId64 " to %" PRId64, key,
                       min, max);
    return 0;
}

int json_get_flag(const json_t *object, const char *key, bool *flag, struct err *e)
{
    const json_t *value = member(object, key, e);

    if (!value)
        return -1;
    if (!json_is_boolean(value))
        return err_set(e, ERR_INPUT, "member \"%s\" is neither true nor false", key);
    *flag = json_is_true(value);
    return 0;
}

int json_get_list(const json_t *object, const char *key, size_t max_items, const json_t **list, struct err *e)
{
    *list = member(object, key, e);
    if (!*list)
        return -1;
    if (!json_is_array(*list) || json_array_size(*list) > max_items)
        return err_set(e, ERR_INPUT, "member \"%s\" is not a list of at most %zu items", key, max_items);
    return 0;
}

int json_get_time(const json_t *object, const char *key, int64_t *at, struct err *e)
{
    struct tm utc = { 0 };
    const char *text, *end;

    if (json_get_text(object, key, sizeof "2026-11-21T03:24:25Z" - 1, &text, e) != 0)
        return -1;
    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (!end || *end)
        return err_set(e, ERR_INPUT, "member \"%s\" is not a time such as 2026-11-21T03:24:25Z", key);
    *at = timegm(&utc);
    return 0;
}

int json_only(const json_t *object, const char *const *names, struct err *e)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;

        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return err_set(e, ERR_INPUT, "member \"%.64s\" is unknown here", key);
    }
    return 0;
}

json_t *json_any_text(const char *text)
{
    size_t left = strlen(text);
    char *clean = mem_copy(text);
    json_t *value;

    for (char *p = clean; left > 0;) {
        size_t n = utf8_char(p, left);

        if (n == 0) {
            *p = '?';
            n = 1;
        }
        p += n;
        left -= n;
    }
    value = json_string(clean);
    free(clean);
    return value;
}

json_t *json_time(time_t at)
{
    char text[32];
    struct tm utc;

    gmtime_r(&at, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}
