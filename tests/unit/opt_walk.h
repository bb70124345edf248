/* tests/unit/opt_walk.h - what holds for every option table, whoever's it is.
 *
 * Include cmocka before it, and call walk_schema(&schema) from a test. Checks across options are left out: each row is
 * looked at by itself. */
#ifndef TESTS_UNIT_OPT_WALK_H
#define TESTS_UNIT_OPT_WALK_H
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/ini_line.h"
#include "shared/opt_internal.h"
#include "shared/value.h"
#include "shared/opt_print.h"

/* Loads text that has nothing wrong in it. */
static inline struct opt_conf *walk_load(const struct opt_schema *schema, const struct buf *text)
{
    struct opt_schema unchecked = *schema;
    struct opt_errors errors = { 0 };
    struct opt_conf *conf;

    unchecked.check = NULL;
    conf = opt_load_text(&unchecked, "walk.ini", buf_bytes(text), text->len, &errors);
    for (size_t i = 0; i < errors.n; i++)
        print_error("%s\n", errors.lines[i]);
    assert_non_null(conf);
    opt_errors_free(&errors);
    conf->schema = schema;
    return conf;
}

/* ---- configurations that are the same ---- */

static inline void walk_same_section(const struct section *a, const struct section *b)
{
    for (size_t row = 0; row < a->rows_n; row++) {
        struct buf x = { 0 }, y = { 0 };

        opt_value_text(&x, &a->rows[row], a->values);
        opt_value_text(&y, &b->rows[row], b->values);
        if (a->rows[row].type != OPT_INCLUDE && strcmp(buf_text(&x), buf_text(&y)) != 0)
            fail_msg("%s.%s: \"%s\" and \"%s\"", a->title, a->rows[row].key, buf_text(&x), buf_text(&y));
        assert_int_equal(opt_value_present(a, row), opt_value_present(b, row));
        buf_free(&x);
        buf_free(&y);
    }
}

/* Sections and values are. Origins need not be, nor what was included, which is part of a dump. */
static inline void walk_same(const struct opt_conf *a, const struct opt_conf *b)
{
    assert_int_equal(a->sections_n, b->sections_n);
    for (size_t i = 0; i < a->sections_n; i++) {
        const struct section *s = a->sections[i];
        const struct section *t = opt_section_find(b, s->kind->kind, str_of(s->name ? s->name : ""));

        if (!t)
            fail_msg("[%s]: is in one of the two only", s->title);
        walk_same_section(s, t);
    }
}

/* A dump loads back to the same values. The first one has files and lines of its own, and the second one the lines of
 * the first; from then on they are the same. */
static inline void walk_dump(const struct opt_schema *schema, const struct opt_conf *conf)
{
    struct buf dump[4] = { 0 };
    struct opt_conf *again[3];

    opt_print_dump(&dump[0], conf);
    for (size_t i = 0; i < 3; i++) {
        again[i] = walk_load(schema, &dump[i]);
        walk_same(conf, again[i]);
        opt_print_dump(&dump[i + 1], again[i]);
    }
    assert_string_equal(buf_text(&dump[2]), buf_text(&dump[3]));
    for (size_t i = 0; i < 3; i++)
        opt_conf_free(again[i]);
    for (size_t i = 0; i < 4; i++)
        buf_free(&dump[i]);
}

/* ---- one row ---- */

static inline bool walk_accepts(const struct opt *o, const struct opt_kind *kind, const char *text)
{
    struct arena arena = { 0 };
    struct opt_place place = { &arena, "/folder", "walk.ini:1", false };
    void *values = calloc(1, kind->size);
    struct err e = { 0 };
    int rc = opt_value_set(o, values, &place, STR("word"), str_of(text), &e);

    if (rc != 0 && !e.text[0])
        fail_msg("%s.%s = %s: is refused without a reason", o->kind, o->key, text);
    arena_free(&arena);
    free(values);
    return rc == 0;
}

