/* The words of tests/conformance/http2.rows, and the bytes that they stand for. */
#ifndef TESTS_UNIT_RELAY_EDGE_H2_ROWS_H
#define TESTS_UNIT_RELAY_EDGE_H2_ROWS_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/buf.h"

enum { MAX_LETS = 16 };

static const char *lets[MAX_LETS + 1]; /* "@NAME PIECE...", and NULL behind the last */

/* Cuts the next word off: "…" and {…} are one each. NULL: there is none. */
static char *next_word(char **rest)
{
    char *at = *rest + strspn(*rest, " "), *word = at;

    if (*at == 0)
        return NULL;
    if (*at == '"' || *at == '{') {
        at = strchr(at + 1, *at == '"' ? '"' : '}');
        assert_non_null(at);
        at++;
    } else {
        at += strcspn(at, " ");
    }
    *rest = at;
    if (*at == ' ') {
        *at = 0;
        *rest = at + 1;
    }
    return word;
}

static int hex(const char *two)
{
    unsigned value;
    char end;

    if (sscanf(two, "%2x%c", &value, &end) < 1)
        fail_msg("%s is not hexadecimal", two);
    return (int)value;
}

static void add_hex(struct buf *out, const char *digits, size_t times)
{
    for (; times > 0; times--)
        for (const char *p = digits; *p; p += 2) {
            char byte = (char)hex((const char[]){ p[0], p[1], 0 });

            buf_add(out, &byte, 1);
        }
}

/* RFC 7541 5.1 with a prefix of seven bits, and 5.2 without Huffman. */
static void add_string(struct buf *out, const char *text, size_t n)
{
    size_t rest = n - 127;
    unsigned char first = n < 127 ? (unsigned char)n : 127;

    buf_add(out, &first, 1);
    if (n >= 127)
        for (;; rest >>= 7) {
            unsigned char byte = (unsigned char)(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0);

            buf_add(out, &byte, 1);
            if (rest <= 0x7f)
                break;
        }
    buf_add(out, text, n);
}

/* {name=value}: the first = after the first byte ends the name, unless there is none. */
static void add_field(struct buf *out, const char *word)
{
    struct buf part[2] = { { 0 }, { 0 } };
    int at = 0;

    for (const char *p = word + 1; *p != '}' || p[1]; p++) {
        char byte = *p;

        if (byte == '=' && at == 0) {
            at = 1;
            continue;
        }
        if (byte == '%') {
            byte = (char)hex((const char[]){ p[1], p[2], 0 });
            p += 2;
        }
        buf_add(&part[at], &byte, 1);
    }
    buf_add(out, "", 1);
    add_string(out, buf_bytes(&part[0]), part[0].len);
    add_string(out, buf_bytes(&part[1]), part[1].len);
    buf_free(&part[0]);
    buf_free(&part[1]);
}

static void add_pieces(struct buf *out, const char *text);

static void add_let(struct buf *out, const char *name)
{
    for (const char *const *let = lets; *let; let++) {
        size_t n = strcspn(*let, " ");

        if (strlen(name) == n && memcmp(*let, name, n) == 0) {
            add_pieces(out, *let + n);
            return;
        }
    }
    fail_msg("%s is not known", name);
}

static void add_piece(struct buf *out, const char *word)
{
    const char *star = strchr(word, '*');

    if (word[0] == '"')
        buf_add(out, word + 1, strlen(word) - 2);
    else if (word[0] == '{')
        add_field(out, word);
    else if (word[0] == '@')
        add_let(out, word);
    else if (star)
        add_hex(out, star + 1, (size_t)atol(word));
    else
        add_hex(out, word, 1);
}

static void add_pieces(struct buf *out, const char *text)
{
    char *copy = strdup(text), *rest = copy, *word;

    while ((word = next_word(&rest)))
        add_piece(out, word);
    free(copy);
}
#endif
