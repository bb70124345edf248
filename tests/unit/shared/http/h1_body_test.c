/* Bodies: lengths, chunks and trailers, cut everywhere; and what a trailer section may hold. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "shared/http/h1.h"
#include "tests/unit/shared/http/h1_rows.h"

/* What came out: the data, then [trailers], then how it ended, and how many bytes were left for the next
 * message. */
struct body_run {
    enum h1_framing framing;
    int64_t length;
    bool padded;
    struct h1_body body;
    struct buf trailers;
    enum h1_body_event last;
    size_t left;
};

static void body_start(void *parser)
{
    struct body_run *run = parser;

    h1_body_init(&run->body, run->framing, run->length);
    run->body.padded = run->padded;
    run->last = H1_BODY_MORE;
    run->left = 0;
}

static void body_feed(void *parser, const char *piece, size_t n, struct buf *result)
{
    struct body_run *run = parser;
    struct str data;
    size_t used;

    do {
        run->last = h1_body_feed(&run->body, piece, n, &used, &data);
        if (run->last == H1_BODY_DATA)
            buf_add(result, data.p, data.n);
        if (run->last == H1_BODY_TRAILER)
            buf_add(&run->trailers, data.p, data.n);
        piece += used;
        n -= used;
    } while (run->last == H1_BODY_DATA || run->last == H1_BODY_TRAILER);
    run->left += n;
}

static void body_end(void *parser, struct buf *result)
{
    struct body_run *run = parser;
    enum h1_body_event eof = h1_body_eof(&run->body);

    if (run->trailers.len > 0)
        buf_printf(result, " [%s]", buf_text(&run->trailers));
    if (eof == H1_BODY_BAD)
        buf_printf(result, " %s: %s", run->last == H1_BODY_BAD ? "bad" : "at eof", run->body.why);
    else
        buf_printf(result, run->last == H1_BODY_END ? " end" : " end at eof");
    if (eof == H1_BODY_END && run->left > 0)
        buf_printf(result, " +%zu", run->left);
    buf_free(&run->trailers);
}

static int wrong_bodies(enum h1_framing framing, int64_t length, const struct row *rows, size_t count)
{
    static const struct pieces pieces = { body_start, body_feed, body_end };
    struct body_run run = { .framing = framing, .length = length };

    return wrong_rows(&pieces, &run, rows, count);
}

/* One that is too long to be cut at each byte. */
static void is_at_once(const struct row *row)
{
    struct body_run run = { .framing = H1_CHUNKED, .length = -1 };
    struct buf result = { 0 };

    body_start(&run);
    body_feed(&run, row->in, row->n, &result);
    body_end(&run, &result);
    assert_string_equal(buf_text(&result), row->out);
    buf_free(&result);
}

#define check(framing, length, rows) \
    assert_int_equal(wrong_bodies(framing, length, rows, sizeof(rows) / sizeof(rows)[0]), 0)

static void test_lengths(void **state)
{
    static const struct row five[] = {
        ROW("whole", "abcde", "abcde end"),
        ROW("next message behind", "abcdeGET /", "abcde end +5"),
        ROW("cut short", "abcd", "abcd at eof: body ends early"),
        ROW("nothing", "", " at eof: body ends early"),
    };
    static const struct row none[] = {
        ROW("nothing", "", " end at eof"),
        ROW("next message", "GET /", " end +5"),
    };
    static const struct row until_close[] = {
        ROW("some", "abc\0\r\n", "abc"), /* the text of the result ends at NUL */
        ROW("all", "abc\r\n", "abc\r\n end at eof"),
        ROW("nothing", "", " end at eof"),
    };

    (void)state;
    check(H1_LENGTH, 5, five);
    check(H1_LENGTH, 0, none);
    check(H1_NO_BODY, -1, none);
    check(H1_UNTIL_CLOSE, -1, until_close);
}

#define END    "0\r\n\r\n"
#define BEHIND " bad: bytes behind the chunk size"
#define FIRST  " bad: chunk size does not begin with a digit"
#define LARGE  " bad: chunk size is too large"
#define EARLY  " at eof: body ends early"

