#include "shared/cidr_json.h"

#include "shared/json.h"

void cidr_json_set(json_t *to, const char *key, const struct cidrs *cidrs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < cidrs->n; i++) {
        struct buf text = { 0 };

        cidr_print(&text, &cidrs->list[i]);
        json_array_append_new(list, json_stringn(buf_bytes(&text), text.len));
        buf_free(&text);
    }
    if (cidrs->n > 0)
        json_object_set(to, key, list);
    json_decref(list);
}

int cidr_json_get(const json_t *object, const char *key, struct cidrs *cidrs, struct arena *arena,
                  struct err *e)
{
    struct cidr *into;
    const json_t *list;

    *cidrs = (struct cidrs){ 0 };
    if (!json_object_get(object, key))
        return 0;
    if (json_get_list(object, key, CIDR_JSON_MAX, &list, e) != 0)
        return -1;
    into = arena_get(arena, json_array_size(list) * sizeof *into + 1);
    cidrs->list = into;
    for (; cidrs->n < json_array_size(list); cidrs->n++) {
        const char *text = json_string_value(json_array_get(list, cidrs->n));

        if (!text)
            return err_set(e, ERR_INPUT, "member \"%s\" holds what is no text", key);
        if (cidr_read(str_of(text), &into[cidrs->n], e) != 0)
            return err_wrap(e, "member \"%s\"", key);
    }
    return 0;
}
