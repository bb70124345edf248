#include "relay/edge/page.h"

#include "relay/edge/grpc.h"
#include "shared/http/date.h"
#include "shared/json.h"
#include "shared/page_template.h"

#include <stddef.h>
#include <stdio.h>

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = { { 400, "Bad Request" },
                    { 401, "Unauthorized" },
                    { 403, "Forbidden" },
                    { 404, "Not Found" },
                    { 405, "Method Not Allowed" },
                    { 408, "Request Timeout" },
                    { 413, "Content Too Large" },
                    { 414, "URI Too Long" },
                    { 417, "Expectation Failed" },
                    { 421, "Misdirected Request" },
                    { 429, "Too Many Requests" },
                    { 431, "Request Header Fields Too Large" },
                    { 501, "Not Implemented" },
                    { 502, "Bad Gateway" },
                    { 503, "Service Unavailable" },
                    { 504, "Gateway Timeout" },
                    { 505, "HTTP Version Not Supported" } };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Error";
}

/* Any method but CONNECT is passed on; these are the ones that RFC 9110 and RFC 5789 know. */
static const char allow[] = "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH\r\n";

static void add_further_fields(struct buf *out, const struct page *page)
{
    unsigned retry_s = page->retry_s > 0 ? page->retry_s : page->status == 503 ? 10 : 0;

    if (page->fields)
        buf_add_text(out, page->fields);
    if (page->status == 405)
        buf_add_text(out, allow);
    if (page->status == 401)
        buf_printf(out, "WWW-Authenticate: Basic realm=\"%s\", charset=\"UTF-8\"\r\n",
                   page->realm ? page->realm : "");
    if (retry_s > 0)
        buf_printf(out, "Retry-After: %u\r\n", retry_s);
}

/* ---- HTML ---- */

static const char plain_page[] = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                                 "<meta name=\"viewport\" content=\"width=device-width\">\n"
                                 "<title>{status} {title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n";
static const char plain_since[] = "<p>Since {since}.</p>\n";
static const char plain_request[] = "<p><small>Request {request_id}</small></p>\n";
static const char plain_end[] = "</html>\n";

/* "29 November 2026, 14:03 UTC"; "" when it is not known. */
static void print_since(time_t since, char *out, size_t room)
{
    static const char *const months[] = { "January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December" };
    struct tm tm;

    out[0] = 0;
    if (since != 0 && gmtime_r(&since, &tm))
        snprintf(out, room, "%d %s %d, %02d:%02d UTC", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                 tm.tm_hour, tm.tm_min);
}

static void add_html(struct buf *out, const struct page *page)
{
    char status[12], since[64];
    const char *const values[PAGE_WORDS] = {
        [PAGE_STATUS] = status, [PAGE_TITLE] = reason(page->status), [PAGE_TEXT] = page->text,
        [PAGE_SINCE] = since,   [PAGE_DOMAIN] = page->domain,        [PAGE_REQUEST_ID] = page->request_id
    };

    snprintf(status, sizeof status, "%d", page->status);
    print_since(page->since, since, sizeof since);
    page_template_render(out, str_of(page->template ? page->template : plain_page), values);
    if (page->template)
        return;
    if (since[0])
        page_template_render(out, str_of(plain_since), values);
    if (page->request_id[0])
        page_template_render(out, str_of(plain_request), values);
    buf_add_text(out, plain_end);
}

/* ---- JSON ---- */

/* RFC 9457, whichever of its two names the visitor has asked for; a type of its own is not needed. */
static void add_json(struct buf *out, const struct page *page)
{
    json_t *doc = json_pack("{s:i, s:s, s:o, s:o, s:o}", "status", page->status, "title",
                            reason(page->status), "detail", json_any_text(page->text), "since",
                            page->since ? json_time(page->since) : json_null(), "request_id",
                            page->request_id[0] ? json_any_text(page->request_id) : json_null());

    if (page->cause)
        json_object_set_new(doc, "cause", json_any_text(page->cause));
    json_write(out, doc);
    json_decref(doc);
}

/* ---- gRPC ---- */

/* Its clients take the status from the fields of a response that has nothing else, and show the text; of any other answer
 * they show no more than its number. */
static void add_grpc(struct buf *out, const struct page *page)
{
    buf_printf(out,
               "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: %d\r\nGrpc-Message: %s\r\n",
               grpc_status(page->status), page->text);
    http_date_add(out, page->now);
    if (page->request_id[0])
        buf_printf(out, "X-Request-ID: %s\r\n", page->request_id);
    buf_add_text(out, "\r\n");
}

/* ---- all of it ---- */

static const char *const content_types[] = { [ACCEPT_HTML] = "text/html; charset=utf-8",
                                             [ACCEPT_JSON] = "application/json",
                                             [ACCEPT_PROBLEM] = "application/problem+json" };

void page_add(struct buf *out, const struct page *page)
{
    struct buf body = { 0 };

    if (page->form == ACCEPT_GRPC) {
        add_grpc(out, page);
        return;
    }
    if (page->form == ACCEPT_HTML)
        add_html(&body, page);
    else
        add_json(&body, page);
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n",
               page->status, reason(page->status), content_types[page->form], body.len);
    http_date_add(out, page->now);
    add_further_fields(out, page);
    if (page->request_id[0])
        buf_printf(out, "X-Request-ID: %s\r\n", page->request_id);
    buf_printf(out, "%s\r\n", page->close ? "Connection: close\r\n" : "");
    if (page->with_body)
        buf_add(out, buf_bytes(&body), body.len);
    buf_free(&body);
}
