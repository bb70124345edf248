/* The body behind a head, one state for each kind of byte:
 *
 *   FIRST -> SIZE -+--- PADDING ---------------------------> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> FIRST
 *                  '-> NAME_FIRST -> NAME -> VALUE_FIRST .. -'  \-> TRAILERS -> LINE .. -> LAST_LF -> END
 *   LENGTH -> END     UNTIL_CLOSE -> END                           any -> BAD
 *
 * Chunk lines are read byte by byte: they are short, and each byte may be the wrong one. Only data runs. */
#include "shared/http/h1.h"

#include <assert.h>
#include <string.h>

#include "shared/http/h1_parts.h"

enum state {
    S_FIRST,
    S_SIZE,
    S_PADDING,
    S_NAME_FIRST,
    S_NAME,
    S_VALUE_FIRST,
    S_VALUE,
    S_QUOTED,
    S_ESCAPED,
    S_QUOTE_END,
    S_SIZE_LF,
    S_DATA,
    S_DATA_CR,
    S_DATA_LF,
    S_TRAILERS,
    S_LINE,
    S_TEXT,
    S_TEXT_LF,
    S_LINE_LF,
    S_LAST_LF,
    S_LENGTH,
    S_UNTIL_CLOSE,
    S_END,
    S_BAD,
};

_Static_assert(sizeof(struct h1_body) <= 64, "every open stream carries one");

void h1_body_init(struct h1_body *b, enum h1_framing framing, int64_t length)
{
    static const enum state starts[] = {
        [H1_NO_BODY] = S_END, [H1_LENGTH] = S_LENGTH, [H1_CHUNKED] = S_FIRST, [H1_UNTIL_CLOSE] = S_UNTIL_CLOSE
    };

    assert(framing != H1_LENGTH || length >= 0);
    *b = (struct h1_body){ .state = (uint8_t)starts[framing] };
    if (framing == H1_LENGTH)
        b->left = (uint64_t)length;
    if (framing == H1_LENGTH && length == 0)
        b->state = S_END;
}

static enum state bad(struct h1_body *b, const char *why)
{
    b->why = why;
    return S_BAD;
}