static inline void walk_bound(const struct opt *o, const struct opt_kind *kind, int64_t n, bool inside)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64 "%s", n, o->type == OPT_DURATION ? "ms" : "");
    if (walk_accepts(o, kind, text) != inside)
        fail_msg("%s.%s = %s: is %s", o->kind, o->key, text, inside ? "refused" : "accepted");
}

static inline void walk_bounds(const struct opt *o, const struct opt_kind *kind)
{
    bool signless = o->type == OPT_DURATION || o->type == OPT_SIZE;

    if (o->type != OPT_NUMBER && !signless)
        return;
    if (o->min >= o->max || (signless && o->min < 0) || o->min == INT64_MIN)
        fail_msg("%s.%s: has no bounds that can be given", o->kind, o->key);
    walk_bound(o, kind, o->min, true);
    walk_bound(o, kind, o->max, true);
    walk_bound(o, kind, o->min - 1, false);
    if (o->max < INT64_MAX)
        walk_bound(o, kind, o->max + 1, false);
}

/* How the key can be shown: what stands in the sample file is accepted, and says something. */
static inline void walk_texts(const struct opt *o, const struct opt_kind *kind)
{
    char made[256];
    const char *def = opt_default(o, made);

    if (def && !walk_accepts(o, kind, def))
        fail_msg("%s.%s: its own default is refused: %s", o->kind, o->key, def);
    if ((o->flags & OPT_REQUIRED) && def)
        fail_msg("%s.%s: must be given, and has a default", o->kind, o->key);
    if (o->type == OPT_PAIRS && (def || (o->flags & OPT_REQUIRED)))
        fail_msg("%s.%s: pairs have no default, and may be left out", o->kind, o->key);
    if (!o->def && !o->sample && o->type != OPT_PAIRS)
        fail_msg("%s.%s: has no default to show, so it needs a sample", o->kind, o->key);
    if (o->sample && o->type != OPT_PAIRS && (!o->sample[0] || !walk_accepts(o, kind, o->sample)))
        fail_msg("%s.%s: its own sample is refused: %s", o->kind, o->key, o->sample);
}

static inline size_t walk_field_size(const struct opt *o)
{
    switch (o->type) {
    case OPT_NUMBER:
    case OPT_DURATION:
    case OPT_SIZE: return sizeof(int64_t);
    case OPT_FLAG: return sizeof(bool);
    case OPT_CHOICE: return sizeof(int);
    case OPT_WORDS:
    case OPT_DOMAINS:
    case OPT_INCLUDE: return sizeof(struct opt_words);
    case OPT_LISTEN: return sizeof(struct opt_addresses);
    case OPT_NETWORKS: return sizeof(struct cidrs);
    case OPT_PAIRS: return sizeof(struct opt_pairs);
    default: return sizeof(const char *);
    }
}

/* Fields lie inside of the struct, and no two rows fill the same one. */
static inline void walk_field(const struct opt *o, const struct opt *rows, size_t n,
                              const struct opt_kind *kind)
{
    if (o->offset + walk_field_size(o) > kind->size)
        fail_msg("%s.%s: its field is outside of the struct", o->kind, o->key);
    for (const struct opt *other = rows; other < rows + n; other++)
        if (other != o && other->offset < o->offset + walk_field_size(o) &&
            o->offset < other->offset + walk_field_size(other))
            fail_msg("%s.%s: shares its field with %s", o->kind, o->key, other->key);
}

static inline bool walk_is_sentence(const char *text)
{
    return text && isupper((unsigned char)text[0]) && text[strlen(text) - 1] == '.';
}

