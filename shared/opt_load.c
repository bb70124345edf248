/* Finds the files of a configuration: the one given, what it includes, and in the end the defaults of what they do
 * not say. */
#include "shared/file.h"
#include "shared/mem.h"
#include "shared/opt_source.h"
#include "shared/value.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 16, FILE_MAX_BYTES = 4 << 20 };

/* ---- files ---- */

/* Where relative paths start that stand in the file at path. What comes through a descriptor has no folder of its
 * own: the current one then, as for a path without any. */
static char *prefix_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash || strncmp(path, "/dev/", 5) == 0)
        return mem_copy("");
    return mem_copy_n(path, (size_t)(slash - path) + 1);
}

static const char *folder_of(struct arena *arena, const char *prefix)
{
    struct str rest = str_of(prefix);
    char cwd[PATH_MAX] = "";
    const char *folder;
    char *whole;

    while (rest.n > 1 && rest.p[0] == '.' && rest.p[1] == '/')
        rest = (struct str){ rest.p + 2, rest.n - 2 };
    if (rest.n > 0 && rest.p[rest.n - 1] == '/')
        rest.n--;
    if (prefix[0] == '/')
        return arena_copy_str(arena, rest);
    /* Without a current folder relative paths cannot be right, and the programs that use them will say so. */
    if (!getcwd(cwd, sizeof cwd) || strcmp(cwd, "/") == 0)
        cwd[0] = 0;
    whole = mem_format("%s%s%.*s", cwd, rest.n > 0 ? "/" : "", STR_ARG(rest));
    folder = arena_copy(arena, whole);
    free(whole);
    return folder;
}

static void source_init(struct source *s, struct loader *l, const struct source *parent, const char *path)
{
    char *name = opt_source_shown(str_of(path), 0);

    *s = (struct source){ .parent = parent, .loader = l, .prefix = prefix_of(path) };
    s->name = arena_copy(&l->conf->arena, name);
    s->folder = folder_of(&l->conf->arena, s->prefix);
    free(name);
}

static void print_chain(struct buf *out, const struct source *s)
{
    if (s->parent)
        print_chain(out, s->parent);
    buf_printf(out, "%s -> ", s->name);
}

