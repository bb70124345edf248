#include "relay/edge/page.h"

#include <stddef.h>

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = { { 400, "Bad Request" },
                    { 404, "Not Found" },
                    { 405, "Method Not Allowed" },
                    { 408, "Request Timeout" },
                    { 413, "Content Too Large" },
                    { 414, "URI Too Long" },
                    { 417, "Expectation Failed" },
                    { 421, "Misdirected Request" },
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

static const char *further_field(int status)
{
    return status == 405 ? allow : status == 503 ? "Retry-After: 10\r\n" : "";
}

void page_add(struct buf *out, int status, const char *text, bool with_body, bool close)
{
    struct buf body = { 0 };

    buf_printf(&body,
               "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>%d %s</title>\n"
               "<h1>%s</h1>\n<p>%s</p>\n</html>\n",
               status, reason(status), reason(status), text);
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
               "Cache-Control: no-store\r\n%s%s\r\n",
               status, reason(status), body.len, further_field(status), close ? "Connection: close\r\n" : "");
    if (with_body)
        buf_add(out, buf_bytes(&body), body.len);
    buf_free(&body);
}
