/* Heads as they are passed on: the first byte says whose they are, the others are a request or a response. */
#include "relay/edge/headers.h"

#include "relay/edge/forwarded.h"
#include "tests/fuzz/must.h"

#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESPONSE = 1,
    TRUSTED = 2,
    SECURE = 4,
    IPV6 = 8,
    HEAD = 16,
    OTHER_FRAMING = 32,
    CLOSES = 64,
    HSTS = 128
};
enum { MOST_FIELDS = H1_MAX_FIELDS - 16 }; /* so that there is room for ours */

#define ID "0123456789abcdef0123456789abcdef"
static const struct h1_limits limits = { .max_uri = 2000, .max_header = 4000 };
static const struct h1_limits wide = { .max_uri = 2000, .max_header = 100000 };

/* ---- what comes out ---- */

/* '_' is read as '-', as services do that read fields from variables. */
static bool is_called(struct str name, const char *text)
{
    if (name.n != strlen(text))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((name.p[i] == '_' ? '-' : tolower((unsigned char)name.p[i])) != text[i])
            return false;
    return true;
}

static const char *const of_ours[] = { "host",
                                       "content-length",
                                       "transfer-encoding",
                                       "connection",
                                       "te",
                                       "upgrade",
                                       "expect",
                                       "x-real-ip",
                                       "forwarded",
                                       "x-request-id",
                                       "x-forwarded-for",
                                       "x-forwarded-proto",
                                       "x-forwarded-host",
                                       "x-forwarded-port" };

static const char *find_ours(struct str name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_called(name, of_ours[i]))
            return of_ours[i];
    return NULL;
}

