/* shared/ctl/section.h - one section of an ini text in which a person may have written, too.
 *
 * Pure: text in, text out. Lines are read as the daemons read them (shared/ini_line.h). */
#ifndef SHARED_CTL_SECTION_H
#define SHARED_CTL_SECTION_H
#include "shared/buf.h"
#include "shared/str.h"

enum { SECTION_KEYS_MAX = 8 };

struct section_keys {
    const char *kind, *name;
    const char *mark,
        *note; /* the comment above it: how it begins, by which it is known again, and its rest */
    struct {
        const char *key, *value;
    } keys[SECTION_KEYS_MAX]; /* up to the first without a key */
};

/* Adds the text to out, with these keys in its section of that name, and the comment as it is to be. All else stays: other
 * keys, comments (those behind a value, too), other sections. A section that is not there comes last. -1 with the first line
 * that is no ini line, and why. */
must_check int section_write(const struct section_keys *want, struct str text, struct buf *out,
                             struct err *e);
/* The first line that begins another section than this one, and its number; 0 when there is none. */
size_t section_find_other(struct str text, const char *kind, const char *name, struct str *line);
#endif
