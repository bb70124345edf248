/* shared/utf8.h - which bytes are well-formed text. */
#ifndef SHARED_UTF8_H
#define SHARED_UTF8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the well-formed UTF-8 character at p (1 to 4), or 0 when there is none within n bytes. */
size_t utf8_char(const char *p, size_t n);
/* The same, and which character it is. */
size_t utf8_decode(const char *p, size_t n, uint32_t *code);
/* The same, and 0 for control characters, C1 included: what may be printed on a line as it is. */
size_t utf8_printable(const char *p, size_t n);
#endif
