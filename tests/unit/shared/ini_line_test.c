#include "shared/ini_line.h"

#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/buf.h"

#define LINE(text) text, sizeof(text) - 1

/* What a line is, as text: "", "[kind]", "[kind|name]", "key|value", "key|arg|value", or "! " and the error. The line
 * and the room for its value lie in blocks of exactly their size. */
static struct buf read_line(const char *bytes, size_t n)
{
    char *line = malloc(n > 0 ? n : 1), *room = malloc(n > 0 ? n : 1);
    struct buf out = { 0 };
    struct ini_line l;
    struct err e = { 0 };

    assert_true(line && room);
    memcpy(line, bytes, n);
    if (ini_line_parse((struct str){ line, n }, room, &l, &e) != 0)
        buf_printf(&out, "! %s", e.text);
    else if (l.type == INI_SECTION)
        buf_printf(&out, "[%.*s%s%.*s]", STR_ARG(l.kind), l.name.p ? "|" : "", STR_ARG(l.name));
    else if (l.type == INI_PAIR)
        buf_printf(&out, "%.*s|%.*s%s%.*s", STR_ARG(l.key), STR_ARG(l.arg), l.arg.p ? "|" : "",
                   STR_ARG(l.value));
    buf_text(&out);
    free(line);
    free(room);
    return out;
}

static void check(const char *bytes, size_t n, const char *what)
{
    struct buf out = read_line(bytes, n);

    if (strcmp(buf_text(&out), what) != 0)
        fail_msg("%.*s: is not \"%s\" but \"%s\"", (int)n, bytes, what, buf_text(&out));
    buf_free(&out);
}

