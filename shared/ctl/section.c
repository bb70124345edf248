#include "shared/ctl/section.h"

#include "shared/domain.h"
#include "shared/ini_line.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

struct reader {
    struct str rest, line; /* line: without its newline */
    size_t line_no;
    char *room; /* of INI_LINE_MAX bytes */
    struct ini_line is;
};

static void reader_init(struct reader *r, struct str text)
{
    *r = (struct reader){ .rest = text, .room = mem_new(INI_LINE_MAX) };
}

static bool take_line(struct reader *r)
{
    const char *end = r->rest.n > 0 ? memchr(r->rest.p, '\n', r->rest.n) : NULL;
    size_t n = end ? (size_t)(end - r->rest.p) : r->rest.n;

    if (r->rest.n == 0)
        return false;
    r->line = (struct str){ r->rest.p, n };
    n += end ? 1 : 0;
    r->rest = (struct str){ r->rest.p + n, r->rest.n - n };
    r->line_no++;
    return true;
}

/* Names of sites may stand there in their own script. */
static bool begins(const struct ini_line *line, const char *kind, const char *name)
{
    char ascii[DOMAIN_BYTES];

    if (line->type != INI_SECTION || !str_eq(line->kind, kind))
        return false;
    return str_eq(line->name, name) || (domain_normalize(line->name, ascii) && strcmp(ascii, name) == 0);
}

size_t section_find_other(struct str text, const char *kind, const char *name, struct str *line)
{
    struct reader r;
    size_t found = 0;

    reader_init(&r, text);
    while (found == 0 && take_line(&r)) {
        struct str shown = str_trim(r.line);

        if (shown.n == 0 || shown.p[0] != '[')
            continue; /* whatever it is: it belongs to the section above it */
        if (ini_line_parse(r.line, r.room, &r.is, NULL) == 0 && begins(&r.is, kind, name))
            continue;
        found = r.line_no;
        *line = shown;
    }
    free(r.room);
    return found;
}

/* ---- the text put together anew ---- */

struct writer {
    const struct section_keys *want;
    struct buf text;
    size_t end; /* of text: behind the section's last line; 0: there is no such section */
    bool inside, marked, there[SECTION_KEYS_MAX];
};

static void add_key(struct buf *text, const struct section_keys *want, size_t i, struct str comment)
{
    buf_printf(text, "%-8s = %s%s%.*s\n", want->keys[i].key, want->keys[i].value, comment.n > 0 ? " " : "",
               STR_ARG(comment));
}

static void add_mark(struct writer *w)
{
    buf_printf(&w->text, "%s%s\n", w->want->mark, w->want->note);
    w->marked = true;
}

/* SECTION_KEYS_MAX when it is none of ours. */
static size_t find_key(const struct writer *w, const struct ini_line *line)
{
    size_t i = 0;

    if (!w->inside || line->type != INI_PAIR || line->arg.p)
        return SECTION_KEYS_MAX;
    while (i < SECTION_KEYS_MAX && !(w->want->keys[i].key && str_eq(line->key, w->want->keys[i].key)))
        i++;
    return i;
}

static void write_line(struct writer *w, const struct reader *r)
{
    const char *mark = w->want->mark;
    size_t key;

    if (r->is.type == INI_SECTION)
        w->inside = begins(&r->is, w->want->kind, w->want->name);
    key = find_key(w, &r->is);
    if (key < SECTION_KEYS_MAX) {
        add_key(&w->text, w->want, key, r->is.comment);
        w->there[key] = true;
    } else if (r->line.n >= strlen(mark) && memcmp(r->line.p, mark, strlen(mark)) == 0) {
        add_mark(w);
    } else {
        buf_add(&w->text, r->line.p, r->line.n);
        buf_add_text(&w->text, "\n");
    }
    if (w->inside && r->is.type != INI_NOTHING)
        w->end = w->text.len;
}

/* What was not there yet: behind the section's last line, before comments that may be about the next one. */
static void write_rest(struct writer *w, struct buf *out)
{
    if (w->end == 0) {
        if (w->text.len > 0)
            buf_add_text(&w->text, "\n");
        if (!w->marked)
            add_mark(w);
        buf_printf(&w->text, "[%s %s]\n", w->want->kind, w->want->name);
        w->end = w->text.len;
    }
    buf_add(out, buf_bytes(&w->text), w->end);
    for (size_t i = 0; i < SECTION_KEYS_MAX && w->want->keys[i].key; i++)
        if (!w->there[i])
            add_key(out, w->want, i, STR(""));
    buf_add(out, buf_bytes(&w->text) + w->end, w->text.len - w->end);
}

int section_write(const struct section_keys *want, struct str text, struct buf *out, struct err *e)
{
    struct writer w = { .want = want };
    struct err why = { 0 };
    struct reader r;
    int rc = 0;

    reader_init(&r, text);
    while (rc == 0 && take_line(&r)) {
        rc = ini_line_parse(r.line, r.room, &r.is, &why);
        if (rc == 0)
            write_line(&w, &r);
        else
            (void)err_set(e, ERR_INPUT, "line %zu %s", r.line_no, why.text);
    }
    if (rc == 0)
        write_rest(&w, out);
    free(r.room);
    buf_free(&w.text);
    return rc;
}