static inline void walk_row(const struct opt_schema *schema, const struct opt *o)
{
    const struct opt_kind *kind = opt_kind_find(schema, str_of(o->kind));
    size_t n, length = strlen(o->key);
    const struct opt *rows = opt_rows(schema, o->kind, &n);

    assert_non_null(kind);
    if (o < rows || o >= rows + n)
        fail_msg("%s.%s: rows of one kind do not stand together", o->kind, o->key);
    if (opt_row_find(rows, n, str_of(o->key)) != o)
        fail_msg("%s.%s: stands twice in the table", o->kind, o->key);
    if (length == 0 || length > INI_KEY_MAX ||
        strspn(o->key, "abcdefghijklmnopqrstuvwxyz0123456789_") != length)
        fail_msg("%s.%s: no line can have this key", o->kind, o->key);
    if (!walk_is_sentence(o->help))
        fail_msg("%s.%s: the help is not made of whole sentences", o->kind, o->key);
    if (o->type == OPT_CHOICE && (!o->choices || !o->choices[0]))
        fail_msg("%s.%s: there is nothing to choose from", o->kind, o->key);
    walk_field(o, rows, n, kind);
    walk_texts(o, kind);
    walk_bounds(o, kind);
}

/* ---- whole texts ---- */

/* A name that a section of this kind may have; NULL where it needs none. */
static inline const char *walk_name(const struct opt_kind *kind)
{
    static const char *const names[] = { "example", "example.net", "example.net:443", NULL };

    if (kind->naming != OPT_NAMED)
        return NULL;
    for (size_t i = 0; names[i]; i++)
        if (!kind->name_wrong || !kind->name_wrong(names[i]))
            return names[i];
    fail_msg("[%s NAME]: no name that we know is right", kind->kind);
    return NULL;
}