static void test_chunks(void **state)
{
    static const struct row rows[] = {
        ROW("none", END, " end"),
        ROW("two", "5\r\nabcde\r\n2\r\nfg\r\n" END, "abcdefg end"),
        ROW("next message behind", "1\r\na\r\n" END "GET /", "a end +5"),
        ROW("hexadecimal in both cases", "a\r\n0123456789\r\nB\r\nabcdefghijk\r\n" END,
            "0123456789abcdefghijk end"),
        ROW("leading zeros", "0000000000000003\r\nabc\r\n000\r\n\r\n", "abc end"),
        ROW("chunks that look like chunks", "5\r\n0\r\n\r\n\r\n" END, "0\r\n\r\n end"),
        ROW("cut in the size", "5", EARLY),
        ROW("cut in the data", "5\r\nabc", "abc" EARLY),
        ROW("cut behind the data", "3\r\nabc\r\n", "abc" EARLY),
        ROW("cut before the last line", "3\r\nabc\r\n0\r\n", "abc" EARLY),
        ROW("17 digits", "00000000000000005\r\nabcde\r\n" END, LARGE),
        ROW("2^64 + 5", "10000000000000005\r\nabcde\r\n" END, LARGE),
        ROW("2^63", "8000000000000000\r\na", LARGE),
        ROW("greatest", "7fffffffffffffff\r\na", "a" EARLY),
        ROW("2^32 + 1 is not 1", "100000001\r\nab\r\n", "ab\r\n" EARLY),
        ROW("empty size", "\r\nabc\r\n" END, FIRST),
        ROW("plus", "+5\r\nabcde\r\n" END, FIRST),
        ROW("minus", "-5\r\nabcde\r\n" END, FIRST),
        ROW("prefix", "0x5\r\nabcde\r\n" END, BEHIND),
        ROW("underscore", "0_5\r\nabcde\r\n" END, BEHIND),
        ROW("not hexadecimal", "g\r\n" END, FIRST),
        ROW("letters behind g", "5g\r\nabcde\r\n" END, BEHIND),
        ROW("blank before", " 5\r\nabcde\r\n" END, FIRST),
        ROW("blank behind", "5 \r\nabcde\r\n" END, BEHIND),
        ROW("tab behind", "5\t\r\nabcde\r\n" END, BEHIND),
        ROW("NUL behind", "5\0\r\nabcde\r\n" END, BEHIND),
        ROW("bare LF behind the size", "5\nabcde\r\n" END, " bad: bare LF"),
        ROW("bare CR behind the size", "5\rabcde\r\n" END, " bad: bare CR"),
        ROW("CR CR LF behind the size", "5\r\r\nabcde\r\n" END, " bad: bare CR"),
        ROW("bare LF behind the last size", "0\n\r\n", " bad: bare LF"),
        ROW("bare LF for the empty line", "0\r\n\n", " bad: bare LF"),
        ROW("bare CR for the empty line", "0\r\n\rX", " bad: bare CR"),
        ROW("longer than its size", "3\r\nabcd\r\n" END, "abc bad: chunk is longer than its size"),
        ROW("shorter than its size", "5\r\nabc\r\n" END, "abc\r\n bad: chunk is longer than its size"),
        ROW("bare LF behind the data", "3\r\nabc\n" END, "abc bad: chunk is longer than its size"),
        ROW("bare CR behind the data", "3\r\nabc\rx" END, "abc bad: bare CR"),
        ROW("two bytes that are no line end", "3\r\nabcXX" END, "abc bad: chunk is longer than its size"),
    };

    (void)state;
    check(H1_CHUNKED, -1, rows);
}

#define MALFORMED " bad: malformed chunk extension"
#define NO_NAME   " bad: chunk extension without a name"

