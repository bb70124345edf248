/* shared/opt_source.h - one ini file, or one text, while it is read into a configuration: its lines, sections and keys.
 *
 * opt_load.c finds the files and calls opt_source_read for each; what is wrong in one is added to the loader's errors. */
#ifndef SHARED_OPT_SOURCE_H
#define SHARED_OPT_SOURCE_H
#include "shared/ini_line.h"
#include "shared/opt_internal.h"

#include <sys/types.h>

struct source;

struct seen_file {
    dev_t dev;
    ino_t ino;
    const char *origin; /* of the include that named it; NULL: the first file */
};

struct loader {
    struct opt_conf *conf;
    struct opt_errors *errors;
    bool touch_files;
    /* Called for each include key, in the midst of its file: the value is in the section's struct. */
    void (*include)(const struct source *s, const struct section *section, const struct opt *row);
    struct seen_file *seen;
    size_t seen_n;
};

/* One file while it is read. An included one points to the one that includes it. */
struct source {
    const struct source *parent;
    struct loader *loader;
    const char *name;   /* as reached from the path given; printable */
    char *prefix;       /* what stands before the last / of its path, with it: "" or "relay.d/" */
    const char *folder; /* the same, absolute */
    dev_t dev;
    ino_t ino;
    struct str rest; /* what is not read yet */
    size_t line_no, bad_lines;
    bool crlf_told;
    char *room;              /* for the values of quoted lines */
    struct ini_line line;    /* the one that inih is working on */
    struct section *section; /* NULL: before the first one, or in one of unknown kind */
    bool in_unknown;         /* the keys of such a one are left alone */
};

/* Reads s->rest. Name, prefix and folder have been set. */
void opt_source_read(struct source *s);
/* "relay.ini:7": the line being read, in the configuration's memory. Before the first line the file alone. */
const char *opt_source_origin(const struct source *s);
/* Adds an error, why and what in one, for the value of the line being read. */
void opt_source_refuse(const struct source *s, const struct section *section, const char *why,
                       const char *what);
/* A heap copy that can be shown, see value_show. */
char *opt_source_shown(struct str text, size_t max_chars);
#endif