static void test_lines(void **state)
{
    static const struct {
        const char *line;
        size_t n;
        const char *what;
    } rows[] = {
        { LINE(""), "" },
        { LINE("   \t "), "" },
        { LINE("; comment"), "" },
        { LINE("#comment"), "" },
        { LINE("  ; an indented comment"), "" },
        { LINE("\t# key = value"), "" },
        { LINE(";"), "" },
        { LINE("[relay]"), "[relay]" },
        { LINE("[relay]  "), "[relay]" },
        { LINE("[relay] ; comment"), "[relay]" },
        { LINE("[relay]\t# comment"), "[relay]" },
        { LINE("[domain example.net]"), "[domain|example.net]" },
        { LINE("[domain \xc3\xa4.net]"), "[domain|\xc3\xa4.net]" },
        { LINE("[a ;b]"), "[a|;b]" },
        { LINE("key = value"), "key|value" },
        { LINE("key=value"), "key|value" },
        { LINE("key\t =\t value \t"), "key|value" },
        { LINE("key_2 = two words"), "key_2|two words" },
        { LINE("key ="), "key|" },
        { LINE("key = "), "key|" },
        { LINE("key = ; comment"), "key|" },
        { LINE("key =\t#"), "key|" },
        { LINE("key = a ; comment"), "key|a" },
        { LINE("key = a\t\t# comment \"quoted\""), "key|a" },
        { LINE("key = a;b#c"), "key|a;b#c" },
        { LINE("key = http://host/#part ; comment"), "key|http://host/#part" },
        { LINE("key = a = b"), "key|a = b" },
        { LINE("key == b"), "key|= b" },
        { LINE("key = [a]"), "key|[a]" },
        { LINE("key = a\\b"), "key|a\\b" },
        { LINE("key = a \"b\" c"), "key|a \"b\" c" },
        { LINE("key = a \"b\" ; c"), "key|a \"b\"" },
        { LINE("key = it's 5\" wide"), "key|it's 5\" wide" },
        { LINE("key = \xc3\xa4\xe2\x82\xac"), "key|\xc3\xa4\xe2\x82\xac" },
        { LINE("route /api = there"), "route|/api|there" },
        { LINE("route\t/api\t=\tthere"), "route|/api|there" },
        { LINE("route /a=b = there"), "route|/a=b|there" },
        { LINE("route ; = there"), "! has no = after the key; write KEY = VALUE, or start a comment with ;" },
        { LINE("route \xc3\xa4 ="), "route|\xc3\xa4|" },
        { LINE("key = \"value\""), "key|value" },
        { LINE("key=\"value\""), "key|value" },
        { LINE("key = \"\""), "key|" },
        { LINE("key = \" a \" "), "key| a " },
        { LINE("key = \"a ; b\" ; comment"), "key|a ; b" },
        { LINE("key = \"say \\\"no\\\" \\\\\"\t# comment"), "key|say \"no\" \\" },
        { LINE("key = \"a\tb\""), "key|a\tb" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rows[i].line, rows[i].n, rows[i].what);
}

#define NO_EQUALS      "! has no = after the key; write KEY = VALUE, or start a comment with ;"
#define NO_BLANK       "! has a word between key and =, and no blank before the =; write KEY WORD = VALUE"
#define MANY_WORDS     "! has more than one word between key and =; write KEY = VALUE or KEY WORD = VALUE"
#define NO_KEY         "! does not begin with a key (a-z, 0-9 and _); write KEY = VALUE, or start a comment with ;"
#define BEHIND_BRACKET "! has text behind the ]; start a new line, or put a blank and ; in front of a comment"
#define BESIDE_BRACKET "! has blanks next to the brackets; write [KIND] or [KIND NAME]"
#define MORE_BLANKS    "! has more blanks than the one between kind and name; write [KIND NAME]"
#define BEHIND_QUOTE                        \
    "! has text behind the closing quote; " \
    "write \\\" for a quote inside, or a blank and ; before a comment"
#define BAD_ESCAPE "! has a \\ in quotes that is not \\\" or \\\\; write \\\\ for one \\"
#define NOT_CLOSED "! the quote is not closed; end the value with \""
#define INDENTED   "! the line is indented, and lines do not continue others; start it in the first column"
#define IN_QUOTES                                                              \
    "! a comment begins inside quotes; put the whole value in double quotes, " \
    "and write \\\" for the ones in it"

static void test_refused_lines(void **state)
{
    static const struct {
        const char *line;
        size_t n;
        const char *what;
    } rows[] = {
        { LINE("key"), NO_EQUALS },
        { LINE("key value"), NO_EQUALS },
        { LINE("key two words = value"), MANY_WORDS },
        { LINE("route /a b = there"), MANY_WORDS },
        { LINE("key two words ; = value"), NO_EQUALS },
        { LINE("key word ;= value"), NO_EQUALS },
        { LINE("Please read this"), NO_EQUALS },
        { LINE("route /a=b"), NO_BLANK },
        { LINE("set_header X-A=1"), NO_BLANK },
        { LINE("set_header X-A= 1"), NO_BLANK },
        { LINE("unset_header X="), NO_BLANK },
        { LINE("= value"), "! has no key before the =; write KEY = VALUE" },
        { LINE("="), "! has no key before the =; write KEY = VALUE" },
        { LINE(" key = value"), INDENTED },
        { LINE("\tkey = value"), INDENTED },
        { LINE("  [relay]"), INDENTED },
        { LINE("Key = 1"), "! not a key: keys are made of a-z, 0-9 and _; write key" },
        { LINE("log-LEVEL = 1"), "! not a key: keys are made of a-z, 0-9 and _; write log_level" },
        { LINE("key.x = 1"), NO_KEY },
        { LINE("\"key\" = 1"), NO_KEY },
        { LINE("\xc3\xa4 = 1"), NO_KEY },
        { LINE("// key = 1"), NO_KEY },
        { LINE("key =;comment"),
          "! the value begins with ;; put it in double quotes, or a blank before a comment" },
        { LINE("key =#1"),
          "! the value begins with #; put it in double quotes, or a blank before a comment" },
        { LINE("key = say \"a ; b\""), IN_QUOTES },
        { LINE("key = 5\" ; wide"), IN_QUOTES },
        { LINE("key = \"value"), NOT_CLOSED },
        { LINE("key = \""), NOT_CLOSED },
        { LINE("key = \"value\\\""), NOT_CLOSED },
        { LINE("key = \"value ; comment"), NOT_CLOSED },
        { LINE("key = \"a\" b"), BEHIND_QUOTE },
        { LINE("key = \"a\";b"), BEHIND_QUOTE },
        { LINE("key = \"a\"\""), BEHIND_QUOTE },
        { LINE("key = \"C:\\new\""), BAD_ESCAPE },
        { LINE("key = \"a\\"), BAD_ESCAPE },
        { LINE("[relay"), "! has no closing ]; write [KIND] or [KIND NAME]" },
        { LINE("["), "! has no closing ]; write [KIND] or [KIND NAME]" },
        { LINE("[relay] x"), BEHIND_BRACKET },
        { LINE("[relay];x"), BEHIND_BRACKET },
        { LINE("[relay]]"), BEHIND_BRACKET },
        { LINE("[relay] key = value"), BEHIND_BRACKET },
        { LINE("[]"), "! has nothing between the brackets; write [KIND] or [KIND NAME]" },
        { LINE("[ ]"), BESIDE_BRACKET },
        { LINE("[ relay]"), BESIDE_BRACKET },
        { LINE("[relay\t]"), BESIDE_BRACKET },
        { LINE("[domain  a]"), MORE_BLANKS },
        { LINE("[domain\ta]"), MORE_BLANKS },
        { LINE("[domain a b]"), MORE_BLANKS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rows[i].line, rows[i].n, rows[i].what);
}

/* What is no text is told from text that is wrong: a file with much of it is not read to its end. */
static void test_bad_bytes(void **state)
{
    static const struct {
        const char *line;
        size_t n;
        const char *what;
    } rows[] = {
        { LINE("\xff"), "! byte 1 is not UTF-8; save the file as UTF-8" },
        { LINE("key = Stra\xdf\x65"), "! byte 11 is not UTF-8; save the file as UTF-8" },
        { LINE("; gr\xfc\xdf\x65"), "! byte 5 is not UTF-8; save the file as UTF-8" },
        { LINE("key = \xe2\x82"), "! byte 7 is not UTF-8; save the file as UTF-8" },
        { LINE("key = \xc0\xaf"), "! byte 7 is not UTF-8; save the file as UTF-8" },
        { LINE("key = \xed\xa0\x80"), "! byte 7 is not UTF-8; save the file as UTF-8" },
        { LINE("key = a\rkey = b"), "! byte 8 is a carriage return; lines end with a line feed alone" },
        { LINE("k\0e\0y\0"), "! byte 2 is NUL; this is not a text file" },
        { LINE("key = \x1b[2J"), "! byte 7 is a control character; remove it" },
        { LINE("key = \x7f"), "! byte 7 is a control character; remove it" },
        { LINE("; \xc2\x9b"), "! byte 3 is a control character; remove it" },
        { LINE("key = \v"), "! byte 7 is a control character; remove it" },
    };
    struct ini_line l;
    char room[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(rows[i].line, rows[i].n, rows[i].what);
        assert_int_equal(ini_line_parse((struct str){ rows[i].line, rows[i].n }, room, &l, NULL), -1);
        assert_true(l.bad_bytes);
    }
    assert_int_equal(ini_line_parse(STR("key"), room, &l, NULL), -1);
    assert_false(l.bad_bytes);
}

/* One byte less is well, and the whole line is not shortened to anything. */
static void test_limits(void **state)
{
    static const struct {
        const char *before, *after;
        size_t limit;
        const char *what;
    } rows[] = {
        { "", " = v", INI_KEY_MAX, "! the key has more than 40 bytes; write KEY = VALUE" },
        { "key ", " = v", INI_NAME_MAX, "! the word before the = has more than 255 bytes; shorten it" },
        { "[domain ", "]", INI_NAME_MAX, "! the name has more than 255 bytes; shorten it" },
        { "key = ", "", INI_VALUE_MAX, "! the value has more than 16384 bytes; shorten it" },
        { "key = \"", "\" ; comment", INI_VALUE_MAX, "! the value has more than 16384 bytes; shorten it" },
        { ";", "", INI_LINE_MAX - 1, "! the line has more than 65536 bytes; shorten it" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t more = 0; more <= 1; more++) {
            struct buf line = { 0 }, out;

            buf_add_text(&line, rows[i].before);
            for (size_t n = 0; n < rows[i].limit + more; n++)
                buf_add_text(&line, "a");
            buf_add_text(&line, rows[i].after);
            out = read_line(buf_bytes(&line), line.len);
            if (more)
                assert_string_equal(buf_text(&out), rows[i].what);
            else
                assert_true(out.len == 0 || (out.mem[0] != '!' && out.len > rows[i].limit));
            buf_free(&line);
            buf_free(&out);
        }
    }
}

/* A value of the longest kind fits into a line when each of its bytes is escaped. */
static void test_the_longest_value_can_be_quoted(void **state)
{
    struct buf line = { 0 }, out;

    (void)state;
    buf_add_text(&line, "key = \"");
    for (size_t n = 0; n < INI_VALUE_MAX; n++)
        buf_add_text(&line, "\\\"");
    buf_add_text(&line, "\" ; a comment");
    out = read_line(buf_bytes(&line), line.len);
    assert_int_equal(out.len, INI_VALUE_MAX + strlen("key|"));
    assert_int_equal(strspn(buf_text(&out) + 4, "\""), INI_VALUE_MAX);
    buf_free(&line);
    buf_free(&out);
}

static void write_value(struct buf *line, const char *value)
{
    bool quotes = ini_line_needs_quotes(str_of(value));

    buf_printf(line, "key = %s", quotes ? "\"" : "");
    for (; *value; value++)
        buf_printf(line, "%s%c", quotes && (*value == '"' || *value == '\\') ? "\\" : "", *value);
    buf_printf(line, "%s ; origin", quotes ? "\"" : "");
}

/* Every text of up to five of the letters that matter is read back as it was written. */
static void test_what_needs_quotes(void **state)
{
    static const char letters[] = "a ;#\"\\=\t";
    char value[6] = "", whole[16];

    (void)state;
    for (unsigned code = 0; code < 1u << 18; code++) {
        struct buf line = { 0 }, out;
        unsigned rest = code >> 3;
        size_t n = code & 7;

        if (n > 5 || rest >> 3 * n)
            continue;
        for (size_t i = 0; i < n; i++, rest >>= 3)
            value[i] = letters[rest & 7];
        value[n] = 0;
        write_value(&line, value);
        out = read_line(buf_bytes(&line), line.len);
        strcpy(whole, "key|");
        if (strcmp(buf_text(&out), strcat(whole, value)) != 0)
            fail_msg("%s: read as %s", buf_text(&line), buf_text(&out));
        buf_free(&line);
        buf_free(&out);
    }
    assert_false(ini_line_needs_quotes(STR("")));
    assert_false(ini_line_needs_quotes(STR("plain words, a;b and c#d")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refused_lines),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_the_longest_value_can_be_quoted),
        cmocka_unit_test(test_what_needs_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
