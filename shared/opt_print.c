/* A loaded configuration as text and as JSON. */
#include "shared/opt_print.h"
#include "shared/ini_line.h"
#include "shared/opt.h"
#include "shared/opt_internal.h"
#include "shared/value.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_MAX = 40 }; /* comments stand below each other up to this width of values */

/* ---- --dump ---- */

/* One line of a section: what it holds is made first, so that the columns are known before any is printed. */
static void print_quoted(struct buf *out, struct str value)
{
    if (!ini_line_needs_quotes(value)) {
        buf_add(out, value.p, value.n);
        return;
    }
    buf_add_text(out, "\"");
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_add_text(out, "\\");
        buf_add(out, &value.p[i], 1);
    }
    buf_add_text(out, "\"");
}

/* Columns a text takes, which are fewer than its bytes. */
static int columns(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_padding(struct buf *out, int n)
{
    for (; n > 0; n--)
        buf_add_text(out, " ");
}

struct widths {
    int key, value;
};

/* Either measures (out NULL) or prints one line. */
static void put_line(struct buf *out, struct widths *w, const char *key, const char *value,
                     const char *origin)
{
    struct buf quoted = { 0 };
    int n;

    print_quoted(&quoted, str_of(value));
    n = columns(buf_text(&quoted));
    if (!out) {
        w->key = columns(key) > w->key ? columns(key) : w->key;
        w->value = n > w->value && n <= COLUMN_MAX ? n : w->value;
    } else {
        buf_add_text(out, key);
        print_padding(out, w->key - columns(key));
        buf_printf(out, " = %s", buf_text(&quoted));
        print_padding(out, w->value - n);
        buf_printf(out, "%s; %s\n", n > 0 || w->value > 0 ? " " : "", origin);
    }
    buf_free(&quoted);
}

static void put_pairs(struct buf *out, struct widths *w, const struct section *s, const struct opt *o)
{
    const struct opt_pairs *pairs = (const void *)((const char *)s->values + o->offset);

    for (size_t i = 0; i < pairs->n; i++) {
        struct buf key = { 0 };

        buf_printf(&key, "%s %s", o->key, pairs->list[i].name);
        put_line(out, w, buf_text(&key), pairs->list[i].value, pairs->list[i].origin);
        buf_free(&key);
    }
}

/* What was included follows inline, so the key itself is printed empty, with the files in comments. */
static void put_include(struct buf *out, struct widths *w, const struct opt_conf *conf,
                        const struct section *s, size_t row)
{
    const char *origin = s->origins[row] ? s->origins[row] : "default";
    struct buf value = { 0 };

    opt_value_text(&value, &s->rows[row], s->values);
    if (out && value.len > 0)
        buf_printf(out, "; %s: %s = %s: the sections of these files are part of this text\n", origin,
                   s->rows[row].key, buf_text(&value));
    for (size_t i = 0; out && i < conf->included_n; i++)
        if (conf->included[i].section == s)
            buf_printf(out, ";   %s\n", conf->included[i].file);
    put_line(out, w, s->rows[row].key, "", origin);
    buf_free(&value);
}

static void put_row(struct buf *out, struct widths *w, const struct opt_conf *conf, const struct section *s,
                    size_t row)
{
    const struct opt *o = &s->rows[row];
    struct buf text = { 0 };

    if (o->type == OPT_INCLUDE) {
        put_include(out, w, conf, s, row);
    } else if (o->type == OPT_PAIRS && s->origins[row]) {
        put_pairs(out, w, s, o);
    } else if (!opt_value_present(s, row)) {
        buf_printf(&text, "; %s", o->key);
        put_line(out, w, buf_text(&text), "", "not given");
    } else {
        opt_value_text(&text, o, s->values);
        put_line(out, w, o->key, buf_text(&text), s->origins[row] ? s->origins[row] : "default");
    }
    buf_free(&text);
}

static void print_section(struct buf *out, const struct opt_conf *conf, const struct section *s)
{
    struct widths w = { 0 };

    for (size_t row = 0; row < s->rows_n; row++)
        put_row(NULL, &w, conf, s, row);
    buf_printf(out, "\n[%s]%s%s\n", s->title, s->origin ? " ; " : "", s->origin ? s->origin : "");
    for (size_t row = 0; row < s->rows_n; row++)
        put_row(out, &w, conf, s, row);
}

void opt_print_dump(struct buf *out, const struct opt_conf *conf)
{
    buf_printf(out, "; effective configuration of %s, read from %s\n", conf->schema->program, conf->file);
    for (size_t k = 0; k < conf->schema->kinds_n; k++)
        for (size_t i = 0; i < conf->sections_n; i++)
            if (conf->sections[i]->kind == &conf->schema->kinds[k])
                print_section(out, conf, conf->sections[i]);
}

/* ---- /v1/config ---- */

/* Paths may hold what is not UTF-8, which JSON cannot carry. */
static json_t *json_text(const char *text)
{
    json_t *json = json_string(text);

    if (!json) {
        struct buf shown = { 0 };

        value_show(&shown, str_of(text), 0);
        json = json_string(buf_text(&shown));
        buf_free(&shown);
    }
    return json;
}

static void add_option(json_t *options, const char *key, const char *value, const char *origin)
{
    json_array_append_new(options,
                          json_pack("{s:o, s:o, s:o}", "key", json_text(key), "value",
                                    value ? json_text(value) : json_null(), "origin", json_text(origin)));
}

static void add_row(json_t *options, const struct section *s, size_t row)
{
    const struct opt *o = &s->rows[row];
    const struct opt_pairs *pairs = (const void *)((const char *)s->values + o->offset);
    struct buf text = { 0 }, shown = { 0 };

    for (size_t i = 0; o->type == OPT_PAIRS && i < pairs->n; i++) {
        buf_take(&text, text.len);
        buf_printf(&text, "%s %s", o->key, pairs->list[i].name);
        add_option(options, buf_text(&text), pairs->list[i].value, pairs->list[i].origin);
    }
    if (o->type != OPT_PAIRS) {
        opt_value_text(&text, o, s->values);
        opt_value_disguise(&shown, o, (struct str){ buf_bytes(&text), text.len });
        add_option(options, o->key, opt_value_present(s, row) ? buf_text(&shown) : NULL,
                   s->origins[row] ? s->origins[row] : "default");
    }
    buf_free(&text);
    buf_free(&shown);
}

struct json_t *opt_json(const struct opt_conf *conf)
{
    json_t *sections = json_array(), *files = json_array();

    for (size_t i = 0; i < conf->read_n; i++)
        json_array_append_new(files, json_text(conf->read[i]));
    for (size_t k = 0; k < conf->schema->kinds_n; k++) {
        for (size_t i = 0; i < conf->sections_n; i++) {
            const struct section *s = conf->sections[i];
            json_t *options;

            if (s->kind != &conf->schema->kinds[k])
                continue;
            options = json_array();
            for (size_t row = 0; row < s->rows_n; row++)
                add_row(options, s, row);
            json_array_append_new(sections,
                                  json_pack("{s:s, s:o, s:o}", "kind", s->kind->kind, "name",
                                            s->name ? json_text(s->name) : json_null(), "options", options));
        }
    }
    return json_pack("{s:o, s:o, s:o}", "file", json_text(conf->file), "files", files, "sections", sections);
}
