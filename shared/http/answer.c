#include "shared/http/answer.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = { { 200, "OK" },
                    { 400, "Bad Request" },
                    { 401, "Unauthorized" },
                    { 403, "Forbidden" },
                    { 404, "Not Found" },
                    { 405, "Method Not Allowed" },
                    { 408, "Request Timeout" },
                    { 409, "Conflict" },
                    { 413, "Content Too Large" },
                    { 414, "URI Too Long" },
                    { 417, "Expectation Failed" },
                    { 422, "Unprocessable Content" },
                    { 429, "Too Many Requests" },
                    { 431, "Request Header Fields Too Large" },
                    { 500, "Internal Server Error" },
                    { 501, "Not Implemented" },
                    { 502, "Bad Gateway" },
                    { 503, "Service Unavailable" },
                    { 505, "HTTP Version Not Supported" } };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

void http_reply_json(struct http_reply *reply, int status, json_t *takes)
{
    reply->status = status;
    json_write(&reply->body, takes);
    json_decref(takes);
}

static json_t *error_json(const char *fmt, va_list args) printf_like(1, 0);
static json_t *error_json(const char *fmt, va_list args)
{
    char text[1024];
    json_t *error = json_object();

    vsnprintf(text, sizeof text, fmt, args);
    json_object_set_new(error, "error", json_any_text(text));
    return error;
}

void http_reply_error(struct http_reply *reply, int status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    http_reply_json(reply, status, error_json(fmt, args));
    va_end(args);
}

static struct http_reply reply_new(void)
{
    return (struct http_reply){ .status = 200, .type = "application/json", .fields = "" };
}

/* ---- later ---- */

struct http_later *http_reply_later(struct http_reply *reply)
{
    reply->later = mem_new(sizeof *reply->later);
    return reply->later;
}

void http_later_json(struct http_later *later, int status, json_t *takes)
{
    struct http_reply reply = reply_new();

    http_reply_json(&reply, status, takes);
    if (later->conn)
        later->finished(later->conn, &reply);
    buf_free(&reply.body);
    free(later);
}

void http_later_error(struct http_later *later, int status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    http_later_json(later, status, error_json(fmt, args));
    va_end(args);
}

/* ---- streams ---- */

struct http_later *http_reply_stream(struct http_reply *reply, const char *type, void (*gone)(void *user),
                                     void *user)
{
    struct http_later *stream = http_reply_later(reply);

    stream->type = type;
    stream->gone = gone;
    stream->user = user;
    return stream;
}

bool http_stream_write(struct http_later *stream, const char *bytes, size_t n)
{
    return !stream->conn ||
           stream->more(stream->conn, bytes, n); /* without: it has not begun, in its route */
}

void http_stream_end(struct http_later *stream)
{
    if (stream->conn)
        stream->end(stream->conn);
    free(stream);
}

/* ---- which route ---- */

/* A * in the route's path is one whole segment, which is not empty. */
static bool path_fits(const char *route, struct str path, struct str *name)
{
    const char *star = strchr(route, '*'), *rest;
    size_t before, behind;

    *name = (struct str){ path.p, 0 };
    if (!star)
        return str_eq(path, route);
    before = (size_t)(star - route);
    rest = star + 1;
    behind = strlen(rest);
    if (path.n <= before + behind || strncmp(path.p, route, before) != 0 ||
        strncmp(path.p + path.n - behind, rest, behind) != 0)
        return false;
    *name = (struct str){ path.p + before, path.n - before - behind };
    return !memchr(name->p, '/', name->n);
}

