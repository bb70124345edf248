/* shared/http/h1_parts.h - what the files of the HTTP/1.1 parser share; nobody else includes it.
 *
 * h1_head.c knows the grammar of a head, h1_target.c and h1_fields.c what its lines mean. */
#ifndef SHARED_HTTP_H1_PARTS_H
#define SHARED_HTTP_H1_PARTS_H
#include "shared/http/h1.h"

enum { BYTE_TOKEN = 1, BYTE_TARGET = 2, BYTE_VALUE = 4, BYTE_HOST = 8 };

extern const unsigned char h1_byte_kinds[256];

static inline bool byte_is(char c, int kind)
{
    return (h1_byte_kinds[(unsigned char)c] & kind) != 0;
}

static inline bool byte_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char h1_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool h1_same_nocase(struct str a, struct str b);
/* Returns -1, so that `return h1_refuse(…)` ends a step. A response is always refused with 502. */
int h1_refuse(struct h1_head *h, int status, const char *why);
/* Each is called when a part is complete, and returns 0, or -1 with a refusal noted. */
int h1_request_line_done(struct h1_head *h);
int h1_host_field(struct h1_head *h, struct str value);
int h1_field_done(struct h1_head *h, const struct h1_field *field);
int h1_head_done(struct h1_head *h);
#endif
