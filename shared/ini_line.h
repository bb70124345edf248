/* shared/ini_line.h - one line of an ini file: what it is.
 *
 *   [kind]                     a section, or [kind name]: nothing but one blank between the two, none at the brackets
 *   key = value                a value up to the end of the line, without blanks around it; may be empty
 *   key argument = value       the same with a word in between, for keys that are given once per argument
 *   key = "value"              what a value must be written as when it begins with ; or # or " or a blank, ends with
 *                              a blank, or has ; or # after a blank; inside stand \" for " and \\ for \
 *   ; comment                  and # comment: at the start of a line, or after a blank
 *
 * Pure. A line that is anything else is refused with a remedy; an indented line too, unless it is a comment. */
#ifndef SHARED_INI_LINE_H
#define SHARED_INI_LINE_H
#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>

enum {
    INI_LINE_MAX = 65536,
    INI_VALUE_MAX = 16384, /* so that a value which needs quotes still fits into a line */
    INI_NAME_MAX = 255,    /* names of sections, and arguments */
    INI_KEY_MAX = 40,
};

enum ini_line_type { INI_NOTHING, INI_SECTION, INI_PAIR };

struct ini_line {
    enum ini_line_type type;
    struct str kind, name;      /* INI_SECTION; name.p is NULL when there is none */
    struct str key, arg, value; /* INI_PAIR; arg.p is NULL when there is none; key is [a-z0-9_]+ */
    struct str comment; /* INI_PAIR: behind the value, from its ; or # on; n is 0 when there is none */
    bool bad_bytes;     /* set with an error: this line is no text at all */
};

/* Reads one line, given without its newline. What comes out points into line, or into `room`, which has line.n bytes
 * and takes the value when quotes are undone. */
must_check int ini_line_parse(struct str line, char *room, struct ini_line *out, struct err *e);
/* True when a value must be written in quotes to be read back as it is, with a comment behind it. */
bool ini_line_needs_quotes(struct str value);
#endif
