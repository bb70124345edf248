/* The grammar of a head, one state for each part of it:
 *
 *   START -> METHOD -> TARGET -> VERSION -> LINE_LF -.
 *   ANSWER -> STATUS -> REASON -> LINE_LF -----------+-> FIELD -> NAME -> BLANK -> VALUE -> VALUE_LF -> FIELD
 *   trailers ----------------------------------------'      \-> END_LF -> DONE
 *
 * Every state may end in REFUSED. A verdict depends on the bytes up to the one that decides it and never on
 * how the input was cut, so a head that comes byte by byte is read just like one that comes whole. */
#include "shared/http/h1.h"

#include <assert.h>
#include <string.h>

#include "shared/http/h1_parts.h"

enum state {
    S_START,
    S_START_LF,
    S_METHOD,
    S_TARGET,
    S_VERSION,
    S_ANSWER,
    S_STATUS,
    S_REASON,
    S_LINE_LF,
    S_FIELD,
    S_NAME,
    S_BLANK,
    S_VALUE,
    S_VALUE_LF,
    S_END_LF,
    S_DONE,
    S_REFUSED,
};

enum { ANY = BYTE_TARGET | BYTE_VALUE, TOKEN = BYTE_TOKEN | ANY };

/* Targets exclude '#', which only begins a fragment, and all bytes beyond ASCII. Values allow those, as
 * servers in the field do. Names of hosts are what the DNS can carry: nothing else could be routed. */
const unsigned char h1_byte_kinds[256] = {
    ['\t'] = BYTE_VALUE,
    [' '] = BYTE_VALUE,
    ['!'] = TOKEN,
    ['"'] = ANY,
    ['#'] = BYTE_TOKEN | BYTE_VALUE,
    ['$' ... '\''] = TOKEN,
    ['(' ... ')'] = ANY,
    ['*' ... '+'] = TOKEN,
    [','] = ANY,
    ['-' ... '.'] = TOKEN | BYTE_HOST,
    ['/'] = ANY,
    ['0' ... '9'] = TOKEN | BYTE_HOST,
    [':' ... '@'] = ANY,
    ['A' ... 'Z'] = TOKEN | BYTE_HOST,
    ['[' ... ']'] = ANY,
    ['^'] = TOKEN,
    ['_'] = TOKEN | BYTE_HOST,
    ['`'] = TOKEN,
    ['a' ... 'z'] = TOKEN | BYTE_HOST,
    ['{'] = ANY,
    ['|'] = TOKEN,
    ['}'] = ANY,
    ['~'] = TOKEN,
    [0x80 ... 0xff] = BYTE_VALUE,
};

static void head_init(struct h1_head *h, enum h1_kind kind, enum state state)
{
    memset(h, 0, offsetof(struct h1_head, fields));
    h->kind = kind;
    h->content_length = -1;
    h->state = (uint8_t)state;
}

void h1_request_init(struct h1_head *h)
{
    head_init(h, H1_REQUEST, S_START);
}

void h1_response_init(struct h1_head *h, struct str request_method)
{
    head_init(h, H1_RESPONSE, S_ANSWER);
    h->to_head = str_eq(request_method, "HEAD");
    h->to_connect = str_eq(request_method, "CONNECT");
}

int h1_refuse(struct h1_head *h, int status, const char *why)
{
    h->status = h->kind == H1_RESPONSE ? 502 : status;
    h->why = why;
    h->state = S_REFUSED;
    return -1;
}

static int refuse_byte(struct h1_head *h, char c, const char *why)
{
    return h1_refuse(h, 400, c == '\n' ? "bare LF" : why);
}

/* Steps find at least one byte at h->at. They return 1 to go on, 0 when they used all, -1 when they
 * refused. */
static int go(struct h1_head *h, enum state next)
{
    h->state = (uint8_t)next;
    h->mark = h->at;
    return 1;
}