static inline void walk_add_value(struct buf *text, const struct opt *o, const char *value)
{
    buf_printf(text, "%s = \"", o->key);
    for (; *value; value++)
        buf_printf(text, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    buf_add_text(text, "\"\n");
}

/* One section of each kind: with what it must have, or with every key at its sample or default. */
static inline void walk_add_section(struct buf *text, const struct opt_schema *schema,
                                    const struct opt_kind *kind, bool every_key)
{
    const char *name = walk_name(kind);
    size_t n;
    const struct opt *rows = opt_rows(schema, kind->kind, &n);

    buf_printf(text, "[%s%s%s]\n", kind->kind, name ? " " : "", name ? name : "");
    for (const struct opt *o = rows; o < rows + n; o++) {
        if (o->type == OPT_INCLUDE || (!every_key && !(o->flags & OPT_REQUIRED)))
            continue;
        if (o->type == OPT_PAIRS)
            buf_printf(text, "%s %s\n", o->key, o->sample ? o->sample : "word = value");
        else if (o->sample || o->def)
            walk_add_value(text, o, o->sample ? o->sample : o->def);
    }
}

static inline void walk_dumps(const struct opt_schema *schema)
{
    for (int every_key = 0; every_key <= 1; every_key++) {
        struct buf text = { 0 };
        struct opt_conf *conf;

        for (size_t k = 0; k < schema->kinds_n; k++)
            walk_add_section(&text, schema, &schema->kinds[k], every_key);
        conf = walk_load(schema, &text);
        walk_dump(schema, conf);
        opt_conf_free(conf);
        buf_free(&text);
    }
}

/* The key whose line of the sample file this is, as in "; KEY = VALUE"; NULL when it is other text. */
static inline const struct opt *walk_sample_key(const struct opt_schema *schema, const char *line)
{
    for (const struct opt *o = schema->opts; o < schema->opts + schema->opts_n; o++) {
        size_t n = strlen(o->key);

        if (strncmp(line, "; ", 2) == 0 && strncmp(line + 2, o->key, n) == 0 &&
            strncmp(line + 2 + n, o->type == OPT_PAIRS ? " " : " =", o->type == OPT_PAIRS ? 1 : 2) == 0)
            return o;
    }
    return NULL;
}

/* Takes the ; away in front of every key but includes, and of every section but the unnamed ones, which gets a name. */
static inline void walk_uncomment(struct buf *out, const struct opt_schema *schema, char *sample)
{
    for (char *rest = sample, *line; (line = strsep(&rest, "\n"));) {
        const struct opt *o = walk_sample_key(schema, line);

        for (const struct opt_kind *kind = schema->kinds; kind < schema->kinds + schema->kinds_n; kind++) {
            char heading[300];

            snprintf(heading, sizeof heading, "; [%s%s]", kind->kind,
                     kind->naming == OPT_NAMED ? " NAME" : "");
            if (kind->naming == OPT_NAMED && strcmp(line, heading) == 0)
                buf_printf(out, "[%s %s]\n", kind->kind, walk_name(kind));
            else if (kind->naming == OPT_MAYBE_NAMED && strcmp(line, heading) == 0)
                buf_printf(out, "[%s]\n", kind->kind);
        }
        buf_printf(out, "%s\n", line + (o && o->type != OPT_INCLUDE ? 2 : 0));
    }
}

/* The sample file says nothing as it is: it loads as an empty one. Each of its keys can be taken as it stands. */
static inline void walk_sample(const struct opt_schema *schema)
{
    struct buf sample = { 0 }, all = { 0 }, none = { 0 };
    struct opt_conf *as_it_is, *empty, *given;

    opt_print_sample(&sample, schema);
    as_it_is = walk_load(schema, &sample);
    empty = walk_load(schema, &none);
    walk_same(as_it_is, empty);
    for (size_t i = 0; i < as_it_is->sections_n; i++)
        for (size_t row = 0; row < as_it_is->sections[i]->rows_n; row++)
            assert_null(as_it_is->sections[i]->origins[row]);
    buf_text(&sample);
    walk_uncomment(&all, schema, sample.mem + sample.start);
    given = walk_load(schema, &all);
    for (size_t i = 0; i < given->sections_n; i++)
        for (size_t row = 0; row < given->sections[i]->rows_n; row++)
            if (!given->sections[i]->origins[row] && given->sections[i]->rows[row].type != OPT_INCLUDE)
                fail_msg("%s.%s: is not in the sample file", given->sections[i]->title,
                         given->sections[i]->rows[row].key);
    opt_conf_free(as_it_is);
    opt_conf_free(empty);
    opt_conf_free(given);
    buf_free(&sample);
    buf_free(&all);
    buf_free(&none);
}

/* Lines end without blanks, and stay within 79 columns where there is a blank to break at. */
static inline void walk_lines(void (*print)(struct buf *, const struct opt_schema *),
                              const struct opt_schema *schema, size_t columns)
{
    struct buf text = { 0 };

    print(&text, schema);
    for (const char *line = buf_text(&text), *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        if ((size_t)(end - line) > columns && memchr(line + 8, ' ', (size_t)(end - line) - 8))
            fail_msg("too long: %.*s", (int)(end - line), line);
        if (end > line && end[-1] == ' ')
            fail_msg("blank at the end: %.*s", (int)(end - line), line);
    }
    for (size_t i = 0; i < schema->opts_n; i++)
        assert_non_null(strstr(buf_text(&text), schema->opts[i].key));
    buf_free(&text);
}

static inline void walk_schema(const struct opt_schema *schema)
{
    assert_true(schema->program && schema->file && schema->file[0] == '/');
    assert_true(walk_is_sentence(schema->intro) || strchr(schema->intro, '\n'));
    for (size_t k = 0; k < schema->kinds_n; k++) {
        assert_true(walk_is_sentence(schema->kinds[k].help));
        assert_ptr_equal(opt_kind_find(schema, str_of(schema->kinds[k].kind)), &schema->kinds[k]);
    }
    for (size_t i = 0; i < schema->opts_n; i++)
        walk_row(schema, &schema->opts[i]);
    walk_dumps(schema);
    walk_sample(schema);
    walk_lines(opt_print_help, schema, 79);
    walk_lines(opt_print_manual, schema, SIZE_MAX);
}
#endif
