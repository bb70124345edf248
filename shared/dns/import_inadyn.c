/* inadyn.conf: KEY = VALUE, KEY = { VALUE, ... }, and provider NAME { ... } and custom NAME { ... } around such lines. Values are
 * words, or in quotes; # and // begin a comment where a word could begin. (libconfuse reads it there.) */
#include "shared/dns/import.h"

#include <string.h>

enum token_type { T_END, T_WORD, T_SIGN };

struct token {
    enum token_type type;
    char sign;       /* = { } ( ) , + */
    struct buf text; /* of a word */
    bool quoted;
    unsigned line;
};

struct reader {
    struct str rest;
    unsigned line;
    struct token now;
    struct err *e;
};

static char take(struct reader *r)
{
    char c = *r->rest.p++;

    r->rest.n--;
    r->line += c == '\n';
    return c;
}

static bool at(const struct reader *r, const char *text)
{
    size_t n = strlen(text);

    return r->rest.n >= n && memcmp(r->rest.p, text, n) == 0;
}

static int skip_comment(struct reader *r)
{
    unsigned line = r->line;

    if (!at(r, "/*")) {
        while (r->rest.n > 0 && *r->rest.p != '\n')
            take(r);
        return 0;
    }
    while (r->rest.n > 0 && !at(r, "*/"))
        take(r);
    if (r->rest.n == 0)
        return import_wrong(r->e, line, "a comment begins with /* and has no */");
    take(r);
    take(r);
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind a backslash in double quotes: as in C, and any other character stands for itself. */
static int take_escape(struct reader *r)
{
    char c = take(r);
    int value;

    if (c && strchr("ntbrfave", c))
        return import_wrong(r->e, r->line,
                            "\\%c in a value stands for a control character, and ours have none", c);
    if ((c >= '0' && c <= '7') || c == 'x') {
        int base = c == 'x' ? 16 : 8, digits = c == 'x' ? 0 : 1;

        value = c == 'x' ? 0 : c - '0';
        while (r->rest.n > 0 && digits < (base == 8 ? 3 : 2) && hex_digit(*r->rest.p) >= 0 &&
               hex_digit(*r->rest.p) < base) {
            value = value * base + hex_digit(take(r));
            digits++;
        }
        if (digits == 0 || value < ' ' || value > '~')
            return import_wrong(r->e, r->line,
                                "an escape in a value is no printable character; write the character");
        c = (char)value;
    }
    if (c != '\n')
        buf_add(&r->now.text, &c, 1);
    return 0;
}

static int take_quoted(struct reader *r)
{
    char quote = take(r);
    unsigned line = r->line;

    while (r->rest.n > 0 && *r->rest.p != quote) {
        char c = take(r);

        if (c == '\n')
            return import_wrong(r->e, line, "a %c has no other one on its line", quote);
        if (c == '\\' && r->rest.n > 0 && (quote == '"' || *r->rest.p == quote || *r->rest.p == '\\')) {
            if (quote == '\'') {
                c = take(r);
            } else if (take_escape(r) != 0) {
                return -1;
            } else {
                continue;
            }
        }
        buf_add(&r->now.text, &c, 1);
    }
    if (r->rest.n == 0)
        return import_wrong(r->e, line, "a %c has no other one", quote);
    take(r);
    return 0;
}

static bool ends_word(char c)
{
    return c == 0 || strchr(" \"'\t\r\n={}()+,", c) != NULL;
}

static int next(struct reader *r)
{
    struct token *t = &r->now;

    buf_take(&t->text, t->text.len);
    for (;;) {
        while (r->rest.n > 0 && *r->rest.p && strchr(" \t\r\n", *r->rest.p))
            take(r);
        if (!at(r, "#") && !at(r, "//") && !at(r, "/*"))
            break;
        if (skip_comment(r) != 0)
            return -1;
    }
    t->line = r->line;
    t->quoted = false;
    t->type = T_END;
    if (r->rest.n == 0)
        return 0;
    t->type = T_WORD;
    if (*r->rest.p == '"' || *r->rest.p == '\'') {
        t->quoted = true;
        return take_quoted(r);
    }
    if (ends_word(*r->rest.p)) {
        t->type = T_SIGN;
        t->sign = take(r);
        return 0;
    }
    while (r->rest.n > 0 && !ends_word(*r->rest.p)) {
        char c = take(r);

        buf_add(&t->text, &c, 1);
    }
    if (buf_text(&t->text)[t->text.len - 1] == '$' && at(r, "{"))
        return import_wrong(r->e, t->line,
                            "a value comes from the environment; write it here for the import");
    return 0;
}

static struct str word(struct reader *r)
{
    return (struct str){ buf_text(&r->now.text), r->now.text.len };
}

static bool is_sign(const struct reader *r, char sign)
{
    return r->now.type == T_SIGN && r->now.sign == sign;
}

static int expected(struct reader *r, const char *what)
{
    return import_wrong(r->e, r->now.line, "%s is expected here", what);
}

/* The value behind KEY =: one word, or words in braces. A later + (libconfuse's +=) is refused before. */
static int read_values(struct reader *r, struct import_list *out, struct str key, unsigned line)
{
    bool braces = is_sign(r, '{');

    if (braces && next(r) != 0)
        return -1;
    while (!(braces && is_sign(r, '}'))) {
        if (r->now.type != T_WORD)
            return expected(r, braces ? "a value, or the } of its list," : "a value");
        if (out->n == IMPORT_LIST)
            return import_wrong(r->e, line, "more than %d settings in one place", IMPORT_LIST);
        import_add(out, key, word(r), r->now.line);
        if (next(r) != 0)
            return -1;
        if (!braces)
            return 0;
        if (is_sign(r, ',')) {
            if (next(r) != 0)
                return -1;
        } else if (!is_sign(r, '}')) {
            return expected(r, "a comma, or the } of its list,");
        }
    }
    return next(r);
}

/* One KEY = VALUE, whose key has just been read. `names` takes hostname and alias; NULL outside of sections. */
static int read_setting(struct reader *r, struct import_list *settings, struct import_list *names)
{
    char key[64];
    unsigned line = r->now.line;
    struct str none = { 0 };
    bool is_name;

    if (r->now.quoted || r->now.text.len >= sizeof key)
        return expected(r, "the name of a setting");
    memcpy(key, buf_text(&r->now.text), r->now.text.len + 1);
    if (next(r) != 0)
        return -1;
    if (strcmp(key, "include") == 0 && is_sign(r, '('))
        return import_wrong(r->e, line, "include: put that file's lines here for the import");
    if (!is_sign(r, '='))
        return expected(r, "a =");
    if (next(r) != 0)
        return -1;
    is_name = names && (strcmp(key, "hostname") == 0 || strcmp(key, "alias") == 0);
    if (is_name && names->n > 0)
        return import_wrong(r->e, line,
                            "%s stands here twice, and inadyn takes the last alone; leave one out", key);
    if (is_name)
        return read_values(r, names, none, line);
    return read_values(r, settings, str_of(key), line);
}

static int read_section(struct reader *r, struct import_file *out, bool custom, unsigned line)
{
    struct import_account *account;

    if (r->now.type != T_WORD || r->now.text.len == 0)
        return expected(r, "the name of a service");
    if (out->n == IMPORT_LIST)
        return import_wrong(r->e, line, "more than %d sections", IMPORT_LIST);
    account = import_add_account(out, word(r), line);
    account->custom = custom;
    if (next(r) != 0)
        return -1;
    if (!is_sign(r, '{'))
        return expected(r, "a {");
    if (next(r) != 0)
        return -1;
    while (!is_sign(r, '}')) {
        if (r->now.type != T_WORD)
            return import_wrong(r->e, r->now.type == T_END ? line : r->now.line,
                                r->now.type == T_END ? "this section has no }"
                                                     : "a setting, or } is expected here");
        if (read_setting(r, &account->settings, &account->names) != 0)
            return -1;
    }
    return next(r);
}

static int read_all(struct reader *r, struct import_file *out)
{
    if (next(r) != 0)
        return -1;
    while (r->now.type != T_END) {
        unsigned line = r->now.line;
        bool provider = !r->now.quoted && str_eq(word(r), "provider"),
             custom = !r->now.quoted && str_eq(word(r), "custom");
        int rc;

        if (r->now.type != T_WORD)
            return expected(r, "a setting, provider or custom");
        if (provider || custom)
            rc = next(r) != 0 ? -1 : read_section(r, out, custom, line);
        else
            rc = read_setting(r, &out->globals, NULL);
        if (rc != 0)
            return -1;
    }
    return 0;
}

int import_inadyn(struct str text, struct import_file *out, struct err *e)
{
    struct reader r = { .rest = text, .line = 1, .e = e };
    int rc;

    *out = (struct import_file){ .program = IMPORT_INADYN };
    rc = import_check_text(text, e) != 0 ? -1 : read_all(&r, out);
    if (r.now.text.mem)
        explicit_bzero(r.now.text.mem, r.now.text.room);
    buf_free(&r.now.text);
    return rc;
}
