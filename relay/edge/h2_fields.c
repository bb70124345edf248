#include "relay/edge/h2_fields.h"

#include "shared/mem.h"

#include <ctype.h>
#include <string.h>

enum { FIELD_OVERHEAD = 32 }; /* RFC 9113 6.5.2 */

void h2_fields_free(struct h2_fields *f)
{
    buf_free(&f->method);
    buf_free(&f->scheme);
    buf_free(&f->authority);
    buf_free(&f->path);
    buf_free(&f->protocol);
    buf_free(&f->lines);
    buf_free(&f->cookie);
    buf_free(&f->host);
    buf_free(&f->length);
    *f = (struct h2_fields){ 0 };
}

static bool refuse(struct h2_fields *f, const char *why)
{
    f->why = why;
    return false;
}

/* ---- a request ---- */

/* nghttp2 looks at this too; it must never depend on that, or one request would be taken for two. */
static bool is_one_line(struct str s)
{
    return !memchr(s.p, '\r', s.n) && !memchr(s.p, '\n', s.n) && !memchr(s.p, 0, s.n);
}

static bool is_field_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            return false;
    return h1_is_token(name);
}

static bool add_pseudo(struct h2_fields *f, struct str name, struct str value)
{
    const struct {
        const char *name;
        struct buf *to;
    } known[] = { { ":method", &f->method },
                  { ":scheme", &f->scheme },
                  { ":authority", &f->authority },
                  { ":path", &f->path },
                  { ":protocol", &f->protocol } };

    if (memchr(value.p, ' ', value.n))
        return refuse(f, "blank in a pseudo-header field");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_eq(name, known[i].name)) {
            buf_add(known[i].to, value.p, value.n);
            return true;
        }
    return refuse(f, "unknown pseudo-header field");
}

/* RFC 9113 8.2.2: what is about one connection of HTTP/1.1 has no place here. */
static bool is_connections(struct str name, struct str value)
{
    static const char *const names[] = { "connection", "keep-alive", "proxy-connection", "transfer-encoding",
                                         "upgrade" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eq(name, names[i]))
            return true;
    return str_eq(name, "te") && !str_eq_nocase(value, "trailers");
}

static void add_line(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name.p, name.n);
    buf_add(out, ": ", 2);
    buf_add(out, value.p, value.n);
    buf_add(out, "\r\n", 2);
}

/* RFC 9113 8.2.3: one cookie, whatever it was cut into for the sake of compression. */
static void add_crumb(struct buf *cookie, struct str value)
{
    if (cookie->len > 0)
        buf_add(cookie, "; ", 2);
    buf_add(cookie, value.p, value.n);
}

bool h2_fields_add(struct h2_fields *f, struct str name, struct str value, uint32_t max)
{
    f->bytes += (uint32_t)(name.n + value.n) + FIELD_OVERHEAD;
    if (f->why)
        return false;
    f->too_large = f->bytes > max;
    if (f->too_large)
        return refuse(f, "head longer than max_header");
    if (!is_one_line(name) || !is_one_line(value))
        return refuse(f, "control byte in a field");
    if (name.n > 0 && name.p[0] == ':')
        return add_pseudo(f, name, value);
    if (!is_field_name(name))
        return refuse(f, "name of a field is not a token in lower case");
    if (is_connections(name, value))
        return refuse(f, "field about a connection of HTTP/1.1");
    f->trails = f->trails || str_eq(name, "trailer");
    if (str_eq(name, "content-length"))
        add_line(&f->length, name, value); /* the parser of heads sees whether there is one too many */
    else if (str_eq(name, "cookie"))
        add_crumb(&f->cookie, value);
    else if (str_eq(name, "host") && f->host.len > 0)
        return refuse(f, "more than one Host");
    else if (str_eq(name, "host"))
        buf_add(&f->host, value.p, value.n);
    else if (f->protocol.len == 0 || !str_eq(name, "sec-websocket-key")) /* which is ours to choose */
        add_line(&f->lines, name, value);
    return true;
}

static struct str text_of(const struct buf *b)
{
    return (struct str){ buf_bytes(b), b->len };
}

static bool is_http(struct str scheme)
{
    return str_eq_nocase(scheme, "https") || str_eq_nocase(scheme, "http");
}

/* RFC 3986 6.2.3: the port of the scheme, or none behind a colon, is as good as nothing. */
static struct str without_own_port(struct str host, struct str scheme)
{
    const char *colon = memrchr(host.p, ':', host.n);
    struct str bare, port;

    if (!colon)
        return host;
    bare = (struct str){ host.p, (size_t)(colon - host.p) };
    port = (struct str){ colon + 1, host.n - bare.n - 1 };
    return port.n == 0 || str_eq(port, str_eq_nocase(scheme, "https") ? "443" : "80") ? bare : host;
}

/* RFC 9113 8.3.1: where both are there, they must not mean different hosts. */
static int find_authority(struct h2_fields *f, struct str *authority)
{
    struct str scheme = text_of(&f->scheme), one = without_own_port(text_of(&f->authority), scheme),
               other = without_own_port(text_of(&f->host), scheme);

    *authority = text_of(f->authority.len > 0 ? &f->authority : &f->host);
    if (f->authority.len == 0 || f->host.len == 0)
        return 0;
    if (one.n == other.n && strncasecmp(one.p, other.p, one.n) == 0)
        return 0;
    f->why = "Host differs from :authority";
    return -1;
}

