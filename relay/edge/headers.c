#include "relay/edge/headers.h"

#include "relay/edge/forwarded.h"
#include "relay/edge/upgrade.h"
#include "shared/http/date.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Each of these says who the visitor is, or which way he came; believed from a visitor, it would let him be anyone.
 * So does all that begins with the first. */
static const char forwarded[] = "x-forwarded-";
static const char *const visitor_fields[] = { "x-real-ip", "forwarded", "x-request-id" };

/* Without printf, by which inet_ntop does it: each request needs some. */
static void ipv4_text(const void *addr, char *out)
{
    const uint8_t *bytes = addr;

    for (int i = 0; i < 4; i++) {
        if (bytes[i] >= 100)
            *out++ = (char)('0' + bytes[i] / 100);
        if (bytes[i] >= 10)
            *out++ = (char)('0' + bytes[i] / 10 % 10);
        *out++ = (char)('0' + bytes[i] % 10);
        *out++ = i < 3 ? '.' : 0;
    }
}

void headers_address_text(const struct sockaddr_storage *addr, char *out, size_t room)
{
    const struct sockaddr_in *v4 = (const void *)addr;
    const struct sockaddr_in6 *v6 = (const void *)addr;

    assert(room >= INET_ADDRSTRLEN);
    out[0] = 0;
    if (addr->ss_family == AF_INET)
        ipv4_text(&v4->sin_addr, out);
    else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        ipv4_text(v6->sin6_addr.s6_addr + 12, out);
    else
        inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)room);
}

/* Many services read X_Forwarded_For as X-Forwarded-For. */
static bool begins(struct str name, const char *start)
{
    size_t n = strlen(start);

    if (name.n < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((name.p[i] == '_' ? '-' : tolower((unsigned char)name.p[i])) != start[i])
            return false;
    return true;
}

static bool is_ours(const struct h1_head *head, const struct h1_field *field)
{
    struct str name = h1_text(head, field->name);

    if (str_eq_nocase(name, "host") || str_eq_nocase(name, "content-length") ||
        str_eq_nocase(name, "expect") || str_eq_nocase(name, "http2-settings"))
        return true;
    for (size_t i = 0; i < sizeof visitor_fields / sizeof visitor_fields[0]; i++)
        if (name.n == strlen(visitor_fields[i]) && begins(name, visitor_fields[i]))
            return true;
    return begins(name, forwarded);
}

static void add_line(struct buf *out, struct str name, struct str value)
{
    char *p = buf_space(out, name.n + 2 + value.n + 2);

    p = mempcpy(p, name.p, name.n);
    p = mempcpy(p, ": ", 2);
    p = mempcpy(p, value.p, value.n);
    p[0] = '\r';
    p[1] = '\n';
    buf_added(out, name.n + 2 + value.n + 2);
}

static void add(struct buf *out, const char *name, struct str value)
{
    add_line(out, str_of(name), value);
}

static void add_field(struct buf *out, const struct h1_head *head, const struct h1_field *field)
{
    add_line(out, h1_text(head, field->name), h1_text(head, field->value));
}

static void add_framing(struct buf *out, enum h1_framing framing, int64_t length)
{
    if (framing == H1_CHUNKED) {
        buf_add_text(out, "Transfer-Encoding: chunked\r\n");
    } else if (length >= 0) {
        buf_add_text(out, "Content-Length: ");
        buf_add_number(out, (uint64_t)length);
        buf_add(out, "\r\n", 2);
    }
}

/* All values of a field as one list; false when there is none. */
static bool add_values(struct buf *out, const struct h1_head *head, const char *name)
{
    bool any = false;

    for (int i = h1_field_find(head, name, 0); i >= 0; i = h1_field_find(head, name, (uint32_t)i + 1)) {
        struct str value = h1_text(head, head->fields[i].value);

        if (value.n == 0)
            continue;
        if (any)
            buf_add(out, ", ", 2);
        buf_add(out, value.p, value.n);
        any = true;
    }
    return any;
}

/* As a trusted peer says it, or ours. */
static void add_claim(struct buf *out, const struct h1_head *head, const struct headers_visitor *visitor,
                      const char *name, struct str ours)
{
    buf_add_text(out, name);
    buf_add(out, ": ", 2);
    if (!visitor->trusted || !add_values(out, head, name))
        buf_add(out, ours.p, ours.n);
    buf_add(out, "\r\n", 2);
}

static void add_forwarded_for(struct buf *out, const struct h1_head *head,
                              const struct headers_visitor *visitor, const char *peer)
{
    buf_add_text(out, "X-Forwarded-For: ");
    if (visitor->trusted && add_values(out, head, "x-forwarded-for"))
        buf_add(out, ", ", 2);
    else if (visitor->trusted)
        forwarded_add_chain(out, head, visitor->trusted, false);
    buf_add_text(out, peer);
    buf_add(out, "\r\n", 2);
}

/* RFC 7239: a host with a port, or with what is no token, stands in quotes. */
static bool is_plain_host(struct str host)
{
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] == ':' || host.p[i] == '[' || (unsigned char)host.p[i] >= 0x80)
            return false;
    return true;
}

