/* What the fields of a head mean: framing, expectations, and what happens to the connection afterwards. */
#include "shared/http/h1.h"

#include <string.h>

#include "shared/http/h1_parts.h"

/* Every field with a meaning here has a length of its own, which finds it in the table and stands for it in
 * code. */
enum { F_TE = 2, F_HOST = 4, F_EXPECT = 6, F_UPGRADE = 7, F_CONNECTION = 10, F_LENGTH = 14, F_CODING = 17 };

static const struct {
    const char *name;
    const char *repeated; /* why a second one is refused; NULL where RFC 9110 joins them to one list */
} meant[F_CODING + 1] = {
    [F_TE] = { "te", NULL },
    [F_HOST] = { "host", "more than one Host" },
    [F_EXPECT] = { "expect", "more than one Expect" },
    [F_UPGRADE] = { "upgrade", "more than one Upgrade" },
    [F_CONNECTION] = { "connection", NULL },
    [F_LENGTH] = { "content-length", "more than one Content-Length" },
    [F_CODING] = { "transfer-encoding", "more than one Transfer-Encoding" },
};

static const char *const never_trailing[] = {
    "transfer-encoding",
    "content-length",
    "content-encoding",
    "content-range",
    "content-type",
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "max-forwards",
    "range",
    "cache-control",
    "authorization",
    "www-authenticate",
    "cookie",
    "set-cookie",
    "proxy-authenticate",
    "proxy-authorization",
    "forwarded",
    "x-real-ip",
    "x-request-id",
};

/* For names as long as the text. '_' is read as '-': servers that pass fields on in variables do so. */
static bool spells(struct str name, const char *text)
{
    for (size_t i = 0; i < name.n; i++)
        if ((name.p[i] == '_' ? '-' : h1_lower(name.p[i])) != text[i])
            return false;
    return true;
}

bool h1_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!byte_is(s.p[i], BYTE_TOKEN))
            return false;
    return s.n > 0;
}

/* The next element of a comma-separated list, without the blanks around it; it may be empty. */
static bool next_element(struct str *rest, struct str *element)
{
    const char *comma = rest->p ? memchr(rest->p, ',', rest->n) : NULL;
    size_t n = comma ? (size_t)(comma - rest->p) : rest->n;

    if (!rest->p)
        return false;
    *element = str_trim((struct str){ rest->p, n });
    *rest = comma ? (struct str){ comma + 1, rest->n - n - 1 } : (struct str){ NULL, 0 };
    return true;
}

/* 18 digits always fit, and no body is that long. */
static int length_field(struct h1_head *h, struct str value)
{
    int64_t length = 0;

    if (h->framing == H1_CHUNKED)
        return h1_refuse(h, 400, "Content-Length together with Transfer-Encoding");
    for (size_t i = 0; i < value.n; i++) {
        if (!byte_is_digit(value.p[i]))
            return h1_refuse(h, 400, "Content-Length is not a number");
        if (i == 18)
            return h1_refuse(h, 400, "Content-Length is too large");
        length = length * 10 + (value.p[i] - '0');
    }
    if (value.n == 0)
        return h1_refuse(h, 400, "Content-Length is not a number");
    h->content_length = length;
    return 0;
}

/* A coding we do not know is worth a 501 only when the list itself is in order. */
static int refuse_coding(struct h1_head *h, struct str list)
{
    struct str coding;
    bool chunked = false;

    while (next_element(&list, &coding)) {
        if (!h1_is_token(coding))
            return h1_refuse(h, 400, "Transfer-Encoding is not a list of codings");
        if (chunked)
            return h1_refuse(h, 400, "chunked is not the last transfer coding");
        chunked = str_eq_nocase(coding, "chunked");
    }
    return h1_refuse(h, 501, "transfer coding other than chunked");
}

static int coding_field(struct h1_head *h, struct str value)
{
    if (h->minor == 0)
        return h1_refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    if (h->content_length >= 0)
        return h1_refuse(h, 400, "Content-Length together with Transfer-Encoding");
    if (!str_eq_nocase(value, "chunked"))
        return refuse_coding(h, value);
    h->framing = H1_CHUNKED;
    return 0;
}

/* An expectation that only looks like 100-continue is read differently by the servers behind us. */
static int expect_field(struct h1_head *h, struct str value)
{
    if (h->minor == 0)
        return 0;
    if (!str_eq_nocase(value, "100-continue"))
        return h1_refuse(h, 417, "expectation other than 100-continue");
    h->expects_continue = true;
    return 0;
}

static int connection_field(struct h1_head *h, struct str list)
{
    struct str option;

    while (next_element(&list, &option)) {
        if (h->connection_options++ == H1_MAX_CONNECTION_OPTIONS)
            return h1_refuse(h, 400, "too many options in Connection");
        if (option.n > 0 && !h1_is_token(option))
            return h1_refuse(h, 400, "Connection is not a list of tokens");
        if (str_eq_nocase(option, "close"))
            h->closes = true;
        else if (str_eq_nocase(option, "keep-alive"))
            h->keeps = true;
        else if (str_eq_nocase(option, "upgrade"))
            h->upgrades = true;
        else
            h->names_fields = true;
    }
    return 0;
}

static int te_field(struct h1_head *h, struct str list)
{
    struct str coding;

    while (next_element(&list, &coding))
        h->te_trailers |= str_eq_nocase(coding, "trailers");
    return 0;
}

