/* shared/str.h - a piece of text that somebody else owns: a pointer and a length, no NUL behind it.
 *
 * Parsers hand these out. They live as long as the bytes they point into. */
#ifndef SHARED_STR_H
#define SHARED_STR_H
#include <stdbool.h>
#include <stddef.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
/* For "%.*s". */
#define STR_ARG(s)   (int)(s).n, (s).p

struct str str_of(const char *text); /* of a C string */
bool str_eq(struct str a, const char *text);
bool str_eq_nocase(struct str a, const char *text); /* ASCII letters only */
struct str str_trim(struct str s);                  /* without blanks and tabs at both ends */
/* Cuts the next word off *rest. Words end at blanks, tabs and the characters in `also`. False when none is left. */
bool str_next_word(struct str *rest, const char *also, struct str *word);
#endif
