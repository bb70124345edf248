/* inih parses, and we stand in front of it and behind it. Stock inih passes no line number, cuts lines at 200 and
 * section names at 50 bytes, joins indented lines and has its own rules for comments. So each physical line is read
 * by ini_line first, which knows our rules and refuses the rest; inih then gets one clean short line for it,
 * "[NUMBER]" or "key = NUMBER", and hands key and number of section back to on_pair, which takes the value from the
 * line just read. */
#include "shared/opt_source.h"

#include "shared/idn.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAD_LINES_MAX = 5 };

/* ---- errors ---- */

const char *opt_source_origin(const struct source *s)
{
    char *origin = s->line_no > 0 ? mem_format("%s:%zu", s->name, s->line_no) : mem_copy(s->name);
    const char *copy = arena_copy(&s->loader->conf->arena, origin);

    free(origin);
    return copy;
}

char *opt_source_shown(struct str text, size_t max_chars)
{
    struct buf out = { 0 };
    char *copy;

    value_show(&out, text, max_chars);
    copy = mem_copy(buf_text(&out));
    buf_free(&out);
    return copy;
}

/* What cannot be understood may be a password, too, as far as it is a URL. */
static char *shown_of(const struct opt *row, struct str text)
{
    static const struct opt unknown = { .flags = OPT_SECRET_URL };
    bool has_url = text.n > 3 && memmem(text.p, text.n, "://", 3);
    struct buf disguised = { 0 };
    char *copy;

    opt_value_disguise(&disguised, row ? row : has_url ? &unknown : &(struct opt){ 0 }, text);
    copy = opt_source_shown((struct str){ buf_bytes(&disguised), disguised.len }, VALUE_SHOWN_CHARS);
    buf_free(&disguised);
    return copy;
}

static void refuse_line(const struct source *s, struct str line, const char *why)
{
    char *text = shown_of(NULL, str_trim(line));

    opt_errors_add(s->loader->errors, "%s:%zu: %s: %s", s->name, s->line_no, text, why);
    free(text);
}

static void refuse_section(const struct source *s, const char *why, const char *what)
{
    const struct ini_line *line = &s->line;
    char *name = opt_source_shown(line->name, VALUE_SHOWN_CHARS),
         *kind = opt_source_shown(line->kind, VALUE_SHOWN_CHARS);

    opt_errors_add(s->loader->errors, "%s:%zu: [%s%s%s]: %s%s", s->name, s->line_no, kind, *name ? " " : "",
                   name, why, what);
    free(name);
    free(kind);
}

/* For a key of the line that inih is working on. */
void opt_source_refuse(const struct source *s, const struct section *section, const char *why,
                       const char *what)
{
    const struct ini_line *line = &s->line;
    const struct opt *row = opt_row_find(section->rows, section->rows_n, line->key);
    char *arg = opt_source_shown(line->arg, VALUE_SHOWN_CHARS),
         *title = opt_source_shown(str_of(section->title), VALUE_SHOWN_CHARS),
         *value = shown_of(row, line->value);

    opt_errors_add(s->loader->errors, "%s:%zu: %s.%.*s%s%s =%s%s: %s%s", s->name, s->line_no, title,
                   STR_ARG(line->key), *arg ? " " : "", arg, *value ? " " : "", value, why, what);
    free(arg);
    free(title);
    free(value);
}

/* ---- sections ---- */

static const char *name_wrong(const struct opt_kind *kind, const char *name, struct err *e)
{
    if (kind->name_wrong)
        return kind->name_wrong(name);
    return value_name(str_of(name), e) == 0 ? NULL : e->text;
}

static void refuse_kind(const struct source *s)
{
    const struct opt_schema *schema = s->loader->conf->schema;
    const char **names = mem_new((schema->kinds_n + 1) * sizeof *names);
    struct buf near = { 0 };

    for (size_t i = 0; i < schema->kinds_n; i++)
        names[i] = schema->kinds[i].kind;
    opt_suggest(&near, s->line.kind, names, schema->kinds_n);
    refuse_section(s, "unknown section; ", buf_text(&near));
    buf_free(&near);
    free(names);
}