static int trailer_field(struct h1_head *h, struct str name)
{
    bool forbidden = name.n > 12 && spells((struct str){ name.p, 12 }, "x-forwarded-");

    for (size_t i = 0; i < sizeof never_trailing / sizeof *never_trailing; i++)
        forbidden |= name.n == strlen(never_trailing[i]) && spells(name, never_trailing[i]);
    return forbidden ? h1_refuse(h, 400, "field that may not be a trailer") : 0;
}

static bool has(const struct h1_head *h, size_t field)
{
    return (h->seen & 1u << field) != 0;
}

int h1_field_done(struct h1_head *h, const struct h1_field *field)
{
    struct str name = h1_text(h, field->name), value = h1_text(h, field->value);

    if (h->kind == H1_TRAILERS)
        return trailer_field(h, name);
    if (name.n > F_CODING || !meant[name.n].name || !spells(name, meant[name.n].name))
        return 0;
    if (h->kind == H1_RESPONSE && (name.n == F_HOST || name.n == F_EXPECT || name.n == F_TE))
        return 0;
    if (memchr(name.p, '_', name.n))
        return h1_refuse(h, 400, "field that spells a framing field with an underscore");
    if (h->kind == H1_RESPONSE && name.n == F_UPGRADE && h->status != 101)
        return 0; /* what a service could speak besides; some say it twice */
    if (meant[name.n].repeated && has(h, name.n))
        return h1_refuse(h, 400, meant[name.n].repeated);
    h->seen |= 1u << name.n;
    switch (name.n) {
    case F_TE: return te_field(h, value);
    case F_HOST: return h1_host_field(h, value);
    case F_EXPECT: return expect_field(h, value);
    case F_UPGRADE: h->upgrade = field->value; return 0;
    case F_CONNECTION: return connection_field(h, value);
    case F_LENGTH: return length_field(h, value);
    default: return coding_field(h, value);
    }
}

static int request_done(struct h1_head *h, bool has_body)
{
    if (h->minor == 1 && !has(h, F_HOST))
        return h1_refuse(h, 400, "HTTP/1.1 without Host");
    if (str_eq(h1_text(h, h->method), "CONNECT") && (has(h, F_LENGTH) || has(h, F_CODING)))
        return h1_refuse(h, 400, "body in a CONNECT request");
    if (h->framing == H1_NO_BODY && h->content_length >= 0)
        h->framing = H1_LENGTH;
    h->expects_continue &= has_body;
    return 0;
}

/* Where RFC 9112 6.3 says that no body follows, whatever the fields promise, a body may come all the same
 * from a service that is wrong about it. Its bytes would be taken for the next response, so the connection
 * ends here. */
static int response_done(struct h1_head *h, bool has_body)
{
    bool tunnel = h->status == 101 || (h->to_connect && h->status / 100 == 2);

    if (h->status < 200 && has_body)
        return h1_refuse(h, 400, "body in a 1xx response");
    if (h->status < 200 || h->status == 204 || h->status == 304 || h->to_head || tunnel) {
        h->closes |= tunnel || (h->status == 204 && has_body);
        h->framing = H1_NO_BODY;
    } else if (h->framing == H1_NO_BODY) {
        h->framing = h->content_length >= 0 ? H1_LENGTH : H1_UNTIL_CLOSE;
    }
    return 0;
}

int h1_head_done(struct h1_head *h)
{
    bool has_body = h->framing == H1_CHUNKED || h->content_length > 0;

    if (h->kind == H1_TRAILERS)
        return 0;
    if ((h->kind == H1_REQUEST ? request_done(h, has_body) : response_done(h, has_body)) < 0)
        return -1;
    if (h->minor == 0 || !h->upgrades)
        h->upgrade.n = 0;
    h->keep_alive = !h->closes && (h->minor == 1 || h->keeps) && h->framing != H1_UNTIL_CLOSE;
    return 0;
}

int h1_field_find(const struct h1_head *h, const char *name, uint32_t from)
{
    for (uint32_t i = from; i < h->field_count; i++)
        if (str_eq_nocase(h1_text(h, h->fields[i].name), name))
            return (int)i;
    return -1;
}

static bool named_by_connection(const struct h1_head *h, struct str name)
{
    for (int i = h1_field_find(h, "connection", 0); i >= 0;
         i = h1_field_find(h, "connection", (uint32_t)i + 1)) {
        struct str list = h1_text(h, h->fields[i].value), option;

        while (next_element(&list, &option))
            if (h1_same_nocase(option, name))
                return true;
    }
    return false;
}

/* RFC 9110 7.6.1, and Proxy-Connection, which some clients still send. */
static bool is_always_hop(struct str name)
{
    switch (name.n) {
    case 2: return str_eq_nocase(name, "te");
    case 7: return str_eq_nocase(name, "upgrade");
    case 10: return str_eq_nocase(name, "connection") || str_eq_nocase(name, "keep-alive");
    case 16: return str_eq_nocase(name, "proxy-connection");
    case 17: return str_eq_nocase(name, "transfer-encoding");
    default: return false;
    }
}

bool h1_field_is_hop(const struct h1_head *h, const struct h1_field *field)
{
    struct str name = h1_text(h, field->name);

    return is_always_hop(name) || (h->names_fields && named_by_connection(h, name));
}