/* As Apache 1.3 pads its sizes. */
static void test_padded_sizes(void **state)
{
    static const struct row rows[] = {
        ROW("blanks", "3   \r\nabc\r\n0  \r\n\r\n", "abc end"),
        ROW("tab", "3\t\r\nabc\r\n" END, "abc end"),
        ROW("before an extension", "3 ;a=b\r\nabc\r\n" END, "abc end"),
        ROW("in an extension", "3 ; a=b\t; c= \"d e\" ;f \r\nabc\r\n" END, "abc end"),
        ROW("in a name", "3;a b\r\nabc\r\n" END, MALFORMED),
        ROW("no name", "3; \r\nabc\r\n" END, NO_NAME),
        ROW("before another digit", "3 3\r\nabc\r\n" END, BEHIND),
        ROW("before a letter", "3 x\r\nabc\r\n" END, BEHIND),
        ROW("blank before", " 3\r\nabc\r\n" END, FIRST),
        ROW("nothing but blanks", "  \r\nabc\r\n" END, FIRST),
        ROW("bare LF", "3 \nabc\r\n" END, " bad: bare LF"),
        ROW("bare CR", "3 \rabc\r\n" END, " bad: bare CR"),
        ROW("CR and a blank", "3\r \nabc\r\n" END, " bad: bare CR"),
    };
    static const struct pieces pieces = { body_start, body_feed, body_end };
    struct body_run run = { .framing = H1_CHUNKED, .length = -1, .padded = true };

    (void)state;
    assert_int_equal(wrong_rows(&pieces, &run, rows, sizeof rows / sizeof rows[0]), 0);
}

#define NO_VALUE " bad: chunk extension without a value"
#define CONTROL  " bad: control byte in a chunk extension"

static void test_extensions(void **state)
{
    static const struct row rows[] = {
        ROW("name", "1;a\r\nx\r\n" END, "x end"),
        ROW("value", "1;a=b\r\nx\r\n0;c=d\r\n\r\n", "x end"),
        ROW("several", "1;a;b=c;d=\"e\";f\r\nx\r\n" END, "x end"),
        ROW("quoted", "1;a=\"\t ;=,\\\"\\\\\303\251\"\r\nx\r\n" END, "x end"),
        ROW("empty quotes", "1;a=\"\"\r\nx\r\n" END, "x end"),
        ROW("nothing", "1;\r\nx\r\n" END, NO_NAME),
        ROW("two semicolons", "1;;a\r\nx\r\n" END, NO_NAME),
        ROW("no name", "1;=b\r\nx\r\n" END, NO_NAME),
        ROW("no value", "1;a=\r\nx\r\n" END, NO_VALUE),
        ROW("two values", "1;a=b=c\r\nx\r\n" END, MALFORMED),
        ROW("more behind quotes", "1;a=\"b\"c\r\nx\r\n" END, MALFORMED),
        ROW("blank before", "1 ;a\r\nx\r\n" END, BEHIND),
        ROW("blank before the name", "1; a\r\nx\r\n" END, NO_NAME),
        ROW("blank behind the name", "1;a \r\nx\r\n" END, MALFORMED),
        ROW("blank before the value", "1;a= b\r\nx\r\n" END, NO_VALUE),
        ROW("bare LF behind a semicolon", "1;\nx\r\n" END, NO_NAME),
        ROW("bare LF behind a name", "1;a\nx\r\n" END, " bad: bare LF"),
        ROW("bare LF behind a value", "1;a=b\nx\r\n" END, " bad: bare LF"),
        ROW("bare LF behind quotes", "1;a=\"b\"\nx\r\n" END, " bad: bare LF"),
        ROW("bare CR behind a name", "1;a\rX\r\nx\r\n" END, " bad: bare CR"),
        ROW("line end in quotes", "1;a=\"b\r\nx\r\n" END, CONTROL),
        ROW("escaped line end in quotes", "1;a=\"b\\\nx\r\n" END, CONTROL),
        ROW("NUL in quotes", "1;a=\"\0\"\r\nx\r\n" END, CONTROL),
        ROW("NUL in a name", "1;a\0\r\nx\r\n" END, MALFORMED),
    };
    char line[H1_MAX_CHUNK_LINE + 32];
    struct row longest[] = { { "longest line", line, 0, " end" },
                             { "one more", line, 0, " bad: chunk line is too long" } };

    (void)state;
    check(H1_CHUNKED, -1, rows);
    for (size_t i = 0; i < 2; i++) {
        longest[i].n =
            (size_t)snprintf(line, sizeof line, "0;%0*d\r\n\r\n", H1_MAX_CHUNK_LINE - 4 + (int)i, 0);
        assert_int_equal(wrong_bodies(H1_CHUNKED, -1, &longest[i], 1), 0);
    }
}

