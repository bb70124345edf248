#include "shared/dns/xml.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_CHARS = 80, ENTITY_CHARS = 10 };

struct reader {
    const char *start, *at, *end;
    struct {
        struct str name; /* as it is written, with its prefix */
        json_t *members;
    } open[XML_DEPTH];
    size_t depth;
    json_t *root;
    struct buf text; /* since the last tag */
    struct err *e;
};

static int fail(struct reader *r, const char *what)
{
    return err_set(r->e, ERR_PEER, "byte %zu of the XML: %s", (size_t)(r->at - r->start), what);
}

static bool looks_at(const struct reader *r, const char *text)
{
    size_t n = strlen(text);

    return (size_t)(r->end - r->at) >= n && memcmp(r->at, text, n) == 0;
}

/* What is between here, where `from` stands, and `to`; behind both afterwards. */
static int between(struct reader *r, const char *from, const char *to, struct str *inside)
{
    const char *start = r->at + strlen(from);
    const char *stop = memmem(start, (size_t)(r->end - start), to, strlen(to));

    if (!stop)
        return fail(r, "what begins here does not end");
    *inside = (struct str){ start, (size_t)(stop - start) };
    r->at = stop + strlen(to);
    return 0;
}

/* ---- text ---- */

static void add_utf8(struct buf *out, uint32_t c)
{
    unsigned char bytes[4] = { (unsigned char)c };
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = n; n > 1 && i-- > 0; c >>= 6)
        bytes[i] = i > 0 ? (unsigned char)(0x80 | (c & 0x3f)) : (unsigned char)(first[n] | c);
    buf_add(out, bytes, n);
}

static bool number_of(struct str digits, uint32_t *number)
{
    uint32_t base = 10;

    *number = 0;
    if (digits.n > 0 && digits.p[0] == 'x') {
        base = 16;
        digits = (struct str){ digits.p + 1, digits.n - 1 };
    }
    for (size_t i = 0; i < digits.n; i++) {
        char c = digits.p[i];
        uint32_t digit = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                         : base == 16 && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : base == 16 && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                              : 99;

        if (digit == 99 || *number > 0x10ffff)
            return false;
        *number = *number * base + digit;
    }
    return digits.n > 0 && *number > 0 && *number <= 0x10ffff && (*number < 0xd800 || *number > 0xdfff);
}

static int read_entity(struct reader *r)
{
    static const struct {
        const char *name, *text;
    } known[] = { { "amp", "&" }, { "lt", "<" }, { "gt", ">" }, { "quot", "\"" }, { "apos", "'" } };
    struct str name = { 0 };
    uint32_t number;

    if (between(r, "&", ";", &name) != 0)
        return -1;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_eq(name, known[i].name)) {
            buf_add_text(&r->text, known[i].text);
            return 0;
        }
    if (name.n < 2 || name.n > ENTITY_CHARS || name.p[0] != '#' ||
        !number_of((struct str){ name.p + 1, name.n - 1 }, &number))
        return fail(r, "an entity in front of this is not known");
    add_utf8(&r->text, number);
    return 0;
}

static int read_text(struct reader *r)
{
    if (*r->at == '&')
        return r->depth > 0 ? read_entity(r) : fail(r, "text outside of the document");
    if (r->depth == 0 && !strchr(" \t\r\n", *r->at))
        return fail(r, "this is no XML");
    if (*r->at == 0)
        return fail(r, "a NUL");
    buf_add(&r->text, r->at++, 1);
    return 0;
}

/* ---- tags ---- */

