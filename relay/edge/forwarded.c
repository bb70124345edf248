#include "relay/edge/forwarded.h"

#include "relay/edge/headers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { NODE_BYTES = 64 }; /* of an address with brackets and port; what is longer is none */

/* What has been read of a chain, from left to right. */
struct chain {
    const struct cidrs *trusted;
    bool found;                     /* false: nobody, or junk stood last */
    struct sockaddr_storage client; /* so far */
    bool read_any;
    bool https;        /* the first one that can be believed was asked by that */
    struct buf *texts; /* NULL: not wanted; otherwise the client and who comes behind */
    bool as_elements;
};

/* ---- addresses as text ---- */

void forwarded_add_node(struct buf *out, const struct sockaddr_storage *addr)
{
    char text[INET6_ADDRSTRLEN];
    bool ipv6; /* RFC 7239: stands in brackets and quotes */

    headers_address_text(addr, text, sizeof text);
    ipv6 = strchr(text, ':');
    buf_add_text(out, ipv6 ? "for=\"[" : "for=");
    buf_add_text(out, text);
    buf_add_text(out, ipv6 ? "]\"" : "");
}

/* A number, or a name that RFC 7239 lets a proxy give instead. */
static bool is_port(struct str text)
{
    bool hidden = text.n > 1 && text.p[0] == '_';

    for (size_t i = 0; !hidden && i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return hidden || (text.n >= 1 && text.n <= 5);
}

/* 192.0.2.7, 192.0.2.7:4711, 2001:db8::7, [2001:db8::7] or [2001:db8::7]:4711. */
static bool read_node(struct str text, struct sockaddr_storage *addr)
{
    const char *first = memchr(text.p, ':', text.n), *last = memrchr(text.p, ':', text.n), *end;
    struct str host = text;

    if (text.n > 0 && text.p[0] == '[') {
        end = memchr(text.p, ']', text.n);
        if (!end || !first || first > end) /* [192.0.2.7] is none */
            return false;
        host = (struct str){ text.p + 1, (size_t)(end - text.p) - 1 };
        last = end + 1 < text.p + text.n ? end + 1 : NULL;
        if (last && *last != ':')
            return false;
    } else if (first && first == last) {
        host.n = (size_t)(first - text.p);
    } else {
        last = NULL;
    }
    if (last && !is_port((struct str){ last + 1, (size_t)(text.p + text.n - last) - 1 }))
        return false;
    return cidr_address(host, addr);
}

/* ---- the chain ---- */

static void begin_anew(struct chain *c)
{
    c->found = c->read_any = c->https = false;
    if (c->texts)
        buf_free(c->texts);
}

static void add_text(struct chain *c, const struct sockaddr_storage *addr)
{
    char text[INET6_ADDRSTRLEN];

    if (!c->texts)
        return;
    if (c->as_elements) {
        forwarded_add_node(c->texts, addr);
    } else {
        headers_address_text(addr, text, sizeof text);
        buf_add_text(c->texts, text);
    }
    buf_add(c->texts, ", ", 2);
}

/* From left to right: what an untrusted address says of those before it counts no more. */
static void add_node(struct chain *c, struct str node, bool https)
{
    struct sockaddr_storage addr;
    bool is_address = read_node(node, &addr);

    if (!is_address || !cidrs_have(c->trusted, &addr))
        begin_anew(c);
    if (!c->read_any)
        c->https = https;
    c->read_any = true;
    if (!is_address)
        return;
    if (!c->found)
        c->client = addr;
    c->found = true;
    add_text(c, &addr);
}

/* ---- X-Forwarded-For ---- */

static struct str without_quotes(struct str text)
{
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        return (struct str){ text.p + 1, text.n - 2 };
    return text;
}

static void read_list(struct chain *c, struct str list)
{
    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        struct str entry = str_trim((struct str){ list.p, n });

        if (entry.n > 0)
            add_node(c, without_quotes(entry), false);
        list.p += comma ? n + 1 : n;
        list.n -= comma ? n + 1 : n;
    }
}

/* ---- Forwarded ---- */

struct value {
    bool is_there;
    char text[NODE_BYTES];
    size_t n; /* more than fits: it is none that we know */
};

struct element {
    bool any;
    struct value node, proto;
};

static bool is_token_char(char c)
{
    return h1_is_token((struct str){ &c, 1 });
}

static void skip_blanks(struct str *in)
{
    while (in->n > 0 && (in->p[0] == ' ' || in->p[0] == '\t')) {
        in->p++;
        in->n--;
    }
}

static char take_char(struct str *in)
{
    in->n--;
    return *in->p++;
}

static void put(struct value *v, char c)
{
    if (v && v->n < NODE_BYTES)
        v->text[v->n++] = c;
}