static int hex_digit(char c)
{
    if (byte_is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum state size_end(struct h1_body *b, char c)
{
    if (c == '\r')
        return S_SIZE_LF;
    if (b->padded && (c == ' ' || c == '\t'))
        return S_PADDING;
    return c == ';' ? S_NAME_FIRST : bad(b, c == '\n' ? "bare LF" : "bytes behind the chunk size");
}

/* At most 16 digits, so that the shift loses none; sizes beyond 63 bits are refused for whoever counts
 * signed. */
static enum state size_byte(struct h1_body *b, char c)
{
    int digit = hex_digit(c);

    if (digit < 0) {
        if (b->state == S_FIRST)
            return bad(b, "chunk size does not begin with a digit");
        return size_end(b, c);
    }
    if (b->state == S_PADDING)
        return bad(b, "bytes behind the chunk size");
    if (b->state == S_FIRST)
        b->left = b->digits = 0;
    if (b->digits++ == 16 || b->left >> 59)
        return bad(b, "chunk size is too large");
    b->left = b->left << 4 | (uint64_t)digit;
    return S_SIZE;
}

/* Blanks around ';' and '=' are refused like all others: RFC 9112 7.1.1 calls them bad, and nobody sends them. What is
 * padded has them here too, but around '='. */
static enum state extension_end(struct h1_body *b, char c)
{
    if (c == '\r')
        return S_SIZE_LF;
    return c == ';' ? S_NAME_FIRST : bad(b, c == '\n' ? "bare LF" : "malformed chunk extension");
}

static enum state quoted_byte(struct h1_body *b, char c)
{
    if (!byte_is(c, BYTE_VALUE))
        return bad(b, "control byte in a chunk extension");
    if (b->state == S_QUOTED && c == '"')
        return S_QUOTE_END;
    return b->state == S_QUOTED && c == '\\' ? S_ESCAPED : S_QUOTED;
}

static enum state extension_byte(struct h1_body *b, char c)
{
    bool token = byte_is(c, BYTE_TOKEN);

    if (b->padded && (c == ' ' || c == '\t') && b->state != S_QUOTED && b->state != S_ESCAPED)
        return b->state == S_NAME || b->state == S_VALUE ? S_QUOTE_END : (enum state)b->state;
    switch ((enum state)b->state) {
    case S_NAME_FIRST: return token ? S_NAME : bad(b, "chunk extension without a name");
    case S_NAME: return token ? S_NAME : c == '=' ? S_VALUE_FIRST : extension_end(b, c);
    case S_VALUE_FIRST:
        if (c == '"')
            return S_QUOTED;
        return token ? S_VALUE : bad(b, "chunk extension without a value");
    case S_VALUE: return token ? S_VALUE : extension_end(b, c);
    case S_QUOTED:
    case S_ESCAPED: return quoted_byte(b, c);
    default: return extension_end(b, c);
    }
}

static enum state size_line_done(struct h1_body *b, char c)
{
    if (c != '\n')
        return bad(b, "bare CR");
    b->line_bytes = 0;
    return b->left > 0 ? S_DATA : S_TRAILERS;
}

static enum state chunk_byte(struct h1_body *b, char c)
{
    if (b->state <= S_SIZE_LF && b->line_bytes++ == H1_MAX_CHUNK_LINE)
        return bad(b, "chunk line is too long");
    switch ((enum state)b->state) {
    case S_FIRST:
    case S_SIZE:
    case S_PADDING: return size_byte(b, c);
    case S_SIZE_LF: return size_line_done(b, c);
    case S_DATA_CR: return c == '\r' ? S_DATA_LF : bad(b, "chunk is longer than its size");
    case S_DATA_LF: return c == '\n' ? S_FIRST : bad(b, "bare CR");
    case S_TRAILERS: return c == '\r' ? S_LAST_LF : S_LINE;
    case S_LAST_LF: return c == '\n' ? S_END : bad(b, "bare CR");
    default: return extension_byte(b, c);
    }
}

/* Finds the lines; their grammar is left to h1_trailers_parse. */
static enum state trailer_byte(struct h1_body *b, char c)
{
    if (b->trailer_bytes++ == H1_MAX_TRAILERS)
        return bad(b, "trailer section is too long");
    switch ((enum state)b->state) {
    case S_LINE:
    case S_TEXT:
        if (c == '\n')
            return bad(b, "bare LF");
        return c != '\r' ? S_TEXT : b->state == S_LINE ? S_LINE_LF : S_TEXT_LF;
    case S_TEXT_LF: return c == '\n' ? S_LINE : bad(b, "bare CR");
    default: return c == '\n' ? S_END : bad(b, "bare CR");
    }
}

/* What comes before the wrong byte is handed out first, so that the pieces do not depend on how the input
 * came. */
static enum h1_body_event feed_trailers(struct h1_body *b, const char *in, size_t n, size_t *used,
                                        struct str *data)
{
    size_t start = *used;

    while (*used < n && b->state >= S_LINE && b->state <= S_LINE_LF) {
        b->state = (uint8_t)trailer_byte(b, in[*used]);
        *used += b->state != S_BAD;
    }
    *data = (struct str){ in + start, *used - start };
    return data->n > 0 ? H1_BODY_TRAILER : b->state == S_BAD ? H1_BODY_BAD : H1_BODY_MORE;
}

static enum h1_body_event feed_data(struct h1_body *b, const char *in, size_t n, size_t *used,
                                    struct str *data)
{
    size_t room = n - *used;
    size_t take = b->state == S_UNTIL_CLOSE || room < b->left ? room : (size_t)b->left;

    *data = (struct str){ in + *used, take };
    *used += take;
    if (b->state == S_UNTIL_CLOSE)
        return H1_BODY_DATA;
    b->left -= take;
    if (b->left == 0)
        b->state = b->state == S_LENGTH ? S_END : S_DATA_CR;
    return H1_BODY_DATA;
}

enum h1_body_event h1_body_feed(struct h1_body *b, const char *in, size_t n, size_t *used, struct str *data)
{
    *used = 0;
    *data = (struct str){ in, 0 };
    while (*used < n && b->state < S_END) {
        if (b->state == S_DATA || b->state == S_LENGTH || b->state == S_UNTIL_CLOSE)
            return feed_data(b, in, n, used, data);
        if (b->state >= S_LINE && b->state <= S_LINE_LF)
            return feed_trailers(b, in, n, used, data);
        b->state = (uint8_t)chunk_byte(b, in[*used]);
        *used += b->state != S_BAD && b->state != S_LINE;
    }
    return b->state == S_END ? H1_BODY_END : b->state == S_BAD ? H1_BODY_BAD : H1_BODY_MORE;
}

enum h1_body_event h1_body_eof(struct h1_body *b)
{
    if (b->state == S_UNTIL_CLOSE)
        b->state = S_END;
    else if (b->state < S_END)
        b->state = (uint8_t)bad(b, "body ends early");
    return b->state == S_END ? H1_BODY_END : H1_BODY_BAD;
}
