/* shared/http/answer.h - from a whole request to the bytes of its answer. Pure but for what the routes do. */
#ifndef SHARED_HTTP_ANSWER_H
#define SHARED_HTTP_ANSWER_H
#include "shared/http/h1.h"
#include "shared/http/server.h"

struct http_routes {
    const struct http_route *list;
    size_t n;
    void *user;
    const struct http_routes *next; /* further ones, or NULL */
    const struct http_guard *guard; /* in front of these and the further ones, or NULL */
};

struct http_later {
    void (*finished)(void *conn, const struct http_reply *reply);
    void *conn; /* NULL: nobody waits any longer */
    /* Of a stream; type is NULL where it is one whole answer. */
    const char *type;
    bool (*more)(void *conn, const char *bytes, size_t n);
    void (*end)(void *conn);
    void (*gone)(void *user);
    void *user;
};

/* Adds the answer to a complete request to out. keep: the connection goes on afterwards. Or returns who will make the
 * answer, for http_answer_put: its members are to be filled. */
struct http_later *http_answer(const struct http_routes *routes, const struct sockaddr_storage *peer,
                               const struct h1_head *head, const struct buf *content, bool keep,
                               struct buf *out);
void http_answer_put(const struct h1_head *head, const struct http_reply *reply, bool keep, struct buf *out);
/* The head of a stream, whose content goes in chunks, or to the connection's end where it is HTTP/1.0. */
void http_answer_put_stream(const struct h1_head *head, const char *type, struct buf *out);
/* Adds the answer to a request that was refused before it was complete; the connection ends with it. head: as far as
 * it has come. */
void http_answer_refusal(const struct h1_head *head, int status, const char *why, struct buf *out);
#endif