/* True when the section may stand here; otherwise the error is added. */
static bool check_section(const struct source *s, const struct opt_kind *kind)
{
    const struct section *same = opt_section_find(s->loader->conf, kind->kind, s->line.name);
    struct err e = { 0 };
    const char *wrong = NULL;
    char form[64];

    if (kind->naming == OPT_UNNAMED && s->line.name.n > 0) {
        refuse_section(s, "cannot have a name; write it without one", "");
        return false;
    }
    if (kind->naming == OPT_NAMED && s->line.name.n == 0) {
        snprintf(form, sizeof form, "[%s NAME]", kind->kind);
        refuse_section(s, "needs a name; write ", form);
        return false;
    }
    if (s->line.name.n > 0) {
        char *name = mem_copy_n(s->line.name.p, s->line.name.n);

        wrong = name_wrong(kind, name, &e);
        free(name);
    }
    if (wrong) {
        refuse_section(s, kind->name_wrong ? "the name is wrong; " : "", wrong);
        return false;
    }
    if (same && same->origin) {
        refuse_section(s, "there is one already; put all its keys into the one at ", same->origin);
        return false;
    }
    return true;
}

/* A host name that is written otherwise counts as what the DNS has for it. */
static void canonize_name(struct source *s, const struct opt_kind *kind)
{
    char ascii[DOMAIN_BYTES];

    if (kind->is_domain && idn_is_needed(s->line.name) && idn_to_ascii(s->line.name, ascii, NULL) == 0)
        s->line.name = str_of(arena_copy(&s->loader->conf->arena, ascii));
}

static void open_section(struct source *s)
{
    struct opt_conf *conf = s->loader->conf;
    const struct opt_kind *kind = opt_kind_find(conf->schema, s->line.kind);
    struct section *implied;
    bool well;

    s->section = NULL;
    s->in_unknown = !kind;
    if (!kind) {
        refuse_kind(s);
        return;
    }
    canonize_name(s, kind);
    well = check_section(s, kind);
    implied = well ? opt_section_find(conf, kind->kind, s->line.name) : NULL;
    if (implied) {
        implied->origin = opt_source_origin(s);
        s->section = implied;
        return;
    }
    s->section = opt_section_add(conf, kind, s->line.name, opt_source_origin(s));
    s->section->refused = !well;
}

/* ---- keys ---- */

/* Adds "belongs in [agent] or [domain NAME]". False when no section knows the key. */
static bool print_homes(struct buf *out, const struct opt_schema *schema, struct str key)
{
    size_t homes = 0;

    for (size_t i = 0; i < schema->opts_n; i++) {
        const struct opt_kind *kind = opt_kind_find(schema, str_of(schema->opts[i].kind));

        if (!str_eq(key, schema->opts[i].key) || !kind)
            continue;
        buf_add_text(out, homes++ == 0 ? "belongs in " : " or ");
        buf_printf(out, "[%s%s]", kind->kind, kind->naming == OPT_NAMED ? " NAME" : "");
    }
    return homes > 0;
}

static void refuse_key(const struct source *s, const struct section *section)
{
    const char **names = mem_new((section->rows_n + 1) * sizeof *names);
    struct buf near = { 0 };

    for (size_t i = 0; i < section->rows_n; i++)
        names[i] = section->rows[i].key;
    if (!print_homes(&near, s->loader->conf->schema, s->line.key))
        opt_suggest(&near, s->line.key, names, section->rows_n);
    opt_source_refuse(s, section, "unknown key here; ", buf_text(&near));
    buf_free(&near);
    free(names);
}

static void refuse_value(const struct source *s, const struct section *section, const struct opt *row,
                         const char *why)
{
    char made[256], *text;
    const char *def = opt_default(row, made);
    struct buf note = { 0 };

    value_show(&note, str_of(why), 0); /* it may name a file, whose name may be anything */
    if (def && *def) {
        text = opt_source_shown(str_of(def), VALUE_SHOWN_CHARS);
        buf_printf(&note, "; the default is %s", text);
        free(text);
    }
    opt_source_refuse(s, section, buf_text(&note), "");
    buf_free(&note);
}

/* True when key and word before the = fit the row; otherwise the error is added. */
static bool check_pair(const struct source *s, const struct section *section, const struct opt *row)
{
    const char *before = section->origins[row - section->rows];

    if (row->type == OPT_PAIRS && s->line.arg.n == 0)
        opt_source_refuse(s, section, "needs a word before the =, such as ",
                          row->sample ? row->sample : "WORD = VALUE");
    else if (row->type != OPT_PAIRS && s->line.arg.n > 0)
        opt_source_refuse(s, section, "takes no word before the =; write KEY = VALUE", "");
    else if (row->type != OPT_PAIRS && before)
        opt_source_refuse(s, section, "was given before; keep this one or the one at ", before);
    else
        return true;
    return false;
}

