/* shared/opt_internal.h - what the files of the option table share: sections as they are stored, one value at a time. */
#ifndef SHARED_OPT_INTERNAL_H
#define SHARED_OPT_INTERNAL_H
#include "shared/holders.h"
#include "shared/opt.h"

struct section {
    size_t number; /* its place in the configuration */
    const struct opt_kind *kind;
    const char *name;   /* NULL: [kind] */
    const char *title;  /* "relay", "domain a.com": as errors and files name it */
    const char *origin; /* "relay.ini:3"; NULL: in no file, made of defaults */
    const struct opt *rows;
    size_t rows_n;
    const char **origins; /* one per row; NULL: not given */
    void *values;         /* the kind's struct */
    bool refused; /* read only to find what else is wrong: its name is wrong, or there is one like it */
};

/* A file that was read because of an include. */
struct included {
    const struct section *section; /* whose key named it */
    const char *file;
};

/* The sections of one kind. */
struct section_list {
    struct section **list; /* as met */
    size_t n;
    struct holders named; /* by name, "" for [kind]; of several with one name the first */
};

struct opt_conf {
    const struct opt_schema *schema;
    const char *file;  /* as given, printable */
    const char **read; /* the whole path of each file that was read, the one given first */
    size_t read_n;
    bool touches_files;
    struct arena arena;
    struct section **sections; /* as met */
    size_t sections_n;
    struct section_list *of_kind; /* one per kind of the schema */
    struct included *included;
    size_t included_n;
};

/* Where a value stands, for what depends on it. */
struct opt_place {
    struct arena *arena;
    const char *folder; /* where relative paths start: absolute */
    const char *origin; /* "relay.ini:2" */
    bool touch_files;   /* false: nothing on disk is looked at */
};

/* ---- the schema (opt.c) ---- */

const struct opt_kind *opt_kind_find(const struct opt_schema *schema, struct str kind);
/* The rows of a kind, which stand together. */
const struct opt *opt_rows(const struct opt_schema *schema, const char *kind, size_t *n);
const struct opt *opt_row_find(const struct opt *rows, size_t n, struct str key);
/* Adds "did you mean X?", or the list of what is known when nothing is near: names[i] are the names. */
void opt_suggest(struct buf *out, struct str word, const char *const *names, size_t n);

/* ---- sections (opt.c) ---- */

struct opt_conf *opt_conf_new(const struct opt_schema *schema); /* without any section */
struct section *opt_section_find(const struct opt_conf *conf, const char *kind, struct str name);
struct section *opt_section_add(struct opt_conf *conf, const struct opt_kind *kind, struct str name,
                                const char *origin);

/* ---- values (opt_value.c) ---- */

/* The default as text: of the row, or made from this machine into `made`. NULL when there is none. */
const char *opt_default(const struct opt *o, char made[static 256]);
/* Parses text into the row's field. `arg` is the NAME of an OPT_PAIRS row. */
must_check int opt_value_set(const struct opt *o, void *values, const struct opt_place *place, struct str arg,
                             struct str text, struct err *e);
/* The field of a row that is not given and has no default. */
void opt_value_clear(const struct opt *o, void *values);
/* False for a row without default that was not given: there is no text that would mean the same. */
bool opt_value_present(const struct section *s, size_t row);
/* Adds the text as errors and /v1/config show it: a URL that may be a password as far as its host. */
void opt_value_disguise(struct buf *out, const struct opt *o, struct str text);
#endif