static bool same(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* It was in the head that came, and not for this connection alone. */
static bool was_given(const struct h1_head *in, struct str name, struct str value)
{
    for (uint32_t i = 0; i < in->field_count; i++)
        if (same(h1_text(in, in->fields[i].name), name) && same(h1_text(in, in->fields[i].value), value))
            return !h1_field_is_hop(in, &in->fields[i]);
    return false;
}

/* Each of ours is there once, as `h1_field_find` finds it; whatever else there is was given. */
static void check_fields(const struct h1_head *in, const struct h1_head *out, size_t ours_n)
{
    bool seen[sizeof of_ours / sizeof of_ours[0]] = { false };

    for (uint32_t i = 0; i < out->field_count; i++) {
        struct str name = h1_text(out, out->fields[i].name), value = h1_text(out, out->fields[i].value);
        const char *ours = find_ours(name, ours_n);

        if (!ours) {
            must(was_given(in, name, value) ||
                 (in->kind == H1_RESPONSE && str_eq(name, "Strict-Transport-Security")));
            must(in->kind == H1_RESPONSE || name.n < 12 ||
                 !is_called((struct str){ name.p, 12 }, "x-forwarded-"));
            continue;
        }
        must(str_eq_nocase(name, ours));
        for (size_t k = 0; k < ours_n; k++)
            if (of_ours[k] == ours) {
                must(!seen[k]);
                seen[k] = true;
            }
    }
}

static struct str value_of(const struct h1_head *h, const char *name)
{
    int i = h1_field_find(h, name, 0);

    return i < 0 ? (struct str){ "", 0 } : h1_text(h, h->fields[i].value);
}

static void check_connection(const struct h1_head *out)
{
    static const char *const known[] = { "",      "TE",         "Upgrade",        "TE, Upgrade",
                                         "close", "keep-alive", "close, Upgrade", "keep-alive, Upgrade" };
    struct str is = value_of(out, "connection");
    bool found = false;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        found = found || str_eq(is, known[i]);
    must(found);
}

/* ---- requests ---- */

static void check_claims(const struct h1_head *out, const struct headers_visitor *visitor)
{
    struct buf forwarded = { 0 };
    struct str host = h1_text(out, out->authority);
    char peer[64], port[8];

    headers_address_text(&visitor->peer, peer, sizeof peer);
    snprintf(port, sizeof port, "%u", visitor->port);
    must(str_eq(value_of(out, "x-forwarded-for"), peer));
    must(str_eq(value_of(out, "x-real-ip"), peer));
    must(str_eq(value_of(out, "x-forwarded-proto"), visitor->secure ? "https" : "http"));
    must(str_eq(value_of(out, "x-forwarded-port"), port));
    must(same(value_of(out, "x-forwarded-host"), host));
    must(str_eq(value_of(out, "x-request-id"), ID));
    forwarded_add_node(&forwarded, &visitor->peer);
    must(value_of(out, "forwarded").n > forwarded.len);
    must(memcmp(value_of(out, "forwarded").p, buf_bytes(&forwarded), forwarded.len) == 0);
    buf_free(&forwarded);
}

/* The next one that trusts us and this peer finds the same visitor. */
static void check_chain(const struct h1_head *out, const struct headers_visitor *visitor)
{
    struct sockaddr_storage client;
    char text[64];
    bool https;

    must(forwarded_client(out, visitor->trusted, &client));
    headers_address_text(&client, text, sizeof text);
    must(str_eq(value_of(out, "x-real-ip"), text));
    must(forwarded_is_well(out, visitor->trusted, &https));
    must(request_id_is_well(value_of(out, "x-request-id")));
    must(value_of(out, "x-forwarded-proto").n > 0 && value_of(out, "x-forwarded-port").n > 0);
}

static void check_request(const struct h1_head *in, struct h1_head *out, struct headers_visitor *visitor,
                          const struct cidrs *trusted)
{
    struct str path = h1_text(in, in->path);
    struct buf text = { 0 };

    headers_know_visitor(visitor, in, trusted);
    headers_add_request(&text, in, visitor);
    h1_request_init(out);
    must(h1_head_parse(out, buf_bytes(&text), text.len, &wide) == (ssize_t)text.len);
    must(same(h1_text(out, out->method), h1_text(in, in->method)));
    must(path.n == 0 || same(h1_text(out, out->path), path));
    must(same(h1_text(out, out->authority), h1_text(in, in->authority)));
    must(out->framing == in->framing && out->te_trailers == in->te_trailers);
    must(in->framing != H1_LENGTH || out->content_length == in->content_length);
    must(out->expects_continue == in->expects_continue);
    check_fields(in, out, sizeof of_ours / sizeof of_ours[0]);
    check_connection(out);
    if (visitor->trusted)
        check_chain(out, visitor);
    else
        check_claims(out, visitor);
    buf_free(&text);
}

static void fuzz_request(unsigned flags, const char *bytes, size_t n)
{
    static const struct cidr nets[] = { { { [10] = 0xff, 0xff, 10 }, 104 }, { { 0xfd }, 8 } };
    struct headers_visitor visitor = { .port = 8443, .secure = flags & SECURE, .request_id = ID };
    struct h1_head *in = malloc(sizeof *in), *out = malloc(sizeof *out);

    must(cidr_address(flags & IPV6 ? STR("fd00::1") : STR("10.0.0.1"), &visitor.peer));
    h1_request_init(in);
    if (h1_head_parse(in, bytes, n, &limits) > 0 && in->field_count <= MOST_FIELDS && in->authority.n > 0)
        check_request(in, out, &visitor, &(struct cidrs){ flags & TRUSTED ? 2 : 0, nets });
    free(in);
    free(out);
}

/* ---- responses ---- */

static enum h1_framing framing_of(const struct h1_head *in, unsigned flags)
{
    if (in->framing != H1_CHUNKED && in->framing != H1_UNTIL_CLOSE)
        return in->framing;
    return flags & OTHER_FRAMING ? H1_UNTIL_CLOSE : H1_CHUNKED;
}

static void check_response(struct h1_head *in, struct h1_head *out, const char *method, unsigned flags)
{
    const struct headers_changes changes = { .hsts_s = flags & HSTS ? 31536000 : 0 };
    enum h1_framing framing = framing_of(in, flags);
    struct buf text = { 0 };

    if (in->status < 200 || in->status == 204)
        in->content_length = -1; /* as the exchange does */
    headers_add_response(&text, in, framing, flags & CLOSES ? "close" : "", &changes);
    h1_response_init(out, str_of(method));
    must(h1_head_parse(out, buf_bytes(&text), text.len, &wide) == (ssize_t)text.len);
    must(out->status == in->status && out->framing == framing);
    must(same(h1_text(out, out->reason), h1_text(in, in->reason)));
    must(h1_field_find(out, "te", 0) < 0 && h1_field_find(out, "keep-alive", 0) < 0);
    must(in->content_length < 0 || framing == H1_UNTIL_CLOSE || framing == H1_CHUNKED ||
         out->content_length == in->content_length);
    check_connection(out);
    buf_free(&text);
}

static void fuzz_response(unsigned flags, const char *bytes, size_t n)
{
    const char *method = flags & HEAD ? "HEAD" : "GET";
    struct h1_head *in = malloc(sizeof *in), *out = malloc(sizeof *out);

    h1_response_init(in, str_of(method));
    if (h1_head_parse(in, bytes, n, &limits) > 0 && in->field_count <= MOST_FIELDS)
        check_response(in, out, method, flags);
    free(in);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] & RESPONSE)
        fuzz_response(data[0], (const char *)data + 1, size - 1);
    else
        fuzz_request(data[0], (const char *)data + 1, size - 1);
    return 0;
}
