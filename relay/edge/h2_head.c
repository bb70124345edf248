#include "relay/edge/h2_head.h"

#include "shared/mem.h"

#include <ctype.h>
#include <string.h>

/* ---- a request ---- */

static void add_line(struct buf *out, const char *name, struct str value)
{
    buf_add_text(out, name);
    buf_add(out, ": ", 2);
    buf_add(out, value.p, value.n);
    buf_add(out, "\r\n", 2);
}

static struct str up_to(struct str *rest, char c)
{
    const char *end = memchr(rest->p, c, rest->n);
    struct str part = { rest->p, end ? (size_t)(end - rest->p) : rest->n };
    size_t used = end ? part.n + 1 : part.n;

    rest->p += used;
    rest->n -= used;
    return part;
}

/* "Host: " is the first line behind the request line, always: headers_add_request writes it. */
void h2_head_add_pseudo(struct buf *out, struct str text, const char *scheme)
{
    struct str method = up_to(&text, ' '), path = up_to(&text, ' '), host;

    (void)up_to(&text, '\n');
    (void)up_to(&text, ' ');
    host = up_to(&text, '\r');
    (void)up_to(&text, '\n');
    add_line(out, ":method", method);
    add_line(out, ":scheme", str_of(scheme));
    if (host.n > 0) /* HTTP/1.0 needs none */
        add_line(out, ":authority", host);
    add_line(out, ":path", path);
    buf_add(out, text.p, text.n);
}

static bool is_left_out(struct str name, struct str value)
{
    static const char *const names[] = { "connection", "keep-alive", "proxy-connection", "transfer-encoding",
                                         "upgrade" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eq(name, names[i]))
            return true;
    return str_eq(name, "te") && !str_eq_nocase(value, "trailers");
}

/* The name of a pseudo-header field begins with the colon that others end with. */
static void append_line(struct h2_list *list, char *line, size_t n)
{
    size_t from = n > 0 && line[0] == ':';
    const char *colon = memchr(line + from, ':', n - from);
    struct str name, value;

    if (!colon)
        return;
    name = (struct str){ line, (size_t)(colon - line) };
    for (size_t i = 0; i < name.n; i++)
        line[i] = (char)tolower((unsigned char)line[i]);
    value = str_trim((struct str){ colon + 1, n - name.n - 1 });
    if (is_left_out(name, value))
        return;
    list->nv[list->n++] = (nghttp2_nv){
        .name = (uint8_t *)name.p, .namelen = name.n, .value = (uint8_t *)value.p, .valuelen = value.n
    };
}

static size_t count_lines(struct str text)
{
    size_t lines = 0;

    for (; text.n > 0; lines++)
        (void)up_to(&text, '\n');
    return lines;
}

void h2_head_list(struct h2_list *list, char *text, size_t n)
{
    struct str rest = { text, n };

    *list = (struct h2_list){ .text_bytes = n };
    list->nv = mem_grow(NULL, (count_lines(rest) + 1) * sizeof *list->nv);
    while (rest.n > 0) {
        size_t at = n - rest.n;
        struct str line = up_to(&rest, '\n');

        if (line.n > 1)
            append_line(list, text + at, line.n - 1);
    }
}

/* ---- a response ---- */

void h2_head_add_response(struct buf *out, int status, const struct h2_fields *fields)
{
    buf_printf(out, "HTTP/1.1 %d \r\n", status);
    buf_add(out, buf_bytes(&fields->lines), fields->lines.len);
    buf_add(out, buf_bytes(&fields->length), fields->length.len);
    if (fields->cookie.len > 0)
        add_line(out, "cookie", (struct str){ buf_bytes(&fields->cookie), fields->cookie.len });
    if (fields->host.len > 0)
        add_line(out, "host", (struct str){ buf_bytes(&fields->host), fields->host.len });
    buf_add(out, "\r\n", 2);
}
