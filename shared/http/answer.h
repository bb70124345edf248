/* shared/http/answer.h - from a whole request to the bytes of its answer. Pure but for what the routes do. */
#ifndef SHARED_HTTP_ANSWER_H
#define SHARED_HTTP_ANSWER_H
#include "shared/http/h1.h"
#include "shared/http/server.h"

struct http_routes {
    const struct http_route *list;
    size_t n;
    void *user;
};

/* Adds the answer to a complete request to out. keep: the connection goes on afterwards. */
void http_answer(const struct http_routes *routes, const struct h1_head *head, const struct buf *content,
                 bool keep, struct buf *out);
/* Adds the answer to a request that was refused before it was complete; the connection ends with it. */
void http_answer_refusal(int status, const char *why, struct buf *out);
#endif
