#include "shared/opt.h"

#include "shared/mem.h"
#include "shared/opt_internal.h"
#include "shared/value.h"
#include "shared/opt_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the schema ---- */

const struct opt_kind *opt_kind_find(const struct opt_schema *schema, struct str kind)
{
    for (size_t i = 0; i < schema->kinds_n; i++)
        if (str_eq(kind, schema->kinds[i].kind))
            return &schema->kinds[i];
    return NULL;
}

const struct opt *opt_rows(const struct opt_schema *schema, const char *kind, size_t *n)
{
    const struct opt *row = schema->opts, *end = schema->opts + schema->opts_n, *first;

    while (row < end && strcmp(row->kind, kind) != 0)
        row++;
    first = row;
    while (row < end && strcmp(row->kind, kind) == 0)
        row++;
    *n = (size_t)(row - first);
    return first;
}

const struct opt *opt_row_find(const struct opt *rows, size_t n, struct str key)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(key, rows[i].key))
            return &rows[i];
    return NULL;
}

/* ---- suggestions ---- */

enum { NEAR_MAX = 40 }; /* longer words are not compared */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters to add, drop, replace, or swap with their neighbour. */
static unsigned distance(struct str a, const char *b)
{
    unsigned rows[3][NEAR_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2], *spare;
    size_t n = strlen(b);

    if (a.n > NEAR_MAX || n > NEAR_MAX)
        return NEAR_MAX;
    for (size_t j = 0; j <= n; j++)
        before[j] = last[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a.p[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a.p[i - 1] == b[j - 2] && a.p[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[n];
}

void opt_suggest(struct buf *out, struct str word, const char *const *names, size_t n)
{
    unsigned best = NEAR_MAX;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned d = distance(word, names[i]);

        if (d < best) {
            best = d;
            at = i;
        }
    }
    if (n > 0 && best <= (word.n > 8 ? 3 : word.n > 3 ? 2 : 1)) {
        buf_printf(out, "did you mean %s?", names[at]);
        return;
    }
    buf_add_text(out, n > 0 ? "known are " : "none is known here");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", names[i]);
}

/* ---- sections ---- */

struct opt_conf *opt_conf_new(const struct opt_schema *schema)
{
    struct opt_conf *conf = mem_new(sizeof *conf);

    conf->schema = schema;
    conf->of_kind = mem_new(schema->kinds_n * sizeof *conf->of_kind);
    arena_init(&conf->arena, 0);
    return conf;
}

/* Thousands of sites may have a section each, so none is looked for one by one. */
static struct section_list *list_of(const struct opt_conf *conf, const char *kind)
{
    const struct opt_kind *found = opt_kind_find(conf->schema, str_of(kind));

    return found ? &conf->of_kind[found - conf->schema->kinds] : NULL;
}

struct section *opt_section_find(const struct opt_conf *conf, const char *kind, struct str name)
{
    const struct section_list *list = list_of(conf, kind);

    return list ? holders_of(&list->named, name) : NULL;
}

/* Room is doubled whenever the number is a power of two. */
static void append(struct section ***list, size_t *n, struct section *s)
{
    if ((*n & (*n - 1)) == 0)
        *list = mem_grow(*list, (*n * 2 + 1) * sizeof **list);
    (*list)[(*n)++] = s;
}

struct section *opt_section_add(struct opt_conf *conf, const struct opt_kind *kind, struct str name,
                                const char *origin)
{
    struct section_list *list = &conf->of_kind[kind - conf->schema->kinds];
    struct section *s = arena_get(&conf->arena, sizeof *s);
    struct buf title = { 0 };

    buf_add_text(&title, kind->kind);
    if (name.n > 0) {
        buf_add_text(&title, " ");
        buf_add(&title, name.p, name.n);
        s->name = arena_copy_str(&conf->arena, name);
    }
    s->number = conf->sections_n;
    s->kind = kind;
    s->title = arena_copy(&conf->arena, buf_text(&title));
    s->origin = origin;
    s->rows = opt_rows(conf->schema, kind->kind, &s->rows_n);
    s->origins = arena_get(&conf->arena, s->rows_n * sizeof *s->origins);
    s->values = arena_get(&conf->arena, kind->size);
    append(&conf->sections, &conf->sections_n, s);
    append(&list->list, &list->n, s);
    holders_take(&list->named, name, s);
    buf_free(&title);
    return s;
}

void opt_conf_free(struct opt_conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < conf->schema->kinds_n; i++) {
        free(conf->of_kind[i].list);
        holders_free(&conf->of_kind[i].named);
    }
    free(conf->of_kind);
    free(conf->sections);
    free(conf->included);
    free(conf->read);
    arena_free(&conf->arena);
    free(conf);
}

/* ---- what a program asks for ---- */

static const struct section *find(const struct opt_conf *conf, const char *kind, const char *name)
{
    return opt_section_find(conf, kind, str_of(name ? name : ""));
}

const void *opt_values(const struct opt_conf *conf, const char *kind, const char *name)
{
    const struct section *s = find(conf, kind, name);

    return s ? s->values : NULL;
}

const void *opt_section(const struct opt_conf *conf, const char *kind, size_t i, const char **name)
{
    const struct section_list *list = list_of(conf, kind);

    if (!list || i >= list->n)
        return NULL;
    if (name)
        *name = list->list[i]->name;
    return list->list[i]->values;
}

const char *opt_origin(const struct opt_conf *conf, const char *kind, const char *name, const char *key)
{
    const struct section *s = find(conf, kind, name);
    const struct opt *row = s ? opt_row_find(s->rows, s->rows_n, str_of(key)) : NULL;

    return row && s->origins[row - s->rows] ? s->origins[row - s->rows] : "default";
}

bool opt_touches_files(const struct opt_conf *conf)
{
    return conf->touches_files;
}

bool opt_given(const struct opt_conf *conf, const char *kind, const char *name, const char *key)
{
    const struct section *s = find(conf, kind, name);
    const struct opt *row = s ? opt_row_find(s->rows, s->rows_n, str_of(key)) : NULL;

    return row && s->origins[row - s->rows];
}

/* "relay.ini:2: relay.park = 10s"; a value not given is shown as the default, at its section's line. With a pair it is
 * the one of an OPT_PAIRS row: "relay.ini:7: domain a.com.route /api = nas:80". */
static void print_context(struct buf *out, const struct opt_conf *conf, const struct section *s, size_t row,
                          const struct opt_pair *pair)
{
    struct buf value = { 0 }, shown = { 0 };
    const char *given = pair ? pair->origin : s->origins[row];

    buf_printf(out, "%s: %s.%s",
               given       ? given
               : s->origin ? s->origin
                           : conf->file,
               s->title, s->rows[row].key);
    if (pair) {
        buf_add_text(out, " ");
        value_show(out, str_of(pair->name), VALUE_SHOWN_CHARS);
    }
    if (opt_value_present(s, row)) {
        if (pair)
            buf_add_text(&value, pair->value);
        else
            opt_value_text(&value, &s->rows[row], s->values);
        opt_value_disguise(&shown, &s->rows[row], (struct str){ buf_bytes(&value), value.len });
        buf_add_text(out, value.len > 0 ? " = " : " =");
        value_show(out, (struct str){ buf_bytes(&shown), shown.len }, VALUE_SHOWN_CHARS);
        if (!given)
            buf_add_text(out, " (the default)");
    }
    buf_free(&value);
    buf_free(&shown);
}

/* Where an error is: a section, or a row of it, or one pair of that row. */
struct spot {
    const struct opt_conf *conf;
    const struct section *section;
    const struct opt *row;
    const struct opt_pair *pair;
};

static struct spot spot_of(const struct opt_conf *conf, const char *kind, const char *name, const char *key)
{
    const struct section *s = find(conf, kind, name);

    return (struct spot){ conf, s, s && key ? opt_row_find(s->rows, s->rows_n, str_of(key)) : NULL, NULL };
}

static void add_at(struct opt_errors *errors, const struct spot *at, const char *kind, const char *text)
{
    const struct section *s = at->section;
    struct buf line = { 0 };

    if (at->row)
        print_context(&line, at->conf, s, (size_t)(at->row - s->rows), at->pair);
    else
        buf_printf(&line, "%s: %s", s && s->origin ? s->origin : at->conf->file, s ? s->title : kind);
    opt_errors_add(errors, "%s: %s", buf_text(&line), text);
    buf_free(&line);
}

static char *printf_like(1, 0) text_of(const char *fmt, va_list args)
{
    char *text = NULL;

    return vasprintf(&text, fmt, args) < 0 ? mem_copy(fmt) : text;
}

void opt_errors_add_at(struct opt_errors *errors, const struct opt_conf *conf, const char *kind,
                       const char *name, const char *key, const char *fmt, ...)
{
    struct spot at = spot_of(conf, kind, name, key);
    const struct opt_pairs *pairs = NULL;
    va_list args;
    char *text;

    va_start(args, fmt);
    text = text_of(fmt, args);
    va_end(args);
    if (at.row && at.row->type == OPT_PAIRS)
        pairs = (const void *)((const char *)at.section->values + at.row->offset);
    for (size_t i = 0; pairs && i < pairs->n; i++) {
        at.pair = &pairs->list[i];
        add_at(errors, &at, kind, text);
    }
    if (!at.pair)
        add_at(errors, &at, kind, text);
    free(text);
}

void opt_errors_add_pair(struct opt_errors *errors, const struct opt_conf *conf, const char *kind,
                         const char *name, const char *key, const struct opt_pair *pair, const char *fmt, ...)
{
    struct spot at = spot_of(conf, kind, name, key);
    va_list args;
    char *text;

    va_start(args, fmt);
    text = text_of(fmt, args);
    va_end(args);
    at.pair = pair;
    add_at(errors, &at, kind, text);
    free(text);
}

void opt_settle(struct opt_conf *conf, const char *kind, const char *name, const char *key, const char *text)
{
    const struct opt_place place = { &conf->arena, "/", "default", false };
    struct spot at = spot_of(conf, kind, name, key);

    if (at.row && !at.section->origins[at.row - at.section->rows] &&
        opt_value_set(at.row, at.section->values, &place, STR(""), str_of(text), NULL) != 0)
        abort(); /* a default of our own */
}

/* ---- reload ---- */

static void print_value(struct buf *out, const struct section *s, size_t row)
{
    if (opt_value_present(s, row))
        opt_value_text(out, &s->rows[row], s->values);
    else
        buf_add_text(out, "none");
}

static void check_section(const struct opt_conf *next, const struct section *old, const struct section *new,
                          struct opt_errors *errors)
{
    struct buf was = { 0 }, is = { 0 }, line = { 0 };

    for (size_t i = 0; i < new->rows_n; i++) {
        const struct opt *o = &new->rows[i];

        if ((o->flags & OPT_RELOAD) || o->type == OPT_INCLUDE)
            continue;
        buf_take(&was, was.len);
        buf_take(&is, is.len);
        buf_take(&line, line.len);
        print_value(&was, old, i);
        print_value(&is, new, i);
        if (strcmp(buf_text(&was), buf_text(&is)) == 0)
            continue;
        print_context(&line, next, new, i, NULL);
        buf_add_text(&line, ": cannot change while the daemon runs (it has ");
        value_show(&line, (struct str){ buf_bytes(&was), was.len }, VALUE_SHOWN_CHARS);
        opt_errors_add(errors, "%s); change it back, or restart", buf_text(&line));
    }
    buf_free(&was);
    buf_free(&is);
    buf_free(&line);
}

/* Sections of a kind that has no reloadable key at all stay as they were. */
static bool is_fixed(const struct section *s)
{
    for (size_t i = 0; i < s->rows_n; i++)
        if (s->rows[i].flags & OPT_RELOAD)
            return false;
    return true;
}

void opt_check_reload(const struct opt_conf *running, const struct opt_conf *next, struct opt_errors *errors)
{
    for (size_t i = 0; i < next->sections_n; i++) {
        const struct section *s = next->sections[i], *old = find(running, s->kind->kind, s->name);

        if (old)
            check_section(next, old, s, errors);
        else if (is_fixed(s))
            opt_errors_add(errors, "%s: [%s]: cannot be added while the daemon runs; restart it",
                           s->origin ? s->origin : next->file, s->title);
    }
    for (size_t i = 0; i < running->sections_n; i++) {
        const struct section *s = running->sections[i];

        if (is_fixed(s) && !find(next, s->kind->kind, s->name))
            opt_errors_add(errors,
                           "%s: [%s]: cannot be removed while the daemon runs; put it back, or restart",
                           next->file, s->title);
    }
}