static const char *scheme(bool https)
{
    return https ? "https" : "http";
}

/* Behind one that is not well formed, ours could be taken for a part of it. Where the peer does not say here that the
 * visitor came by https, and yet he did, ours says so, as X-Forwarded-Proto does. */
static void add_forwarded(struct buf *out, const struct h1_head *head, const struct headers_visitor *visitor,
                          struct str host)
{
    const char *quote = is_plain_host(host) ? "" : "\"", *proto = scheme(visitor->https);
    bool https;

    buf_add_text(out, "Forwarded: ");
    if (visitor->trusted && forwarded_is_well(head, visitor->trusted, &https)) {
        proto = scheme(https == visitor->https ? visitor->secure : visitor->https);
        add_values(out, head, "forwarded");
        buf_add(out, ", ", 2);
    } else if (visitor->trusted) {
        forwarded_add_chain(out, head, visitor->trusted, true);
    }
    forwarded_add_node(out, &visitor->peer);
    buf_add_text(out, ";host=");
    buf_add_text(out, quote);
    buf_add(out, host.p, host.n);
    buf_add_text(out, quote);
    buf_add_text(out, ";proto=");
    buf_add_text(out, proto);
    buf_add(out, "\r\n", 2);
}

/* He came by TLS to who sent him on to us without it, and to that one's port. */
static struct str port_asked(const struct h1_head *head)
{
    struct str whole = h1_text(head, head->authority);
    size_t n = h1_text(head, head->host).n;

    return whole.n > n + 1 ? (struct str){ whole.p + n + 1, whole.n - n - 1 } : STR("443");
}

static void add_visitor(struct buf *out, const struct h1_head *head, const struct headers_visitor *visitor)
{
    struct str host = h1_text(head, head->authority);
    char peer[INET6_ADDRSTRLEN], client[INET6_ADDRSTRLEN], port[8];

    headers_address_text(&visitor->peer, peer, sizeof peer);
    headers_address_text(&visitor->addr, client, sizeof client);
    snprintf(port, sizeof port, "%u", visitor->port);
    add_forwarded_for(out, head, visitor, peer);
    add_claim(out, head, visitor, "X-Forwarded-Proto", str_of(scheme(visitor->https)));
    add_claim(out, head, visitor, "X-Forwarded-Host", host);
    add_claim(out, head, visitor, "X-Forwarded-Port",
              visitor->https == visitor->secure ? str_of(port) : port_asked(head));
    add(out, "X-Real-IP", str_of(client));
    add_forwarded(out, head, visitor, host);
    add(out, "X-Request-ID", str_of(visitor->request_id));
}

/* Exactly one, or it cannot be said which. */
static void take_request_id(struct headers_visitor *visitor, const struct h1_head *head)
{
    int at = h1_field_find(head, "x-request-id", 0);
    struct str id;

    if (at < 0 || h1_field_find(head, "x-request-id", (uint32_t)at + 1) >= 0)
        return;
    id = h1_text(head, head->fields[at].value);
    if (request_id_is_well(id)) {
        memcpy(visitor->request_id, id.p, id.n);
        visitor->request_id[id.n] = 0;
    }
}

/* True when a proxy says that the visitor came to the first of them by https://. */
static bool says_https(const struct h1_head *head, const struct cidrs *trusted)
{
    int at = h1_field_find(head, "x-forwarded-proto", 0);
    struct str list = at < 0 ? (struct str){ "", 0 } : h1_text(head, head->fields[at].value), first;
    bool https;

    if (str_next_word(&list, ",", &first))
        return str_eq_nocase(first, "https") || str_eq_nocase(first, "wss");
    /* A proxy that names him in X-Forwarded-For may pass on what he himself says in Forwarded. */
    return h1_field_find(head, "x-forwarded-for", 0) < 0 && forwarded_is_well(head, trusted, &https) && https;
}

void headers_know_visitor(struct headers_visitor *visitor, const struct h1_head *head,
                          const struct cidrs *trusted)
{
    visitor->trusted = cidrs_have(trusted, &visitor->peer) ? trusted : NULL;
    visitor->addr = visitor->peer;
    visitor->https = visitor->secure;
    if (!visitor->trusted)
        return;
    visitor->https = visitor->secure || says_https(head, trusted);
    (void)forwarded_client(head, trusted, &visitor->addr);
    take_request_id(visitor, head);
}

/* What is for this connection alone, of what the visitor said of his. */
static void add_connection(struct buf *out, const struct h1_head *head)
{
    struct buf offer = { 0 };

    upgrade_add_offer(&offer, head);
    if (head->te_trailers)
        buf_add_text(out, "TE: trailers\r\n");
    if (offer.len > 0)
        buf_printf(out, "Upgrade: %s\r\n", buf_text(&offer));
    if (head->te_trailers || offer.len > 0)
        buf_printf(out, "Connection: %s%s%s\r\n", head->te_trailers ? "TE" : "",
                   head->te_trailers && offer.len > 0 ? ", " : "", offer.len > 0 ? "Upgrade" : "");
    buf_free(&offer);
}