/* Each file is read once: otherwise every section in it would be reported as repeated, or we would never end. */
static int note_seen(struct source *s, const char *path, struct buf *why)
{
    struct loader *l = s->loader;
    struct stat st;
    size_t depth = 0;

    for (const struct source *up = s->parent; up; up = up->parent)
        depth++;
    if (stat(path, &st) != 0)
        return 0; /* reading it will tell why */
    for (size_t i = 0; i < l->seen_n; i++) {
        if (l->seen[i].dev != st.st_dev || l->seen[i].ino != st.st_ino)
            continue;
        for (const struct source *up = s->parent; up; up = up->parent) {
            if (up->dev != st.st_dev || up->ino != st.st_ino)
                continue;
            buf_add_text(why, "files include each other: ");
            print_chain(why, s->parent);
            buf_printf(why, "%s; take one of these includes out", s->name);
            return -1;
        }
        buf_printf(why, "%s was included before, at %s; include it once", s->name, l->seen[i].origin);
        return -1;
    }
    if (depth > DEPTH_MAX) {
        buf_printf(why, "includes are nested deeper than %d files: ", DEPTH_MAX);
        print_chain(why, s->parent);
        buf_printf(why, "%s; include it from one of the first", s->name);
        return -1;
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    l->seen = mem_grow(l->seen, (l->seen_n + 1) * sizeof *l->seen);
    l->seen[l->seen_n++] =
        (struct seen_file){ st.st_dev, st.st_ino, s->parent ? opt_source_origin(s->parent) : s->name };
    return 0;
}

/* For who asks the daemon and stands in another folder. */
static void note_read(const struct source *s, const char *path)
{
    struct opt_conf *conf = s->loader->conf;
    char *whole = path[0] == '/' ? mem_copy(path) : mem_format("%s/%s", s->folder, path + strlen(s->prefix));

    conf->read = mem_grow(conf->read, (conf->read_n + 1) * sizeof *conf->read);
    conf->read[conf->read_n++] = arena_copy(&conf->arena, whole);
    free(whole);
}

/* Reads one file and what it includes. -1 with why it cannot be read at all; what is wrong in it has been added. */
static int load_file(struct source *s, const char *path, struct buf *why)
{
    struct buf text = { 0 };
    struct err e = { 0 };
    int rc = note_seen(s, path, why);

    if (rc == 0) {
        rc = file_read(path, FILE_MAX_BYTES, &text, &e);
        if (rc != 0)
            value_show(why, str_of(e.text), 0);
        if (rc != 0 && s->parent)
            buf_add_text(why, "; make it a file that this user can read, or take it out of include");
    }
    if (rc == 0) {
        note_read(s, path);
        s->rest = (struct str){ buf_bytes(&text), text.len };
        opt_source_read(s);
    }
    buf_free(&text);
    return rc;
}

/* ---- includes ---- */

static void refuse_include(const struct source *s, const struct section *section, const struct opt *row,
                           const char *why)
{
    if (section->origins[row - section->rows])
        opt_source_refuse(s, section, why, "");
    else
        opt_errors_add(s->loader->errors, "%s: %s.%s = %s (the default): %s",
                       section->origin ? section->origin : s->name, section->title, row->key, row->def, why);
}

/* Somebody has taken it away since the pattern matched it. A link that leads nowhere is still there. */
static bool has_vanished(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 && errno == ENOENT;
}

static void include_file(const struct source *s, const struct section *section, const struct opt *row,
                         const char *path, bool is_match)
{
    struct opt_conf *conf = s->loader->conf;
    size_t seen_n = s->loader->seen_n, included_n = conf->included_n;
    struct buf why = { 0 };
    struct source inner;

    source_init(&inner, s->loader, s, path);
    conf->included = mem_grow(conf->included, (conf->included_n + 1) * sizeof *conf->included);
    conf->included[conf->included_n++] = (struct included){ section, inner.name };
    if (load_file(&inner, path, &why) != 0) {
        if (is_match && has_vanished(path)) {
            s->loader->seen_n = seen_n; /* the next file may get its inode */
            conf->included_n = included_n;
        } else {
            refuse_include(s, section, row, buf_text(&why));
        }
    }
    free(inner.prefix);
    buf_free(&why);
}

/* A folder that is not there holds nothing that could match; one that cannot be read might. */
static int on_glob_error(const char *path, int number)
{
    (void)path;
    return number != ENOENT && number != ENOTDIR;
}

static void include_pattern(const struct source *s, const struct section *section, const struct opt *row,
                            const char *pattern)
{
    glob_t found = { 0 };
    int rc = glob(pattern, 0, on_glob_error, &found);

    if (rc == GLOB_ABORTED)
        refuse_include(s, section, row, "a folder of this pattern cannot be read; let this user read it");
    else if (rc != 0 && rc != GLOB_NOMATCH)
        refuse_include(s, section, row, "out of memory while looking for files");
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
        include_file(s, section, row, found.gl_pathv[i], true);
    globfree(&found);
}

/* The folder of the including file is no pattern, whatever it is called. */
static void add_prefix(struct buf *path, const char *prefix, bool is_pattern)
{
    while (prefix[0] == '.' && prefix[1] == '/')
        prefix += 2;
    for (; *prefix; prefix++) {
        if (is_pattern && strchr("*?[]\\", *prefix))
            buf_add_text(path, "\\");
        buf_add(path, prefix, 1);
    }
}

static void include_words(const struct source *s, const struct section *section, const struct opt *row)
{
    const struct opt_words *words = (const void *)((const char *)section->values + row->offset);

    if (!s->loader->touch_files && words->n > 0) {
        refuse_include(s, section, row, "nothing can be included into a text; put the sections into it");
        return;
    }
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->words[i];
        bool is_pattern = strpbrk(word, "*?[") != NULL;
        struct buf path = { 0 };

        if (word[0] != '/')
            add_prefix(&path, s->prefix, is_pattern);
        while (word[0] == '.' && word[1] == '/')
            word += 2;
        buf_add_text(&path, word);
        if (is_pattern)
            include_pattern(s, section, row, buf_text(&path));
        else
            include_file(s, section, row, buf_text(&path), false);
        buf_free(&path);
    }
}

