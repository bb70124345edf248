#include "shared/ini_line.h"

#include "shared/utf8.h"
#include "shared/value.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_comment(char c)
{
    return c == ';' || c == '#';
}

static struct str after(struct str s, size_t n)
{
    return (struct str){ s.p + n, s.n - n };
}

/* What stands before the first blank, or before `stop`. */
static struct str word_at(struct str s, char stop)
{
    size_t n = 0;

    while (n < s.n && !is_blank(s.p[n]) && s.p[n] != stop)
        n++;
    return (struct str){ s.p, n };
}

/* Only text may pass: whatever else follows can then be shown, logged and compared without surprises. */
static int check_bytes(struct str line, struct ini_line *out, struct err *e)
{
    uint32_t code;
    size_t n;

    out->bad_bytes = true;
    for (size_t at = 0; at < line.n; at += n) {
        n = utf8_decode(line.p + at, line.n - at, &code);
        if (n == 0)
            return err_set(e, ERR_INPUT, "byte %zu is not UTF-8; save the file as UTF-8", at + 1);
        if (code == '\r')
            return err_set(e, ERR_INPUT, "byte %zu is a carriage return; lines end with a line feed alone",
                           at + 1);
        if (code == 0)
            return err_set(e, ERR_INPUT, "byte %zu is NUL; this is not a text file", at + 1);
        if ((code < 0x20 && code != '\t') || (code >= 0x7f && code < 0xa0))
            return err_set(e, ERR_INPUT, "byte %zu is a control character; remove it", at + 1);
    }
    out->bad_bytes = false;
    return 0;
}

/* True when nothing but blanks and a comment is left; a comment needs a blank in front. */
static bool is_end(struct str rest)
{
    struct str text = str_trim(rest);

    return text.n == 0 || (is_comment(text.p[0]) && text.p > rest.p);
}

static int parse_section(struct str line, struct ini_line *out, struct err *e)
{
    const char *close = memchr(line.p, ']', line.n);
    struct str inside, rest;

    if (!close)
        return err_set(e, ERR_INPUT, "has no closing ]; write [KIND] or [KIND NAME]");
    inside = (struct str){ line.p + 1, (size_t)(close - line.p) - 1 };
    if (!is_end(after(line, inside.n + 2)))
        return err_set(e, ERR_INPUT,
                       "has text behind the ]; "
                       "start a new line, or put a blank and ; in front of a comment");
    if (inside.n == 0)
        return err_set(e, ERR_INPUT, "has nothing between the brackets; write [KIND] or [KIND NAME]");
    if (is_blank(inside.p[0]) || is_blank(inside.p[inside.n - 1]))
        return err_set(e, ERR_INPUT, "has blanks next to the brackets; write [KIND] or [KIND NAME]");
    out->type = INI_SECTION;
    out->kind = word_at(inside, ' ');
    rest = after(inside, out->kind.n);
    if (rest.n == 0)
        return 0;
    out->name = after(rest, 1);
    if (rest.p[0] != ' ' || word_at(out->name, ' ').n != out->name.n)
        return err_set(e, ERR_INPUT, "has more blanks than the one between kind and name; write [KIND NAME]");
    if (out->name.n > INI_NAME_MAX)
        return err_set(e, ERR_LIMIT, "the name has more than %d bytes; shorten it", INI_NAME_MAX);
    return 0;
}

/* Undoes the quotes of rest, which begins with one. */
static int parse_quoted(struct str rest, char *room, struct ini_line *out, struct err *e)
{
    size_t i = 1, n = 0;

    for (; i < rest.n && rest.p[i] != '"'; i++) {
        if (rest.p[i] == '\\') {
            i++;
            if (i == rest.n || (rest.p[i] != '"' && rest.p[i] != '\\'))
                return err_set(e, ERR_INPUT,
                               "has a \\ in quotes that is not \\\" or \\\\; write \\\\ for one \\");
        }
        room[n++] = rest.p[i];
    }
    if (i >= rest.n)
        return err_set(e, ERR_INPUT, "the quote is not closed; end the value with \"");
    if (!is_end(after(rest, i + 1)))
        return err_set(e, ERR_INPUT,
                       "has text behind the closing quote; "
                       "write \\\" for a quote inside, or a blank and ; before a comment");
    out->value = (struct str){ room, n };
    out->comment = str_trim(after(rest, i + 1));
    return 0;
}

/* `blank` tells whether a blank stands in front of rest: a comment may begin right there. */
static int parse_plain(struct str rest, bool blank, struct ini_line *out, struct err *e)
{
    size_t n = 0, quotes = 0;

    if (rest.n > 0 && is_comment(rest.p[0]) && !blank)
        return err_set(e, ERR_INPUT,
                       "the value begins with %c; put it in double quotes, or a blank before a comment",
                       rest.p[0]);
    for (; n < rest.n; n++) {
        if (is_comment(rest.p[n]) && (n == 0 || is_blank(rest.p[n - 1])))
            break;
        quotes += rest.p[n] == '"';
    }
    if (n < rest.n && quotes % 2 != 0)
        return err_set(e, ERR_INPUT,
                       "a comment begins inside quotes; put the whole value in double quotes, "
                       "and write \\\" for the ones in it");
    out->value = str_trim((struct str){ rest.p, n });
    out->comment = str_trim(after(rest, n));
    return 0;
}

