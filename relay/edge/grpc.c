#include "relay/edge/grpc.h"

#include <strings.h>

bool grpc_is_call(const struct h1_head *head)
{
    static const char type[] = "application/grpc";
    int at = h1_field_find(head, "content-type", 0);
    struct str value = at < 0 ? STR("") : h1_text(head, head->fields[at].value);
    size_t n = sizeof type - 1;

    if (!str_eq(h1_text(head, head->method), "POST") || value.n < n || strncasecmp(value.p, type, n) != 0)
        return false;
    return value.n == n || value.p[n] == '+' || value.p[n] == ';' || value.p[n] == ' ' || value.p[n] == '\t';
}

/* As its clients would read a response that is none of gRPC, but for 413, for which they have no better word than UNKNOWN,
 * and 429, at which they would come again at once. */
int grpc_status(int http_status)
{
    enum {
        UNKNOWN = 2,
        PERMISSION_DENIED = 7,
        RESOURCE_EXHAUSTED = 8,
        UNIMPLEMENTED = 12,
        INTERNAL = 13,
        UNAVAILABLE = 14,
        UNAUTHENTICATED = 16
    };

    switch (http_status) {
    case 400: return INTERNAL;
    case 401: return UNAUTHENTICATED;
    case 403: return PERMISSION_DENIED;
    case 404: return UNIMPLEMENTED;
    case 413:
    case 429:
    case 431: return RESOURCE_EXHAUSTED;
    case 502:
    case 503:
    case 504: return UNAVAILABLE;
    default: return UNKNOWN;
    }
}
