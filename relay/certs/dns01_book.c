#include "relay/certs/dns01_book.h"

#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 4 << 20, ENTRIES_MAX = 5000, VERSION = 1 };

static int save(const struct dns01_book *b, struct err *e)
{
    json_t *list = json_array(), *all;
    struct buf text = { 0 };
    int rc;

    for (size_t i = 0; i < b->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", b->list[i].name, "target",
                                              b->list[i].target, "provider", b->list[i].provider, "value",
                                              b->list[i].value));
    all = json_pack("{s:i, s:o}", "v", VERSION, "values", list);
    json_write(&text, all);
    rc = file_write(b->path, buf_bytes(&text), text.len, 0600, e);
    buf_free(&text);
    json_decref(all);
    return rc;
}

/* Something stays there that is gone, or the other way round: it is only cleared once more. */
static void save_or_log(const struct dns01_book *b)
{
    struct err why = { 0 };

    if (save(b, &why) != 0)
        log_error("what is set in DNS cannot be written down", kv_str("path", b->path),
                  kv_str("error", why.text));
}

static int read_text(const json_t *json, const char *key, char *out, size_t room, struct err *e)
{
    const char *text;

    if (json_get_text(json, key, room - 1, &text, e) != 0)
        return -1;
    snprintf(out, room, "%s", text);
    return 0;
}

static int read_entry(struct dns01_book *b, const json_t *json, struct err *e)
{
    struct dns01_entry v = { .left = true };

    if (read_text(json, "name", v.name, sizeof v.name, e) != 0 ||
        read_text(json, "target", v.target, sizeof v.target, e) != 0 ||
        read_text(json, "provider", v.provider, sizeof v.provider, e) != 0 ||
        read_text(json, "value", v.value, sizeof v.value, e) != 0)
        return -1;
    b->list = mem_grow(b->list, (b->n + 1) * sizeof *b->list);
    b->list[b->n++] = v;
    return 0;
}

void dns01_book_open(struct dns01_book *b, const char *state_dir)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    const json_t *list;
    json_t *all = NULL;
    int rc;

    *b = (struct dns01_book){ .path = mem_format("%s/dns01.json", state_dir) };
    rc = file_read(b->path, FILE_BYTES, &text, &why);
    if (rc == 0)
        rc = (all = json_read(buf_bytes(&text), text.len, &why)) ? 0 : -1;
    if (rc == 0)
        rc = json_get_list(all, "values", ENTRIES_MAX, &list, &why);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
        rc = read_entry(b, json_array_get(list, i), &why);
    if (rc != 0 && why.code != ERR_MISSING)
        log_warn("TXT records that were set before this start may have stayed in DNS",
                 kv_str("path", b->path), kv_str("error", why.text));
    buf_free(&text);
    json_decref(all);
}

void dns01_book_close(struct dns01_book *b)
{
    free(b->path);
    free(b->list);
    *b = (struct dns01_book){ 0 };
}

static struct dns01_entry *find(const struct dns01_book *b, const struct dns01_entry *v)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->list[i].name, v->name) == 0 && strcmp(b->list[i].provider, v->provider) == 0 &&
            strcmp(b->list[i].value, v->value) == 0)
            return &b->list[i];
    return NULL;
}

int dns01_book_add(struct dns01_book *b, const struct dns01_entry *v, struct err *e)
{
    struct dns01_entry *there = find(b, v);

    if (there) {
        *there = *v;
    } else if (b->n == ENTRIES_MAX) {
        return err_set(e, ERR_LIMIT, "%d TXT values are set already", ENTRIES_MAX);
    } else {
        b->list = mem_grow(b->list, (b->n + 1) * sizeof *b->list);
        b->list[b->n++] = *v;
    }
    if (save(b, e) == 0)
        return 0;
    if (!there)
        b->n--;
    return err_wrap(e, "nothing is set in DNS that cannot be written down");
}

void dns01_book_remove(struct dns01_book *b, const struct dns01_entry *v)
{
    struct dns01_entry *there = find(b, v);

    if (!there)
        return;
    *there = b->list[--b->n];
    save_or_log(b);
}

void dns01_book_leave(struct dns01_book *b, const struct dns01_entry *v)
{
    struct dns01_entry *there = find(b, v);

    if (there)
        there->left = true;
}

bool dns01_book_is_left(const struct dns01_book *b, const struct dns01_entry *v)
{
    const struct dns01_entry *there = find(b, v);

    return there && there->left;
}

void dns01_book_find(const struct dns01_book *b, struct dns01_entry *v)
{
    const struct dns01_entry *there = find(b, v);

    if (there)
        *v = *there;
}

size_t dns01_book_others(const struct dns01_book *b, const struct dns01_entry *v)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        n += strcmp(b->list[i].target, v->target) == 0 && strcmp(b->list[i].provider, v->provider) == 0 &&
             strcmp(b->list[i].value, v->value) != 0;
    return n;
}

bool dns01_book_left(const struct dns01_book *b, size_t i, struct dns01_entry *v)
{
    for (size_t j = 0; j < b->n; j++) {
        if (!b->list[j].left || i-- > 0)
            continue;
        *v = b->list[j];
        return true;
    }
    return false;
}