/* Tells how a key was most likely meant: in lower case, with _ for -. */
static int refuse_key(struct str key, struct err *e)
{
    char fixed[INI_KEY_MAX + 1];
    size_t n = 0;

    for (; n < key.n && n < INI_KEY_MAX; n++) {
        char c = key.p[n];

        fixed[n] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c == '-' ? '_' : c;
        if (!((fixed[n] >= 'a' && fixed[n] <= 'z') || (c >= '0' && c <= '9') || fixed[n] == '_'))
            break;
    }
    fixed[n] = 0;
    if (n == key.n)
        return err_set(e, ERR_INPUT, "not a key: keys are made of a-z, 0-9 and _; write %s", fixed);
    return err_set(e, ERR_INPUT,
                   "does not begin with a key (a-z, 0-9 and _); write KEY = VALUE, "
                   "or start a comment with ;");
}

static bool has_equals(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_comment(text.p[i]) && (i == 0 || is_blank(text.p[i - 1])))
            return false;
        if (text.p[i] == '=')
            return true;
    }
    return false;
}

/* `arg` is the word behind the key, `rest` what follows it, and does not begin with a =. */
static int refuse_no_equals(struct str arg, struct str rest, struct err *e)
{
    if (has_equals(arg))
        return err_set(e, ERR_INPUT,
                       "has a word between key and =, and no blank before the =; write KEY WORD = VALUE");
    if (has_equals(rest))
        return err_set(e, ERR_INPUT,
                       "has more than one word between key and =; write KEY = VALUE or KEY WORD = VALUE");
    return err_set(e, ERR_INPUT, "has no = after the key; write KEY = VALUE, or start a comment with ;");
}

static int parse_key(struct str *rest, struct ini_line *out, struct err *e)
{
    out->key = word_at(*rest, '=');
    *rest = str_trim(after(*rest, out->key.n));
    if (rest->n > 0 && rest->p[0] != '=' && !is_comment(rest->p[0]) && out->key.n > 0) {
        out->arg = word_at(*rest, ' ');
        *rest = str_trim(after(*rest, out->arg.n));
    }
    if (rest->n == 0 || rest->p[0] != '=')
        return refuse_no_equals(out->arg, *rest, e);
    if (out->key.n == 0)
        return err_set(e, ERR_INPUT, "has no key before the =; write KEY = VALUE");
    if (out->key.n > INI_KEY_MAX)
        return err_set(e, ERR_LIMIT, "the key has more than %d bytes; write KEY = VALUE", INI_KEY_MAX);
    if (out->arg.n > INI_NAME_MAX)
        return err_set(e, ERR_LIMIT, "the word before the = has more than %d bytes; shorten it",
                       INI_NAME_MAX);
    for (size_t i = 0; i < out->key.n; i++) {
        char c = out->key.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return refuse_key(out->key, e);
    }
    return 0;
}

static int parse_pair(struct str line, char *room, struct ini_line *out, struct err *e)
{
    struct str rest = line, value;
    int rc;

    if (parse_key(&rest, out, e) != 0)
        return -1;
    out->type = INI_PAIR;
    rest = after(rest, 1);
    value = str_trim(rest);
    if (value.n > 0 && value.p[0] == '"')
        rc = parse_quoted(value, room, out, e);
    else
        rc = parse_plain(value, value.p > rest.p, out, e);
    if (rc == 0 && out->value.n > INI_VALUE_MAX)
        return err_set(e, ERR_LIMIT, "the value has more than %d bytes; shorten it", INI_VALUE_MAX);
    return rc;
}

int ini_line_parse(struct str line, char *room, struct ini_line *out, struct err *e)
{
    struct str text = str_trim(line);

    *out = (struct ini_line){ 0 };
    if (line.n > INI_LINE_MAX)
        return err_set(e, ERR_LIMIT, "the line has more than %d bytes; shorten it", INI_LINE_MAX);
    if (check_bytes(line, out, e) != 0)
        return -1;
    if (text.n == 0 || is_comment(text.p[0]))
        return 0;
    if (text.p != line.p)
        return err_set(e, ERR_INPUT,
                       "the line is indented, and lines do not continue others; "
                       "start it in the first column");
    if (line.p[0] == '[')
        return parse_section(line, out, e);
    return parse_pair(line, room, out, e);
}

bool ini_line_needs_quotes(struct str value)
{
    if (value.n == 0)
        return false;
    if (is_comment(value.p[0]) || str_trim(value).n != value.n)
        return true;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '"' || (is_comment(value.p[i]) && is_blank(value.p[i - 1])))
            return true;
    return false;
}