/* RFC 9110 8.6: by HTTP/2 it is the frames that say so, but there are servers of HTTP/1.1 that want to read it. */
static bool lacks_length(const struct h1_head *head, const struct headers_visitor *visitor, struct str method)
{
    return visitor->http2 && head->framing == H1_NO_BODY && head->content_length < 0 &&
           (str_eq(method, "POST") || str_eq(method, "PUT") || str_eq(method, "PATCH"));
}

void headers_add_request(struct buf *out, const struct h1_head *head, const struct headers_visitor *visitor)
{
    struct str method = h1_text(head, head->method), path = h1_text(head, head->path);

    if (path.n == 0) /* RFC 9112 3.2.4: about the server as a whole, or its root */
        path = str_eq(method, "OPTIONS") ? STR("*") : STR("/");
    buf_add(out, method.p, method.n);
    buf_add(out, " ", 1);
    buf_add(out, path.p, path.n);
    buf_add_text(out, " HTTP/1.1\r\n");
    add(out, "Host", h1_text(head, head->authority));
    for (uint32_t i = 0; i < head->field_count; i++)
        if (!is_ours(head, &head->fields[i]) && !h1_field_is_hop(head, &head->fields[i]))
            add_field(out, head, &head->fields[i]);
    add_connection(out, head);
    if (head->expects_continue)
        buf_add_text(out, "Expect: 100-continue\r\n");
    add_framing(out, head->framing, lacks_length(head, visitor, method) ? 0 : head->content_length);
    add_visitor(out, head, visitor);
    buf_add(out, "\r\n", 2);
}

/* ---- what the site changes ---- */

static const char hsts[] = "Strict-Transport-Security";

static bool is_changed(const struct policy *policy, struct str name)
{
    for (size_t i = 0; i < policy->set_headers_n; i++)
        if (str_eq_nocase(name, policy->set_headers[i].name))
            return true;
    for (size_t i = 0; i < policy->unset_headers_n; i++)
        if (str_eq_nocase(name, policy->unset_headers[i]))
            return true;
    return false;
}

/* A field of the service's that the visitor is not to see as it is. */
static bool is_replaced(const struct headers_changes *changes, struct str name)
{
    return (changes->policy && is_changed(changes->policy, name)) ||
           ((changes->hsts_s > 0 || changes->without_hsts) && str_eq_nocase(name, hsts));
}

static bool is_hsts(const struct policy_header *header)
{
    return str_eq_nocase(str_of(header->name), hsts);
}

void headers_add_hsts(struct buf *out, const struct headers_changes *changes)
{
    const struct policy *policy = changes->policy;

    if (changes->hsts_s > 0 && !(policy && is_changed(policy, STR("strict-transport-security"))))
        buf_printf(out, "%s: max-age=%" PRId64 "\r\n", hsts, changes->hsts_s);
    for (size_t i = 0; policy && !changes->without_hsts && i < policy->set_headers_n; i++)
        if (is_hsts(&policy->set_headers[i]))
            add(out, policy->set_headers[i].name, str_of(policy->set_headers[i].value));
}

static void add_changes(struct buf *out, const struct headers_changes *changes)
{
    const struct policy *policy = changes->policy;

    headers_add_hsts(out, changes);
    for (size_t i = 0; policy && i < policy->set_headers_n; i++)
        if (!is_hsts(&policy->set_headers[i]))
            add(out, policy->set_headers[i].name, str_of(policy->set_headers[i].value));
}

/* RFC 9110 6.6.1: whoever passes an answer on that has none says when it came. */
static void add_date(struct buf *out, const struct h1_head *head, const struct headers_changes *changes)
{
    if (changes->now != 0 && h1_field_find(head, "date", 0) < 0 &&
        !(changes->policy && is_changed(changes->policy, STR("date"))))
        http_date_add(out, changes->now);
}

void headers_add_response(struct buf *out, const struct h1_head *head, enum h1_framing framing,
                          const char *connection, const struct headers_changes *changes)
{
    struct str reason = h1_text(head, head->reason);
    struct buf upgrade = { 0 };

    buf_add_text(out, "HTTP/1.1 ");
    buf_add_number(out, (uint64_t)head->status);
    buf_add(out, " ", 1);
    buf_add(out, reason.p, reason.n);
    buf_add(out, "\r\n", 2);
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct h1_field *field = &head->fields[i];

        struct str name = h1_text(head, field->name);

        if (!str_eq_nocase(name, "content-length") && !h1_field_is_hop(head, field) &&
            !is_replaced(changes, name))
            add_field(out, head, field);
    }
    add_date(out, head, changes);
    add_changes(out, changes);
    add_framing(out, framing, framing == H1_UNTIL_CLOSE ? -1 : head->content_length);
    upgrade_add_answer(&upgrade, head);
    if (upgrade.len > 0)
        buf_printf(out, "Upgrade: %s\r\n", buf_text(&upgrade));
    if (*connection || upgrade.len > 0)
        buf_printf(out, "Connection: %s%s%s\r\n", connection, *connection && upgrade.len > 0 ? ", " : "",
                   upgrade.len > 0 ? "Upgrade" : "");
    buf_free(&upgrade);
    buf_add(out, "\r\n", 2);
}