bool h2_fields_wants_chunks(const struct h2_fields *f)
{
    bool connects = str_eq(text_of(&f->method), "CONNECT");

    return !connects && (f->length.len == 0 || f->trails);
}

/* RFC 8441 4: what stands behind the head of an extended CONNECT is no content. RFC 9220 3: 501 is for what nobody knows. */
static const char *why_not_connected(struct h2_fields *f)
{
    if (!str_eq(text_of(&f->method), "CONNECT"))
        return ":protocol without CONNECT";
    if (f->length.len > 0)
        return "content-length of a CONNECT";
    f->unknown_protocol = !str_eq_nocase(text_of(&f->protocol), "websocket");
    return f->unknown_protocol ? "protocol is not websocket" : NULL;
}

/* CONNECT: of HTTP/1.1, for a tunnel to anywhere. */
static const char *why_refused(struct h2_fields *f, bool connects)
{
    if (!connects && !is_http(text_of(&f->scheme)))
        return "scheme is neither https nor http";
    return f->protocol.len > 0 ? why_not_connected(f) : NULL;
}

static void add_upgrade(struct buf *out, const char *websocket_key)
{
    add_line(out, STR("connection"), STR("upgrade"));
    add_line(out, STR("upgrade"), STR("websocket"));
    add_line(out, STR("sec-websocket-key"), str_of(websocket_key));
}

int h2_fields_request(struct h2_fields *f, bool chunked, const char *websocket_key, struct buf *out)
{
    struct str method = f->protocol.len > 0 ? STR("GET") : text_of(&f->method), authority;
    bool connects = str_eq(method, "CONNECT");

    if (f->why || find_authority(f, &authority) != 0 || (f->why = why_refused(f, connects)))
        return -1;
    buf_add(out, method.p, method.n);
    buf_add(out, " ", 1);
    if (connects)
        buf_add(out, authority.p, authority.n);
    else
        buf_add(out, buf_bytes(&f->path), f->path.len);
    buf_add_text(out, " HTTP/1.1\r\n");
    add_line(out, STR("host"), authority);
    if (f->protocol.len > 0)
        add_upgrade(out, websocket_key);
    buf_add(out, buf_bytes(&f->lines), f->lines.len);
    if (f->cookie.len > 0)
        add_line(out, STR("cookie"), text_of(&f->cookie));
    if (chunked)
        buf_add_text(out, "transfer-encoding: chunked\r\n");
    else
        buf_add(out, buf_bytes(&f->length), f->length.len);
    buf_add(out, "\r\n", 2);
    return 0;
}

void h2_fields_trailers(const struct h2_fields *f, struct buf *out)
{
    if (f->lines.len == 0 && f->cookie.len == 0)
        return;
    buf_add(out, buf_bytes(&f->lines), f->lines.len);
    if (f->cookie.len > 0)
        add_line(out, STR("cookie"), text_of(&f->cookie));
    buf_add(out, "\r\n", 2);
}

/* ---- a response ---- */

static bool is_hop(struct str name)
{
    return str_eq(name, "te") || str_eq(name, "proxy-connection") || is_connections(name, STR("trailers"));
}

static void append(struct h2_list *list, struct str name, struct str value)
{
    list->nv[list->n++] = (nghttp2_nv){
        .name = (uint8_t *)name.p, .namelen = name.n, .value = (uint8_t *)value.p, .valuelen = value.n
    };
}

/* Adds one line, and makes its name lower case. */
static void append_line(struct h2_list *list, char *line, size_t n, enum h2_section section)
{
    const char *colon = memchr(line, ':', n);
    struct str name = { line, colon ? (size_t)(colon - line) : n }, value;

    if (!colon)
        return;
    for (size_t i = 0; i < name.n; i++)
        line[i] = (char)tolower((unsigned char)line[i]);
    value = str_trim((struct str){ colon + 1, n - name.n - 1 });
    if (!is_hop(name) && !(section == H2_SWITCHED && str_eq(name, "sec-websocket-accept")))
        append(list, name, value);
}

static size_t count_lines(const char *text, size_t n)
{
    size_t lines = 0;

    for (const char *p = text; (p = memchr(p, '\n', n - (size_t)(p - text))); p++)
        lines++;
    return lines;
}

static size_t section_bytes(const char *text, size_t n)
{
    const char *end = memmem(text, n, "\r\n\r\n", 4);

    return end ? (size_t)(end - text) + 4 : n;
}

/* "HTTP/1.1 200 OK" */
static void append_status(struct h2_list *list, const char *line, enum h2_section section)
{
    append(list, STR(":status"),
           section == H2_SWITCHED ? STR("200") : (struct str){ line + sizeof "HTTP/1.1", 3 });
}

void h2_list_make(struct h2_list *list, char *text, size_t n, enum h2_section section)
{
    char *line = text;

    list->text_bytes = section_bytes(text, n);
    list->n = 0;
    list->nv = mem_grow(NULL, (count_lines(text, list->text_bytes) + 1) * sizeof *list->nv);
    while (line < text + list->text_bytes) {
        char *end = memchr(line, '\n', list->text_bytes - (size_t)(line - text));
        size_t bytes = end ? (size_t)(end - line) - 1 : list->text_bytes - (size_t)(line - text);

        if (section != H2_TRAILERS && line == text)
            append_status(list, line, section);
        else if (bytes > 0)
            append_line(list, line, bytes, section);
        line += bytes + 2;
    }
}
