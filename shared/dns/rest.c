#include "shared/dns/rest.h"

#include "shared/mem.h"
#include "shared/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { SAID_CHARS = 160, HEADER_BYTES = 20000 };

/* ---- requests ---- */

void dns_header(struct dns_request *r, const char *fmt, ...)
{
    va_list args;

    if (r->headers_n == DNS_HEADERS)
        abort(); /* our own mistake: a provider has a handful */
    va_start(args, fmt);
    r->headers[r->headers_n] = mem_new(HEADER_BYTES);
    vsnprintf(r->headers[r->headers_n++], HEADER_BYTES, fmt, args);
    va_end(args);
}

void dns_header_basic(struct dns_request *r, const char *user, const struct secret *password)
{
    size_t n = strlen(user) + 1 + password->n;
    char *pair = mem_new(n + 1), *text = mem_new(4 * (n / 3 + 1) + 1);

    snprintf(pair, n + 1, "%s:%.*s", user, (int)password->n, (const char *)password->bytes);
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pair, (int)n);
    dns_header(r, "Authorization: Basic %s", text);
    explicit_bzero(pair, n);
    explicit_bzero(text, strlen(text));
    free(pair);
    free(text);
}

static void wipe(struct buf *b)
{
    if (b->mem)
        explicit_bzero(b->mem, b->room);
    buf_free(b);
}

void dns_request_free(struct dns_request *r)
{
    for (size_t i = 0; i < r->headers_n; i++) {
        explicit_bzero(r->headers[i], HEADER_BYTES);
        free(r->headers[i]);
    }
    wipe(&r->url);
    wipe(&r->body);
    *r = (struct dns_request){ 0 };
}

static void escape(struct buf *out, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isalnum(bytes[i]) || (bytes[i] && strchr("-._~", bytes[i])))
            buf_add(out, &bytes[i], 1);
        else
            buf_printf(out, "%%%02X", bytes[i]);
}

void dns_escape(struct buf *out, const char *text)
{
    escape(out, (const unsigned char *)text, strlen(text));
}

void dns_escape_secret(struct buf *out, const struct secret *secret)
{
    escape(out, secret->bytes, secret->n);
}

/* ---- what the provider says of its limits ---- */

static int64_t number_in(struct str text, const char *name)
{
    const char *at = name ? memmem(text.p, text.n, name, strlen(name)) : text.p;
    int64_t n = -1;

    if (!at)
        return -1;
    at += name ? strlen(name) : 0;
    for (; at < text.p + text.n && *at >= '0' && *at <= '9' && n < 1000000000; at++)
        n = (n < 0 ? 0 : n) * 10 + (*at - '0');
    return n;
}

/* `RateLimit: "default";r=0;t=30`, or X-RateLimit-Remaining: 0 and …-Reset: seconds, or the time itself. When nothing is
 * left, the next request waits: asking on would only make it worse. */
static void note_limits(struct dns_client *c, const struct fetch_reply *reply)
{
    struct str both = fetch_field(reply, "ratelimit");
    struct str left = fetch_field(reply, "ratelimit-remaining"),
               reset = fetch_field(reply, "ratelimit-reset");
    int64_t n, s;

    if (!left.p) {
        left = fetch_field(reply, "x-ratelimit-remaining");
        reset = fetch_field(reply, "x-ratelimit-reset");
    }
    n = both.p ? number_in(both, "r=") : left.p ? number_in(left, NULL) : -1;
    s = both.p ? number_in(both, "t=") : reset.p ? number_in(reset, NULL) : -1;
    if (n != 0 || s <= 0)
        return;
    if (s > 100000000)
        s -= (int64_t)time(NULL);
    if (s > 0 && s <= 24 * 3600L)
        c->closed_until_ms = uv_hrtime() / 1000000 + (uint64_t)s * 1000;
}

/* ---- one request ---- */

static enum dns_class class_of(const struct err *e)
{
    switch (e->code) {
    case ERR_STOPPED: return DNS_STOPPED;
    case ERR_INPUT:
    case ERR_MISSING: return DNS_CONFIG;
    case ERR_LIMIT: return DNS_BADREPLY;
    default: return DNS_TRANSIENT;
    }
}

static enum dns_class perform(struct dns_client *c, struct dns_request *r, struct fetch_reply *reply,
                              struct dns_why *why)
{
    char type[128];
    struct fetch_request q = { .method = r->method,
                               .url = buf_text(&r->url),
                               .ca_file = c->conf.ca_file,
                               .user_agent = r->user_agent,
                               .job = c->job };
    struct err e = { 0 };

    if (r->body.len > 0) {
        snprintf(type, sizeof type, "Content-Type: %s", r->content_type);
        dns_header(r, "%s", type);
        q.body = buf_bytes(&r->body);
        q.body_n = r->body.len;
    }
    q.headers = (const char *const *)r->headers;
    if (fetch(&q, reply, &e) != 0)
        return dns_fail(c, why, class_of(&e), "%s", e.text);
    c->status = reply->status;
    note_limits(c, reply);
    why->retry_after_ms = fetch_retry_after_ms(reply, (int64_t)time(NULL));
    return DNS_OK;
}