static void store_pair(struct source *s, struct section *section, const char *key)
{
    const struct opt *row = opt_row_find(section->rows, section->rows_n, str_of(key));
    struct opt_place place = { &s->loader->conf->arena, s->folder, NULL, s->loader->touch_files };
    struct err e = { 0 };

    if (!row) {
        refuse_key(s, section);
        return;
    }
    if (!check_pair(s, section, row))
        return;
    place.origin = opt_source_origin(s);
    if (!section->origins[row - section->rows])
        section->origins[row - section->rows] = place.origin;
    if (opt_value_set(row, section->values, &place, s->line.arg, s->line.value, &e) != 0)
        refuse_value(s, section, row, e.text);
    else if (row->type == OPT_INCLUDE && !section->refused)
        s->loader->include(s, section, row);
}

/* ---- lines ---- */

static bool take_line(struct source *s, struct str *line)
{
    const char *end = s->rest.n > 0 ? memchr(s->rest.p, '\n', s->rest.n) : NULL;
    size_t n = end ? (size_t)(end - s->rest.p) : s->rest.n;

    if (s->rest.n == 0)
        return false;
    *line = (struct str){ s->rest.p, n };
    n += end ? 1 : 0;
    s->rest = (struct str){ s->rest.p + n, s->rest.n - n };
    s->line_no++;
    if (end && line->n > 0 && line->p[line->n - 1] == '\r') {
        line->n--;
        if (!s->crlf_told)
            opt_errors_add(s->loader->errors,
                           "%s:%zu: the line ends with CR LF, as on Windows; run: sed -i 's/\\r$//' %s",
                           s->name, s->line_no, s->name);
        s->crlf_told = true;
    }
    return true;
}

static void on_bad_line(struct source *s, struct str line, const struct err *e)
{
    refuse_line(s, line, e->text);
    /* The keys below a broken [section] are not those of the section above it. */
    if (line.n > 0 && line.p[0] == '[') {
        s->section = NULL;
        s->in_unknown = true;
    }
    s->bad_lines += s->line.bad_bytes;
    if (s->bad_lines < BAD_LINES_MAX || s->rest.n == 0)
        return;
    opt_errors_add(s->loader->errors, "%s: further errors in this file left out; is it a text file?",
                   s->name);
    s->rest.n = 0;
}

/* inih asks for its next line: the next one of ours that has something for it. */
static char *next_line(char *out, int room, void *user)
{
    struct source *s = user;
    struct err e = { 0 };
    struct str line;

    while (take_line(s, &line)) {
        if (ini_line_parse(line, s->room, &s->line, &e) != 0) {
            on_bad_line(s, line, &e);
        } else if (s->line.type == INI_SECTION) {
            open_section(s);
            if (s->section) {
                snprintf(out, (size_t)room, "[%zu]\n", s->section->number);
                return out;
            }
        } else if (s->line.type == INI_PAIR && s->section) {
            snprintf(out, (size_t)room, "%.*s = %zu\n", STR_ARG(s->line.key), s->line_no);
            return out;
        } else if (s->line.type == INI_PAIR && !s->in_unknown) {
            refuse_line(s, line, "stands before the first section; write [KIND] or [KIND NAME] above it");
        }
    }
    return NULL;
}

/* inih hands over a key, with the numbers of its section and line as we gave them. */
static int on_pair(void *user, const char *section, const char *key, const char *line_no)
{
    struct source *s = user;

    (void)line_no; /* s->line is that line still */
    store_pair(s, s->loader->conf->sections[strtoul(section, NULL, 10)], key);
    return 1;
}

/* False when there is nothing to be read line by line. */
static bool check_start(struct source *s)
{
    if (s->rest.n >= 2 && (memcmp(s->rest.p, "\xff\xfe", 2) == 0 || memcmp(s->rest.p, "\xfe\xff", 2) == 0)) {
        opt_errors_add(s->loader->errors, "%s:1: the file is UTF-16; save it as UTF-8", s->name);
        return false;
    }
    if (s->rest.n >= 3 && memcmp(s->rest.p, "\xef\xbb\xbf", 3) == 0) {
        opt_errors_add(s->loader->errors, "%s:1: the file begins with a byte order mark; save it without BOM",
                       s->name);
        s->rest = (struct str){ s->rest.p + 3, s->rest.n - 3 };
    }
    return true;
}

void opt_source_read(struct source *s)
{
    int rc;

    if (!check_start(s))
        return;
    s->room = mem_new(INI_LINE_MAX);
    rc = ini_parse_stream(next_line, s, on_pair, s);
    if (rc != 0)
        opt_errors_add(s->loader->errors, "%s: inih refuses the file (%d); this is a fault of the program",
                       s->name, rc);
    free(s->room);
}