static bool take_quoted(struct str *in, struct value *v)
{
    take_char(in); /* the quote */
    while (in->n > 0) {
        char c = take_char(in);

        if (c == '"')
            return true;
        if (c == '\\' && in->n == 0)
            return false;
        put(v, c == '\\' ? take_char(in) : c);
    }
    return false;
}

static bool is_plain_char(char c)
{
    return is_token_char(c) || c == ':' || c == '[' || c == ']';
}

/* Addresses stand in quotes where they have a colon, but not every proxy knows that. */
static bool take_plain(struct str *in, struct value *v)
{
    size_t before = in->n;

    while (in->n > 0 && is_plain_char(in->p[0]))
        put(v, take_char(in));
    return in->n < before;
}

static bool take_pair(struct str *in, struct element *e)
{
    struct str name = { in->p, 0 };
    struct value *v;

    while (in->n > 0 && is_token_char(in->p[0])) {
        take_char(in);
        name.n++;
    }
    if (name.n == 0 || in->n == 0 || take_char(in) != '=')
        return false;
    v = str_eq_nocase(name, "for") ? &e->node : str_eq_nocase(name, "proto") ? &e->proto : NULL;
    if (v && v->is_there)
        return false;
    e->any = true;
    if (v)
        v->is_there = true;
    return in->n > 0 && in->p[0] == '"' ? take_quoted(in, v) : take_plain(in, v);
}

/* Up to the next comma or the end. False when it is no element: then it cannot be said where the next one begins. */
static bool take_element(struct str *in, struct element *e)
{
    *e = (struct element){ 0 };
    for (;;) {
        skip_blanks(in);
        if (in->n > 0 && in->p[0] != ';' && in->p[0] != ',' && !take_pair(in, e))
            return false;
        skip_blanks(in);
        if (in->n == 0)
            return true;
        switch (take_char(in)) {
        case ',': return true;
        case ';': break;
        default: return false;
        }
    }
}

static bool read_elements(struct chain *c, struct str list)
{
    struct element e;

    while (list.n > 0) {
        if (!take_element(&list, &e)) {
            begin_anew(c);
            return false;
        }
        if (e.any)
            add_node(c, (struct str){ e.node.text, e.node.n },
                     str_eq_nocase((struct str){ e.proto.text, e.proto.n }, "https"));
    }
    return true;
}

/* ---- a request ---- */

static bool read_fields(struct chain *c, const struct h1_head *head, const char *name,
                        void (*read)(struct chain *c, struct str value))
{
    bool any = false;

    for (int i = h1_field_find(head, name, 0); i >= 0; i = h1_field_find(head, name, (uint32_t)i + 1)) {
        struct str value = h1_text(head, head->fields[i].value);

        read(c, value);
        any = any || value.n > 0;
    }
    return any;
}

static void read_forwarded(struct chain *c, struct str value)
{
    (void)read_elements(c, value); /* what cannot be read ends the chain */
}

static void read_chain(struct chain *c, const struct h1_head *head)
{
    if (!read_fields(c, head, "x-forwarded-for", read_list))
        read_fields(c, head, "forwarded", read_forwarded);
}

bool forwarded_client(const struct h1_head *head, const struct cidrs *trusted,
                      struct sockaddr_storage *client)
{
    struct chain c = { .trusted = trusted };

    read_chain(&c, head);
    if (c.found)
        *client = c.client;
    return c.found;
}

void forwarded_add_chain(struct buf *out, const struct h1_head *head, const struct cidrs *trusted,
                         bool as_elements)
{
    struct buf texts = { 0 };
    struct chain c = { .trusted = trusted, .texts = &texts, .as_elements = as_elements };

    read_chain(&c, head);
    buf_add(out, buf_bytes(&texts), texts.len);
    buf_free(&texts);
}

static bool is_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct buf one = { 0 }, other = { 0 };
    bool same;

    forwarded_add_node(&one, a);
    forwarded_add_node(&other, b);
    same = strcmp(buf_text(&one), buf_text(&other)) == 0;
    buf_free(&one);
    buf_free(&other);
    return same;
}

static bool names_the_same(const struct h1_head *head, const struct cidrs *trusted, bool *https)
{
    struct chain alone = { .trusted = trusted };
    struct sockaddr_storage client;

    read_fields(&alone, head, "forwarded", read_forwarded);
    *https = alone.https;
    return forwarded_client(head, trusted, &client) == alone.found &&
           (!alone.found || is_same_address(&client, &alone.client));
}

bool forwarded_is_well(const struct h1_head *head, const struct cidrs *trusted, bool *https)
{
    struct chain c = { .trusted = &(struct cidrs){ 0 } };
    bool any = false;

    for (int i = h1_field_find(head, "forwarded", 0); i >= 0;
         i = h1_field_find(head, "forwarded", (uint32_t)i + 1)) {
        struct str value = h1_text(head, head->fields[i].value);

        if (!read_elements(&c, value))
            return false;
        any = any || value.n > 0;
    }
    return any && names_the_same(head, trusted, https);
}