/* ---- what no file says ---- */

static void imply_sections(struct opt_conf *conf)
{
    for (size_t i = 0; i < conf->schema->kinds_n; i++) {
        const struct opt_kind *kind = &conf->schema->kinds[i];

        if (kind->naming == OPT_UNNAMED && !opt_section(conf, kind->kind, 0, NULL))
            opt_section_add(conf, kind, STR(""), NULL);
    }
}

static void fill_row(const struct source *top, struct section *s, size_t row)
{
    const struct opt *o = &s->rows[row];
    struct opt_place place = { &top->loader->conf->arena, top->folder, "default", top->loader->touch_files };
    const char *origin = s->origin ? s->origin : top->name;
    char made[256];
    const char *def = opt_default(o, made);
    struct err e = { 0 };

    if (s->origins[row])
        return;
    if (!def) {
        opt_value_clear(o, s->values);
        if ((o->flags & OPT_REQUIRED) && !s->refused)
            opt_errors_add(top->loader->errors, "%s: [%s] has no %s; write %s = %s", origin, s->title, o->key,
                           o->key, o->sample ? o->sample : "VALUE");
    } else if (opt_value_set(o, s->values, &place, STR(""), str_of(def), &e) != 0) {
        opt_errors_add(top->loader->errors, "%s: %s.%s = %s (the default): %s", origin, s->title, o->key, def,
                       e.text);
    }
}

/* Sections may be added while we walk: by the default of an include. */
static void include_defaults(struct source *top)
{
    struct opt_conf *conf = top->loader->conf;

    for (size_t i = 0; i < conf->sections_n; i++) {
        struct section *s = conf->sections[i];

        for (size_t row = 0; row < s->rows_n; row++) {
            if (s->rows[row].type != OPT_INCLUDE || s->origins[row])
                continue;
            fill_row(top, s, row);
            if (top->loader->touch_files && !s->refused)
                include_words(top, s, &s->rows[row]);
        }
    }
}

static struct opt_conf *finish(struct source *top)
{
    struct opt_errors *errors = top->loader->errors;
    struct opt_conf *conf = top->loader->conf;

    top->line_no = 0; /* defaults stand in no line */
    imply_sections(conf);
    include_defaults(top);
    for (size_t i = 0; i < conf->sections_n; i++)
        for (size_t row = 0; row < conf->sections[i]->rows_n; row++)
            fill_row(top, conf->sections[i], row);
    if (errors->n == 0 && conf->schema->check)
        conf->schema->check(conf, errors);
    free(top->prefix);
    free(top->loader->seen);
    if (errors->n == 0)
        return conf;
    opt_conf_free(conf);
    return NULL;
}

/* ---- the two ways in ---- */

static void begin(struct loader *l, struct source *top, const struct opt_schema *schema, const char *name)
{
    l->conf = opt_conf_new(schema);
    l->conf->touches_files = l->touch_files;
    source_init(top, l, NULL, name);
    l->conf->file = top->name;
}

struct opt_conf *opt_load(const struct opt_schema *schema, const char *path, struct opt_errors *errors)
{
    struct loader l = { .errors = errors, .touch_files = true, .include = include_words };
    struct buf why = { 0 };
    struct source top;

    begin(&l, &top, schema, path);
    if (load_file(&top, path, &why) == 0) {
        buf_free(&why);
        return finish(&top);
    }
    opt_errors_add(errors, "%s; name the file with -c FILE (a sample is in share/doc/tunnel/examples)",
                   buf_text(&why));
    buf_free(&why);
    free(top.prefix);
    free(l.seen);
    opt_conf_free(l.conf);
    return NULL;
}

struct opt_conf *opt_load_text(const struct opt_schema *schema, const char *name, const char *text, size_t n,
                               struct opt_errors *errors)
{
    struct loader l = { .errors = errors, .include = include_words };
    struct source top;

    begin(&l, &top, schema, name);
    top.rest = (struct str){ text, n };
    opt_source_read(&top);
    return finish(&top);
}