static int go_behind_lf(struct h1_head *h, enum state next)
{
    if (h->bytes[h->at] != '\n')
        return h1_refuse(h, 400, "bare CR");
    h->at++;
    return go(h, next);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Moves h->at to the first byte that is not of this kind. False when that byte has not come yet. */
static inline bool skip(struct h1_head *h, uint32_t end, int kind)
{
    const char *p = h->bytes + h->at, *stop = h->bytes + end;

    while (p < stop && byte_is(*p, kind))
        p++;
    h->at = (uint32_t)(p - h->bytes);
    return p < stop;
}

static struct h1_span since_mark(const struct h1_head *h)
{
    return (struct h1_span){ h->mark, h->at - h->mark };
}

/* RFC 9112 2.2: old clients send an empty line behind a body. */
static int step_start(struct h1_head *h)
{
    if (h->bytes[h->at] != '\r')
        return go(h, S_METHOD);
    if (h->empty_lines++ == H1_MAX_EMPTY_LINES)
        return h1_refuse(h, 400, "too many empty lines before the request");
    h->at++;
    return go(h, S_START_LF);
}

static int step_method(struct h1_head *h, uint32_t end)
{
    uint32_t longest = h->mark + H1_MAX_METHOD + 1;

    if (!skip(h, end < longest ? end : longest, BYTE_TOKEN))
        return h->at < longest ? 0 : h1_refuse(h, 501, "method too long");
    if (h->bytes[h->at] != ' ' || h->at == h->mark)
        return refuse_byte(h, h->bytes[h->at], "method is not a token");
    h->method = since_mark(h);
    h->at++;
    return go(h, S_TARGET);
}

static const char *target_trouble(char c)
{
    if (c == '\r')
        return "no version in the request line";
    if (c == '#')
        return "fragment in the target";
    return c == ' ' ? "more than one blank behind the method" : "forbidden byte in the target";
}

static int step_target(struct h1_head *h, uint32_t end, const struct h1_limits *limits)
{
    uint32_t room = end - h->mark;

    if (!skip(h, room > limits->max_uri ? h->mark + limits->max_uri + 1 : end, BYTE_TARGET))
        return h->at - h->mark <= limits->max_uri ? 0 : h1_refuse(h, 414, "target longer than max_uri");
    if (h->bytes[h->at] != ' ' || h->at == h->mark)
        return refuse_byte(h, h->bytes[h->at], target_trouble(h->bytes[h->at]));
    h->target = since_mark(h);
    h->at++;
    return go(h, S_VERSION);
}

/* Reads HTTP/d.d, byte by byte. As skip: false when all that came is used, or when it is refused. */
static bool skip_version(struct h1_head *h, uint32_t end)
{
    static const char form[] = "HTTP/d.d";

    for (; h->at < end; h->at++) {
        uint32_t i = h->at - h->mark;
        char c = h->bytes[h->at];

        if (i == sizeof form - 1)
            return true;
        if (form[i] == 'd' ? !byte_is_digit(c) : c != form[i]) {
            refuse_byte(h, c, "malformed version");
            return false;
        }
    }
    return false;
}

static int version_done(struct h1_head *h)
{
    char major = h->bytes[h->mark + 5], minor = h->bytes[h->mark + 7];

    if (major != '1' || minor > '1')
        return h1_refuse(h, 505, "version is neither HTTP/1.0 nor HTTP/1.1");
    h->minor = minor - '0';
    h->at++;
    return 1;
}

static int step_version(struct h1_head *h, uint32_t end)
{
    if (!skip_version(h, end))
        return h->state == S_REFUSED ? -1 : 0;
    if (h->bytes[h->at] != '\r')
        return refuse_byte(h, h->bytes[h->at], "bytes behind the version");
    return version_done(h) < 0 ? -1 : go(h, S_LINE_LF);
}

static int step_answer(struct h1_head *h, uint32_t end)
{
    if (!skip_version(h, end))
        return h->state == S_REFUSED ? -1 : 0;
    if (h->bytes[h->at] != ' ')
        return refuse_byte(h, h->bytes[h->at], "bytes behind the version");
    return version_done(h) < 0 ? -1 : go(h, S_STATUS);
}

/* "200 " and "200" with the CR behind it both mean an empty reason: servers write either. */
static int step_status(struct h1_head *h)
{
    char c = h->bytes[h->at];
    uint32_t digits = h->at - h->mark;

    if (digits < 3) {
        if (!byte_is_digit(c) || (digits == 0 && (c < '1' || c > '5')))
            return refuse_byte(h, c, "status is not a number from 100 to 599");
        h->status = h->status * 10 + (c - '0');
        h->at++;
        return 1;
    }
    if (c != ' ' && c != '\r')
        return refuse_byte(h, c, "status is not a number from 100 to 599");
    h->at += c == ' ';
    return go(h, S_REASON);
}

static int step_reason(struct h1_head *h, uint32_t end)
{
    if (!skip(h, end, BYTE_VALUE))
        return 0;
    if (h->bytes[h->at] != '\r')
        return refuse_byte(h, h->bytes[h->at], "forbidden byte in the reason");
    h->reason = since_mark(h);
    h->at++;
    return go(h, S_LINE_LF);
}

static int step_line_lf(struct h1_head *h)
{
    if (go_behind_lf(h, S_FIELD) < 0)
        return -1;
    return h->kind == H1_REQUEST && h1_request_line_done(h) < 0 ? -1 : 1;
}

static int step_field(struct h1_head *h)
{
    char c = h->bytes[h->at];

    if (c == '\r') {
        h->at++;
        return go(h, S_END_LF);
    }
    if (is_blank(c))
        return h1_refuse(h, 400, "line begins with a blank (obsolete folding)");
    if (h->field_count == H1_MAX_FIELDS)
        return h1_refuse(h, 431, "too many fields");
    return go(h, S_NAME);
}

static int step_name(struct h1_head *h, uint32_t end)
{
    char c;

    if (!skip(h, end, BYTE_TOKEN))
        return 0;
    c = h->bytes[h->at];
    if (is_blank(c))
        return h1_refuse(h, 400, "space before the colon of a field");
    if (c != ':')
        return refuse_byte(h, c,
                           c == '\r' ? "line without a colon" : "forbidden byte in the name of a field");
    if (h->at == h->mark)
        return h1_refuse(h, 400, "field without a name");
    h->fields[h->field_count].name = since_mark(h);
    h->at++;
    return go(h, S_BLANK);
}

static int step_blank(struct h1_head *h, uint32_t end)
{
    while (h->at < end && is_blank(h->bytes[h->at]))
        h->at++;
    return h->at < end ? go(h, S_VALUE) : 0;
}

static int step_value(struct h1_head *h, uint32_t end)
{
    struct h1_span value;

    if (!skip(h, end, BYTE_VALUE))
        return 0;
    if (h->bytes[h->at] != '\r')
        return refuse_byte(h, h->bytes[h->at], "control byte in the value of a field");
    value = since_mark(h);
    while (value.n > 0 && is_blank(h->bytes[value.at + value.n - 1]))
        value.n--;
    h->fields[h->field_count].value = value;
    h->at++;
    return go(h, S_VALUE_LF);
}

static int step_value_lf(struct h1_head *h)
{
    if (go_behind_lf(h, S_FIELD) < 0)
        return -1;
    return h1_field_done(h, &h->fields[h->field_count++]) < 0 ? -1 : 1;
}

static int step_end_lf(struct h1_head *h)
{
    if (go_behind_lf(h, S_DONE) < 0)
        return -1;
    return h1_head_done(h) < 0 ? -1 : 1;
}

static int step(struct h1_head *h, uint32_t end, const struct h1_limits *limits)
{
    switch ((enum state)h->state) {
    case S_START: return step_start(h);
    case S_START_LF: return go_behind_lf(h, S_START);
    case S_METHOD: return step_method(h, end);
    case S_TARGET: return step_target(h, end, limits);
    case S_VERSION: return step_version(h, end);
    case S_ANSWER: return step_answer(h, end);
    case S_STATUS: return step_status(h);
    case S_REASON: return step_reason(h, end);
    case S_LINE_LF: return step_line_lf(h);
    case S_FIELD: return step_field(h);
    case S_NAME: return step_name(h, end);
    case S_BLANK: return step_blank(h, end);
    case S_VALUE: return step_value(h, end);
    case S_VALUE_LF: return step_value_lf(h);
    case S_END_LF: return step_end_lf(h);
    case S_DONE: return 0;
    case S_REFUSED: return -1;
    }
    return -1;
}

/* No byte beyond max_header is looked at, so that a head which is too large is told from a bad one in only
 * one way, whether its bytes came together or one by one. */
ssize_t h1_head_parse(struct h1_head *h, const char *bytes, size_t n, const struct h1_limits *limits)
{
    uint32_t end = n < limits->max_header ? (uint32_t)n : limits->max_header;
    int rc = h->state == S_REFUSED ? -1 : 1;

    assert(h->at <= end && limits->max_uri < UINT32_MAX);
    h->bytes = bytes;
    while (rc > 0 && h->state != S_DONE && h->at < end)
        rc = step(h, end, limits);
    if (rc >= 0 && h->state != S_DONE && end == limits->max_header)
        rc = h1_refuse(h, h->state == S_TARGET ? 414 : 431, "head longer than max_header");
    if (rc < 0)
        return -1;
    return h->state == S_DONE ? (ssize_t)h->at : 0;
}

int h1_trailers_parse(struct h1_head *h, const char *bytes, size_t n)
{
    static const struct h1_limits limits = { 0, H1_MAX_TRAILERS };
    ssize_t length;

    head_init(h, H1_TRAILERS, S_FIELD);
    length = h1_head_parse(h, bytes, n, &limits);
    if (length >= 0 && (size_t)length != n)
        return h1_refuse(h, 400, "trailer section does not end where it should");
    return length < 0 ? -1 : 0;
}
