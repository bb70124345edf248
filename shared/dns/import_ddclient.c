/* ddclient.conf: a line is [KEY=VALUE, ...] [HOST,HOST... [LOGIN [PASSWORD]]]. Without a host it sets what holds for all that follow.
 *
 * A line that ends with \ goes on in the next one. # begins a comment anywhere, but not in a password. */
#include "shared/dns/import.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

#define NO_BLANKS "a = that belongs to no setting; there are no blanks around it in KEY=VALUE"

/* In a joined line: what stands in for the end of a physical line, and around a password, which is taken as it is. */
enum { NEXT_LINE = 1, RAW_BEGIN = 2, RAW_END = 3 };

struct reader {
    struct str rest;
    unsigned line;
};

static char peek(struct reader *r)
{
    while (r->rest.n > 0 && *r->rest.p == NEXT_LINE) {
        r->rest.p++;
        r->rest.n--;
        r->line++;
    }
    return r->rest.n > 0 ? *r->rest.p : 0;
}

static char take(struct reader *r)
{
    char c = peek(r);

    if (c) {
        r->rest.p++;
        r->rest.n--;
    }
    return c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* ---- physical lines ---- */

/* Where the value of the line's password begins: the first key with "password" in it, in front of any comment. 0: none. */
static size_t password_at(struct str line)
{
    for (size_t i = 0; i < line.n && line.p[i] != '#'; i++) {
        size_t from = i;

        if (line.p[i] != '=')
            continue;
        while (from > 0 && is_blank(line.p[from - 1]))
            from--;
        while (from > 0 && is_key_char(line.p[from - 1]))
            from--;
        if (memmem(line.p + from, i - from, "password", 8) && i + 1 < line.n) {
            for (i++; i < line.n && is_blank(line.p[i]); i++)
                ;
            return i < line.n ? i : 0;
        }
    }
    return 0;
}

/* In single quotes up to the last of them, or else up to a blank; a comma behind it belongs to the list. */
static size_t password_end(struct str line, size_t at)
{
    const char *last = line.p[at] == '\'' ? memrchr(line.p + at + 1, '\'', line.n - at - 1) : NULL;
    size_t end = at;

    if (last)
        return (size_t)(last - line.p) + 1;
    while (end < line.n && !is_blank(line.p[end]))
        end++;
    if (end == line.n && end > at && line.p[end - 1] == '\\')
        end--;
    if (end > at && line.p[end - 1] == ',')
        end--;
    return end;
}

static void add_piece(struct buf *out, struct str piece)
{
    const char *comment = piece.n > 0 ? memchr(piece.p, '#', piece.n) : NULL;

    buf_add(out, piece.p, comment ? (size_t)(comment - piece.p) : piece.n);
}

/* Adds the line without its comment; says whether it goes on in the next. */
static bool add_line(struct buf *out, struct str line)
{
    size_t at = password_at(line), end = at ? password_end(line, at) : 0, before;
    bool quoted = at && end > at + 1 && line.p[at] == '\'' && line.p[end - 1] == '\'';
    const char mark[] = { RAW_BEGIN, RAW_END, NEXT_LINE };

    if (at && end > at) {
        size_t key_end = at;

        while (is_blank(line.p[key_end - 1]))
            key_end--; /* ddclient takes blanks around a password's = */
        buf_add(out, line.p, key_end);
        buf_add(out, &mark[0], 1);
        buf_add(out, line.p + at + quoted, end - at - (quoted ? 2 : 0));
        buf_add(out, &mark[1], 1);
        line = (struct str){ line.p + end, line.n - end };
    }
    before = out->len;
    add_piece(out, line);
    if (out->len == before || buf_bytes(out)[out->len - 1] != '\\')
        return false;
    out->len--;
    buf_add(out, &mark[2], 1);
    return true;
}

/* ---- joined lines ---- */

static void skip_between(struct reader *r)
{
    while (is_blank(peek(r)) || peek(r) == ',')
        take(r);
}

static void take_raw(struct reader *r, struct buf *out)
{
    char c;

    take(r);
    while ((c = take(r)) && c != RAW_END)
        buf_add(out, &c, 1);
}

static int take_value(struct reader *r, struct buf *out, struct err *e)
{
    unsigned line = (peek(r), r->line);
    char quote = 0, c;

    while ((c = peek(r)) && (quote || (!is_blank(c) && c != ','))) {
        if (c == RAW_BEGIN) {
            take_raw(r, out);
            continue;
        }
        take(r);
        if (c == '\\' && peek(r))
            c = take(r);
        else if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? 0 : c;
            continue;
        }
        buf_add(out, &c, 1);
    }
    return quote ? import_wrong(e, line, "a %c has no other one in its line", quote) : 0;
}

/* The key of a KEY=VALUE that begins here, with the = taken; otherwise nothing is taken. */
static bool take_key(struct reader *r, struct buf *out)
{
    struct reader ahead = *r;
    char c = peek(&ahead);

    buf_take(out, out->len);
    if (!(c >= 'a' && c <= 'z'))
        return false;
    while (is_key_char(peek(&ahead))) {
        c = take(&ahead);
        buf_add(out, &c, 1);
    }
    while (memmem(buf_text(out), out->len, "password", 8) && is_blank(peek(&ahead)))
        take(&ahead);
    if (take(&ahead) != '=')
        return false;
    *r = ahead;
    return true;
}

static struct str text_of(struct buf *b)
{
    return (struct str){ buf_text(b), b->len };
}