enum dns_class dns_send(struct dns_client *c, struct dns_request *r, struct fetch_reply *reply,
                        struct dns_why *why)
{
    enum dns_class class = dns_need_clock(c, why);

    *reply = (struct fetch_reply){ 0 };
    c->status = 0;
    if (class == DNS_OK)
        class = dns_pace(c, why);
    if (class == DNS_OK && c->provider->authorize)
        class = c->provider->authorize(c, r, why);
    if (class == DNS_OK)
        class = perform(c, r, reply, why);
    dns_request_free(r);
    return class;
}

/* ---- JSON ---- */

static enum dns_class judge_json(struct dns_client *c, const struct fetch_reply *raw, json_t **reply,
                                 struct dns_why *why)
{
    json_error_t error;
    enum dns_class class;
    bool fine = raw->status >= 200 && raw->status <= 299;

    *reply =
        raw->body.len > 0 ? json_loadb(buf_bytes(&raw->body), raw->body.len, JSON_DECODE_ANY, &error) : NULL;
    if (fine && raw->body.len > 0 && !*reply)
        return dns_fail(c, why, DNS_BADREPLY,
                        "%s answers with %d and something that is not JSON (%s at byte %d); is another "
                        "server in between?",
                        raw->address, raw->status, error.text, error.position);
    class = c->provider->judge ? c->provider->judge(c, raw->status, *reply, why)
                               : dns_judge_status(c, raw->status, *reply, why);
    return class;
}

enum dns_class dns_json(struct dns_client *c, const char *method, json_t *body, json_t **reply,
                        struct dns_why *why, const char *path_fmt, ...)
{
    struct dns_request r = { .method = method, .content_type = "application/json" };
    struct fetch_reply raw;
    json_t *value = NULL;
    enum dns_class class;
    va_list args;
    char path[2048], *text;

    va_start(args, path_fmt);
    vsnprintf(path, sizeof path, path_fmt, args);
    va_end(args);
    buf_printf(&r.url, "%s%s", c->base, path);
    if (body && (text = json_dumps(body, JSON_COMPACT))) {
        buf_add_text(&r.body, text);
        explicit_bzero(text, strlen(text));
        free(text);
    }
    json_decref(body);
    dns_header(&r, "Accept: application/json");
    class = dns_send(c, &r, &raw, why);
    if (class == DNS_OK)
        class = judge_json(c, &raw, &value, why);
    fetch_reply_free(&raw);
    if (reply)
        *reply = value;
    else
        json_decref(value);
    return class;
}

/* ---- judging ---- */

static const char *text_member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_object(value))
        value = json_object_get(value, "message");
    return json_string_value(value);
}

const char *dns_message_of(const json_t *reply)
{
    static const char *const keys[] = { "message", "error", "detail", "reason", "error_description" };
    const json_t *errors = json_object_get(reply, "errors");
    const json_t *first = json_array_get(json_is_array(reply) ? reply : errors, 0);
    const char *text = NULL;

    if (json_is_string(first))
        return json_string_value(first);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && !text; i++)
        text = text_member(first ? first : reply, keys[i]);
    return text ? text : "";
}

static enum dns_class class_of_status(int status)
{
    if (status >= 200 && status <= 299)
        return DNS_OK;
    if (status == 401 || status == 403)
        return DNS_AUTH;
    if (status == 429)
        return DNS_THROTTLED;
    if (status == 408 || status == 425 || status >= 500)
        return DNS_TRANSIENT;
    return status >= 400 ? DNS_CONFIG : DNS_BADREPLY;
}

enum dns_class dns_judge_status(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    static const char *const remedies[] = {
        [DNS_AUTH] = "is the credential right, still valid, and may it change this zone?",
        [DNS_CONFIG] = "does it have this name, and are the values allowed there?",
        [DNS_THROTTLED] = "too many requests with this credential; it is asked again later",
        [DNS_TRANSIENT] = "it is asked again later",
        [DNS_BADREPLY] =
            "that is no answer to this request; is the url right, and no other server in between?",
    };
    enum dns_class class = class_of_status(status);
    struct buf said = { 0 };

    if (class == DNS_OK)
        return DNS_OK;
    value_show(&said, str_of(dns_message_of(reply)), SAID_CHARS);
    dns_fail(c, why, class, "it answers with %d%s%s: %s", status, said.len > 0 ? ", " : "", buf_text(&said),
             remedies[class]);
    buf_free(&said);
    return class;
}

enum dns_class dns_bad_reply(struct dns_client *c, struct dns_why *why, const char *what)
{
    return dns_fail(c, why, DNS_BADREPLY, "its answer cannot be used: %s", what);
}

bool dns_id_of(const json_t *value, char out[DNS_ID_BYTES])
{
    if (json_is_string(value) && json_string_length(value) < DNS_ID_BYTES && json_string_length(value) > 0)
        snprintf(out, DNS_ID_BYTES, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, DNS_ID_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        return false;
    return true;
}
