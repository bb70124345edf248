/* shared/http/conn.h - one connection of the small server; used by server.c alone. */
#ifndef SHARED_HTTP_CONN_H
#define SHARED_HTTP_CONN_H
#include "shared/http/answer.h"

struct http_conn;

struct http_conn_events {
    void (*active)(void *user, struct http_conn *conn); /* a request has been answered */
    void (*ended)(void *user, struct http_conn *conn);  /* last */
};

/* Takes a connected socket; closes it also when it fails. */
struct http_conn *http_conn_accept(struct loop *loop, int fd, const struct http_routes *routes,
                                   const struct http_conn_events *events, void *user, struct err *e);
void http_conn_drain(struct http_conn *c); /* ends when the request that has begun is answered, or at once */
void http_conn_stop(struct http_conn *c);
#endif
