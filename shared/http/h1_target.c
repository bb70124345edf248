/* Who is asked, and for what: the forms of a target (RFC 9112 3.2), and Host, which has to agree with it. */
#include "shared/http/h1.h"

#include <arpa/inet.h>
#include <string.h>

#include "shared/http/h1_parts.h"
#include "shared/utf8.h"

bool h1_same_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (h1_lower(a.p[i]) != h1_lower(b.p[i]))
            return false;
    return true;
}

/* The bytes of the next character of a name; 0 when it stands in none. Some clients write ü as it is. */
static size_t name_char(const char *p, size_t n)
{
    if ((unsigned char)*p >= 0x80)
        return utf8_printable(p, n);
    return byte_is(*p, BYTE_HOST);
}

/* The bytes of a name or of [IPv6]; 0 when it is neither. An IPv4 address is a name as far as bytes go. */
static size_t host_length(struct str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    const char *end;
    size_t n = 0;

    if (s.n > 0 && s.p[0] == '[') {
        end = memchr(s.p, ']', s.n);
        n = end ? (size_t)(end - s.p) - 1 : 0;
        if (n == 0 || n >= sizeof text || memchr(s.p, 0, n + 1))
            return 0;
        memcpy(text, s.p + 1, n);
        text[n] = 0;
        return inet_pton(AF_INET6, text, &ignored) == 1 ? n + 2 : 0;
    }
    while (n < s.n && name_char(s.p + n, s.n - n) > 0)
        n += name_char(s.p + n, s.n - n);
    return n <= 253 ? n : 0; /* the longest name the DNS can carry */
}

bool h1_authority_parse(struct str authority, struct str *host)
{
    size_t digits;
    unsigned port = 0;

    *host = (struct str){ authority.p, host_length(authority) };
    if (host->n == 0 || host->n == authority.n)
        return host->n > 0;
    digits = authority.n - host->n - 1;
    if (authority.p[host->n] != ':' || digits > 5)
        return false;
    for (size_t i = host->n + 1; i < authority.n; i++) {
        if (!byte_is_digit(authority.p[i]))
            return false;
        port = port * 10 + (unsigned)(authority.p[i] - '0');
    }
    return port <= UINT16_MAX;
}

static struct h1_span span_of(const struct h1_head *h, struct str s)
{
    return (struct h1_span){ (uint32_t)(s.p - h->bytes), (uint32_t)s.n };
}

static int set_authority(struct h1_head *h, struct str authority, const char *why)
{
    struct str host;

    if (!h1_authority_parse(authority, &host))
        return h1_refuse(h, 400, why);
    if (authority.n == host.n + 1) /* RFC 3986 3.2.3: a port may be empty, and is none then */
        authority = host;
    h->authority = span_of(h, authority);
    h->host = span_of(h, host);
    return 0;
}

static bool begins_nocase(struct str s, struct str start)
{
    return s.n >= start.n && h1_same_nocase((struct str){ s.p, start.n }, start);
}

static int absolute_form(struct h1_head *h, struct str target)
{
    size_t skip = begins_nocase(target, STR("http://")) ? 7 : begins_nocase(target, STR("https://")) ? 8 : 0;
    struct str rest = { target.p + skip, target.n - skip };
    size_t n = 0;

    if (skip == 0)
        return h1_refuse(h, 400, "target is neither a path nor a URL of http or https");
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    if (n < rest.n && rest.p[n] == '?')
        return h1_refuse(h, 400, "target has a query without a path");
    h->path = span_of(h, (struct str){ rest.p + n, rest.n - n });
    return set_authority(h, (struct str){ rest.p, n }, "target names no valid host");
}

static int authority_form(struct h1_head *h, struct str target)
{
    if (set_authority(h, target, "target of CONNECT is not a host and a port") < 0)
        return -1;
    return h->host.n < h->authority.n ? 0 : h1_refuse(h, 400, "target of CONNECT has no port");
}

int h1_request_line_done(struct h1_head *h)
{
    struct str method = h1_text(h, h->method), target = h1_text(h, h->target);

    if (str_eq(method, "CONNECT"))
        return authority_form(h, target);
    if (target.p[0] != '/' && !str_eq(target, "*"))
        return absolute_form(h, target);
    if (target.p[0] == '*' && !str_eq(method, "OPTIONS"))
        return h1_refuse(h, 400, "target * for a method other than OPTIONS");
    h->path = h->target;
    return 0;
}

int h1_host_field(struct h1_head *h, struct str value)
{
    const struct h1_span named = h->authority;

    if (set_authority(h, value, "Host is not a name or an address with an optional port") < 0)
        return -1;
    if (named.n > 0 && !h1_same_nocase(h1_text(h, named), h1_text(h, h->authority)))
        return h1_refuse(h, 400, "Host differs from the host in the target");
    return 0;
}