static void wipe(struct buf *b)
{
    if (b->mem)
        explicit_bzero(b->mem, b->room);
    buf_free(b);
}

static int read_settings(struct reader *r, struct import_list *out, struct err *e)
{
    struct buf key = { 0 }, value = { 0 };
    int rc = 0;

    for (skip_between(r); rc == 0 && take_key(r, &key); skip_between(r)) {
        unsigned line = r->line;

        buf_take(&value, value.len);
        rc = out->n == IMPORT_LIST ? import_wrong(e, line, "more than %d settings", IMPORT_LIST)
                                   : take_value(r, &value, e);
        if (rc == 0)
            import_add(out, text_of(&key), text_of(&value), line);
    }
    buf_free(&key);
    wipe(&value);
    return rc;
}

/* A word behind the settings; of the first one, commas with blanks around them are part. */
static bool take_argument(struct reader *r, bool first, struct buf *out)
{
    buf_take(out, out->len);
    while (is_blank(peek(r)))
        take(r);
    while (peek(r) && !is_blank(peek(r))) {
        char c = peek(r);

        if (c == RAW_BEGIN) {
            take_raw(r, out);
            continue;
        }
        take(r);
        buf_add(out, &c, 1);
        while (first && is_blank(peek(r))) {
            struct reader ahead = *r;

            while (is_blank(peek(&ahead)))
                take(&ahead);
            if (c != ',' && peek(&ahead) != ',')
                break;
            *r = ahead;
        }
    }
    return out->len > 0;
}

static int add_names(struct import_account *account, struct str list, unsigned line, struct err *e)
{
    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        struct str name = { list.p, comma ? (size_t)(comma - list.p) : list.n };

        if (memchr(name.p, '=', name.n))
            return import_wrong(e, line, NO_BLANKS);
        if (account->names.n == IMPORT_LIST)
            return import_wrong(e, line, "more than %d names", IMPORT_LIST);
        if (name.n > 0)
            import_add(&account->names, (struct str){ 0 }, name, line);
        list.p += name.n + (comma != NULL);
        list.n -= name.n + (comma != NULL);
    }
    return 0;
}

static void copy_globals(struct import_account *account, const struct import_list *globals)
{
    for (size_t i = globals->n; i > 0; i--) /* the last one holds */
        if (!import_find(&account->settings, globals->list[i - 1].key))
            import_add(&account->settings, str_of(globals->list[i - 1].key),
                       str_of(globals->list[i - 1].value), globals->list[i - 1].line);
}

static int read_account(struct reader *r, struct import_list *settings, struct import_file *out,
                        struct err *e)
{
    struct import_pair *host = import_find(settings, "host");
    struct buf word = { 0 };
    bool some = take_argument(r, true, &word);
    struct import_account *account = NULL;
    int rc = 0;

    if (!some && !host) {
        for (size_t i = 0; i < settings->n; i++)
            import_add(&out->globals, str_of(settings->list[i].key), str_of(settings->list[i].value),
                       settings->list[i].line);
        goto out;
    }
    if (out->n == IMPORT_LIST) {
        rc = import_wrong(e, r->line, "more than %d lines with names", IMPORT_LIST);
        goto out;
    }
    account = import_add_account(out, (struct str){ "", 0 }, r->line);
    account->settings = *settings; /* takes them */
    *settings = (struct import_list){ 0 };
    rc = some ? add_names(account, text_of(&word), r->line, e) : 0;
    if (rc == 0 && host)
        rc = add_names(account, str_of(host->value), host->line, e);
    if (rc == 0 && take_argument(r, false, &word)) {
        if (memchr(buf_text(&word), '=', 1))
            rc = import_wrong(e, r->line, NO_BLANKS);
        import_add(&account->settings, STR("login"), text_of(&word), r->line);
    }
    if (rc == 0 && take_argument(r, false, &word))
        import_add(&account->settings, STR("password"), text_of(&word), r->line);
    if (rc == 0 && take_argument(r, false, &word))
        rc = import_wrong(
            e, r->line, "too many words; names are separated by commas, and login and password follow them");
    copy_globals(account, &out->globals);
    if (import_find(&account->settings, "protocol")) {
        free(account->service);
        account->service = mem_copy(import_find(&account->settings, "protocol")->value);
    }
out:
    wipe(&word);
    return rc;
}

static int read_joined(struct buf *joined, unsigned line, struct import_file *out, struct err *e)
{
    struct reader r = { text_of(joined), line };
    struct import_list settings = { 0 };
    struct import_file holder = { 0 };
    int rc = read_settings(&r, &settings, e);

    if (rc == 0)
        rc = read_account(&r, &settings, out, e);
    holder.globals = settings; /* what was not taken is freed with it */
    import_file_free(&holder);
    return rc;
}

int import_ddclient(struct str text, struct import_file *out, struct err *e)
{
    struct buf joined = { 0 };
    unsigned number = 0, first = 1;
    bool more;
    int rc = import_check_text(text, e);

    *out = (struct import_file){ .program = IMPORT_DDCLIENT };
    while (text.n > 0 && rc == 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        struct str line = { text.p, n > 0 && text.p[n - 1] == '\r' ? n - 1 : n };

        number++;
        text.p += n + (end != NULL);
        text.n -= n + (end != NULL);
        more = add_line(&joined, line);
        if (more && text.n > 0)
            continue;
        joined.len -= more; /* the last line has none to go on in */
        rc = read_joined(&joined, first, out, e);
        buf_take(&joined, joined.len);
        first = number + 1;
    }
    wipe(&joined);
    return rc;
}