static bool has_method(const struct http_route *route, struct str method)
{
    /* HEAD is a GET whose content is left out. */
    return str_eq(method, route->method) || (str_eq(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

/* NULL when no route has both; *allow then lists the methods that the path does have. *routes becomes the set that has
 * the route. */
static const struct http_route *find_route(const struct http_routes **routes, struct str method,
                                           struct http_request *request, struct buf *allow)
{
    for (const struct http_routes *set = *routes; set; set = set->next)
        for (size_t i = 0; i < set->n; i++) {
            const struct http_route *route = &set->list[i];

            if (!path_fits(route->path, request->path, &request->name))
                continue;
            *routes = set;
            if (has_method(route, method))
                return route;
            buf_printf(allow, "%s%s", allow->len > 0 ? ", " : "", route->method);
            if (strcmp(route->method, "GET") == 0)
                buf_add_text(allow, ", HEAD");
        }
    return NULL;
}

static void answer_route(const struct http_routes *routes, const struct http_route *route,
                         struct http_request *request, const struct buf *content, struct http_reply *reply)
{
    struct err why = { 0 };
    json_t *json = NULL;

    if (content->len > 0) {
        json = json_read(buf_bytes(content), content->len, &why);
        if (!json) {
            http_reply_error(reply, 400, "the request's content is %s", why.text);
            return;
        }
    }
    request->json = json;
    route->answer(routes->user, request, reply);
    json_decref(json);
}

/* ---- the bytes ---- */

static void put_answer(struct buf *out, const struct http_reply *reply, const char *allow,
                       const char *connection, bool with_body)
{
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%s",
               reply->status, reason(reply->status), reply->type, reply->body.len, reply->fields);
    if (reply->retry_s > 0)
        buf_printf(out, "Retry-After: %u\r\n", reply->retry_s);
    if (*allow)
        buf_printf(out, "Allow: %s\r\n", allow);
    if (*connection)
        buf_printf(out, "Connection: %s\r\n", connection);
    buf_add_text(out, "\r\n");
    if (with_body)
        buf_add(out, buf_bytes(&reply->body), reply->body.len);
}

static bool has_body(const struct h1_head *head)
{
    return !str_eq(h1_text(head, head->method), "HEAD");
}

static void put(const struct h1_head *head, const struct http_reply *reply, const char *allow, bool keep,
                struct buf *out)
{
    put_answer(out, reply, allow, keep ? (head->minor == 0 ? "keep-alive" : "") : "close", has_body(head));
}

void http_answer_put(const struct h1_head *head, const struct http_reply *reply, bool keep, struct buf *out)
{
    put(head, reply, "", keep, out);
}

void http_answer_put_stream(const struct h1_head *head, const char *type, struct buf *out)
{
    buf_printf(
        out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-store\r\nConnection: close\r\n%s\r\n",
        type, head->minor > 0 ? "Transfer-Encoding: chunked\r\n" : "");
}

static struct str value_of(const struct h1_head *head, const char *name)
{
    int field = h1_field_find(head, name, 0);

    return field >= 0 ? h1_text(head, head->fields[field].value) : (struct str){ "", 0 };
}

static struct http_request request_of(const struct h1_head *head, const struct sockaddr_storage *peer)
{
    struct str path = h1_text(head, head->path);
    struct http_request request = { .path = path,
                                    .peer = peer,
                                    .host = h1_text(head, head->host),
                                    .authorization = value_of(head, "authorization"),
                                    .fetch_site = value_of(head, "sec-fetch-site"),
                                    .fetch_mode = value_of(head, "sec-fetch-mode"),
                                    .fetch_dest = value_of(head, "sec-fetch-dest") };
    const char *mark = path.n > 0 ? memchr(path.p, '?', path.n) : NULL;

    if (mark) {
        request.path.n = (size_t)(mark - path.p);
        request.query = (struct str){ mark + 1, path.n - request.path.n - 1 };
    }
    return request;
}

struct http_later *http_answer(const struct http_routes *routes, const struct sockaddr_storage *peer,
                               const struct h1_head *head, const struct buf *content, bool keep,
                               struct buf *out)
{
    struct str method = h1_text(head, head->method);
    struct http_request request = request_of(head, peer);
    struct http_reply reply = reply_new();
    const struct http_guard *guard = routes->guard;
    bool admitted = !guard || guard->admit(guard->user, &request, &reply);
    const struct http_route *route = NULL;
    struct buf allow = { 0 };

    if (admitted)
        route = find_route(&routes, method, &request, &allow);
    if (route)
        answer_route(routes, route, &request, content, &reply);
    else if (admitted && allow.len > 0)
        http_reply_error(&reply, 405, "%.*s is not possible here; try %s", STR_ARG(method), buf_text(&allow));
    else if (admitted)
        http_reply_error(&reply, 404, "there is nothing at %.*s", STR_ARG(request.path));
    if (!reply.later)
        put(head, &reply, route ? "" : buf_text(&allow), keep, out);
    buf_free(&reply.body);
    buf_free(&allow);
    return reply.later;
}

void http_answer_refusal(const struct h1_head *head, int status, const char *why, struct buf *out)
{
    struct http_reply reply = reply_new();

    http_reply_error(&reply, status, "%s", why);
    put_answer(out, &reply, "", "close", has_body(head));
    buf_free(&reply.body);
}