static bool read_name(struct reader *r, struct str *name)
{
    const char *start = r->at;

    while (r->at < r->end && *r->at &&
           strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:", *r->at))
        r->at++;
    *name = (struct str){ start, (size_t)(r->at - start) };
    return name->n > 0 && name->n <= NAME_CHARS;
}

/* Up to the > that ends the tag; true when it is />. */
static int skip_attributes(struct reader *r, bool *empty)
{
    char quote = 0;

    for (; r->at < r->end; r->at++) {
        if (quote) {
            quote = *r->at == quote ? 0 : quote;
        } else if (*r->at == '"' || *r->at == '\'') {
            quote = *r->at;
        } else if (*r->at == '<') {
            return fail(r, "a tag within a tag");
        } else if (*r->at == '>') {
            *empty = r->at[-1] == '/';
            r->at++;
            return 0;
        }
    }
    return fail(r, "the document ends within a tag");
}

static int close_element(struct reader *r)
{
    json_t *members = r->open[--r->depth].members, *value = members, *list;
    const char *name = r->open[r->depth].name.p, *colon = memchr(name, ':', r->open[r->depth].name.n);
    size_t n = r->open[r->depth].name.n - (colon ? (size_t)(colon + 1 - name) : 0);
    json_t *parent = r->depth > 0 ? r->open[r->depth - 1].members : r->root;
    char key[NAME_CHARS + 1] = "";

    memcpy(key, colon ? colon + 1 : name, n);
    if (json_object_size(members) == 0) {
        json_decref(members);
        value = json_stringn(buf_bytes(&r->text), r->text.len);
        if (!value)
            return fail(r, "a text that is not UTF-8");
    }
    list = json_object_get(parent, key);
    if (!list) {
        list = json_array();
        json_object_set_new(parent, key, list);
    }
    json_array_append_new(list, value);
    buf_take(&r->text, r->text.len);
    return 0;
}

static int open_element(struct reader *r)
{
    struct str name;
    bool empty = false;

    r->at++;
    if (!read_name(r, &name))
        return fail(r, "a tag without a name");
    if (r->depth == XML_DEPTH || (r->depth == 0 && json_object_size(r->root) > 0))
        return fail(r, r->depth > 0 ? "too many elements in each other" : "a second document");
    if (skip_attributes(r, &empty) != 0)
        return -1;
    r->open[r->depth].name = name;
    r->open[r->depth++].members = json_object();
    buf_take(&r->text, r->text.len);
    return empty ? close_element(r) : 0;
}

static int end_tag(struct reader *r)
{
    struct str name = { 0 };

    if (between(r, "</", ">", &name) != 0)
        return -1;
    while (name.n > 0 && strchr(" \t\r\n", name.p[name.n - 1]))
        name.n--;
    if (r->depth == 0 || name.n != r->open[r->depth - 1].name.n ||
        memcmp(name.p, r->open[r->depth - 1].name.p, name.n) != 0)
        return fail(r, "the tag in front of this ends what did not begin");
    return close_element(r);
}

static int read_next(struct reader *r)
{
    struct str inside = { 0 };

    if (looks_at(r, "<?"))
        return between(r, "<?", "?>", &inside);
    if (looks_at(r, "<!--"))
        return between(r, "<!--", "-->", &inside);
    if (looks_at(r, "<![CDATA[") && r->depth > 0) {
        if (between(r, "<![CDATA[", "]]>", &inside) != 0)
            return -1;
        buf_add(&r->text, inside.p, inside.n);
        return 0;
    }
    if (looks_at(r, "<!"))
        return fail(r, "a document type, as web pages have it");
    if (looks_at(r, "</"))
        return end_tag(r);
    return *r->at == '<' ? open_element(r) : read_text(r);
}

json_t *xml_read(struct str text, struct err *e)
{
    struct reader r = {
        .start = text.p, .at = text.p, .end = text.p + text.n, .root = json_object(), .e = e
    };
    int rc = 0;

    if (looks_at(&r, "\xef\xbb\xbf"))
        r.at += 3;
    while (rc == 0 && r.at < r.end)
        rc = read_next(&r);
    if (rc == 0 && (r.depth > 0 || json_object_size(r.root) == 0))
        rc = fail(&r, r.depth > 0 ? "it ends here, within an element" : "there is none");
    while (r.depth > 0)
        json_decref(r.open[--r.depth].members);
    buf_free(&r.text);
    if (rc == 0)
        return r.root;
    json_decref(r.root);
    return NULL;
}

const json_t *xml_child(const json_t *element, const char *name)
{
    return json_array_get(json_object_get(element, name), 0);
}

const char *xml_text(const json_t *element, const char *name)
{
    const char *text = json_string_value(xml_child(element, name));

    return text ? text : "";
}

void xml_escape(struct buf *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&': buf_add_text(out, "&amp;"); break;
        case '<': buf_add_text(out, "&lt;"); break;
        case '>': buf_add_text(out, "&gt;"); break;
        case '"': buf_add_text(out, "&quot;"); break;
        default: buf_add(out, text, 1); break;
        }
}