static void test_trailer_sections(void **state)
{
    static const struct row rows[] = {
        ROW("one", "0\r\na: b\r\n\r\n", " [a: b\r\n\r\n] end"),
        ROW("two, and the next message", "1\r\nx\r\n0\r\na: b\r\nc:d\r\n\r\nGET /",
            "x [a: b\r\nc:d\r\n\r\n] end +5"),
        ROW("bare LF", "0\r\na: b\nc: d\r\n\r\n", " [a: b] bad: bare LF"),
        ROW("bare LF for the empty line", "0\r\na: b\r\n\n", " [a: b\r\n] bad: bare LF"),
        ROW("bare CR", "0\r\na: b\rc: d\r\n\r\n", " [a: b\r] bad: bare CR"),
        ROW("bare CR for the empty line", "0\r\na: b\r\n\rX", " [a: b\r\n\r] bad: bare CR"),
        ROW("cut short", "0\r\na: b\r\n", " [a: b\r\n]" EARLY),
    };
    static char in[H1_MAX_TRAILERS + 32], out[H1_MAX_TRAILERS + 64];
    struct row longest[] = { { "longest", in, 0, out }, { "one more", in, 0, out } };

    (void)state;
    check(H1_CHUNKED, -1, rows);
    longest[0].n = (size_t)snprintf(in, sizeof in, "0\r\na:%0*d\r\n\r\n", H1_MAX_TRAILERS - 6, 0);
    snprintf(out, sizeof out, " [%s] end", in + 3);
    is_at_once(&longest[0]);
    longest[1].n = (size_t)snprintf(in, sizeof in, "0\r\na:%0*d\r\n\r\n", H1_MAX_TRAILERS - 5, 0);
    snprintf(out, sizeof out, " [%.*s] bad: trailer section is too long", H1_MAX_TRAILERS, in + 3);
    is_at_once(&longest[1]);
}

#define MAY_NOT "field that may not be a trailer"

static void test_trailer_fields(void **state)
{
    static const struct row rows[] = {
        ROW("gRPC", "grpc-status: 0\r\nGRPC-Message:\r\n\r\n", "2"),
        ROW("what begins like Host", "hostile: 1\r\nx-forwarded: 1\r\n\r\n", "2"),
        ROW("no fields", "\r\n", "0"),
        ROW("nothing", "", "0"),
        ROW("cut short", "a: b\r\n", "trailer section does not end where it should"),
        ROW("more behind", "a: b\r\n\r\nc: d\r\n\r\n", "trailer section does not end where it should"),
        ROW("folding", "a: b\r\n c\r\n\r\n", "line begins with a blank (obsolete folding)"),
        ROW("space before the colon", "a : b\r\n\r\n", "space before the colon of a field"),
        ROW("bare LF", "a: b\n\r\n", "bare LF"),
        ROW("length", "Content-Length: 5\r\n\r\n", MAY_NOT),
        ROW("length with an underscore", "content_length: 5\r\n\r\n", MAY_NOT),
        ROW("coding", "a: b\r\nTransfer-Encoding: chunked\r\n\r\n", MAY_NOT),
        ROW("Host", "hOST: a\r\n\r\n", MAY_NOT),
        ROW("Connection", "Connection: a\r\n\r\n", MAY_NOT),
        ROW("Trailer", "Trailer: a\r\n\r\n", MAY_NOT),
        ROW("Authorization", "Authorization: a\r\n\r\n", MAY_NOT),
        ROW("Set-Cookie", "Set-Cookie: a\r\n\r\n", MAY_NOT),
        ROW("Content-Type", "Content-Type: a\r\n\r\n", MAY_NOT),
        ROW("who is asking", "X-Forwarded-For: a\r\n\r\n", MAY_NOT),
        ROW("who is asking, with underscores", "X_Forwarded-For: a\r\n\r\n", MAY_NOT),
    };
    struct h1_head h;
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char count[16];
        int rc = h1_trailers_parse(&h, rows[i].in, rows[i].n);
        const char *out = rc < 0 ? h.why : count;

        snprintf(count, sizeof count, "%u", h.field_count);
        if (strcmp(out, rows[i].out) != 0) {
            printf("%s:\n  expected %s\n  got      %s\n", rows[i].name, rows[i].out, out);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),          cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_padded_sizes),     cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_trailer_sections), cmocka_unit_test(test_trailer_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
