/* shared/http/server.h - a small HTTP/1.1 server for people and scripts: the control socket, and the admin listener.
 *
 * Alive on the loop. Answers are made by the routes' functions, at once or later. Errors are JSON: {"error": "…"}. Requests that
 * are malformed, too large, or not complete in time are refused and harm nobody else: each connection has its
 * deadlines and bounds, and when all places are taken the one that has been idle longest gives way. */
#ifndef SHARED_HTTP_SERVER_H
#define SHARED_HTTP_SERVER_H
#include "shared/buf.h"
#include "shared/err.h"
#include "shared/loop.h"
#include "shared/str.h"

#include <jansson.h>
#include <sys/socket.h>

enum {
    HTTP_SERVER_CONNECTIONS = 64,
    HTTP_SERVER_HEAD_BYTES = 16 * 1024,
    HTTP_SERVER_BODY_BYTES = 64 * 1024,
    HTTP_SERVER_IDLE_MS = 60 * 1000,    /* between requests */
    HTTP_SERVER_REQUEST_MS = 10 * 1000, /* from a request's first byte to its last */
    HTTP_SERVER_STAY_MS = 100,          /* what a connection has at least, when all places are taken */
    HTTP_SERVER_LINGER_MS = 2 * 1000,   /* for the peer to read a refusal before the connection closes */
    HTTP_SERVER_LATER_MS = 120 * 1000,  /* for an answer that is made later */
};

struct http_request {
    struct str path, query;   /* of the target, as sent; borrowed for the call */
    struct str name;          /* what stands where the route's path has its * */
    struct str host;          /* without a port; empty only in HTTP/1.0 */
    struct str authorization; /* the field's value; empty without one */
    struct str fetch_site, fetch_mode,
        fetch_dest;                      /* of Sec-Fetch-…, where a browser says who asks; likewise */
    const struct sockaddr_storage *peer; /* borrowed for the call; of AF_UNIX at the control socket */
    const json_t *json;                  /* the body, NULL without one */
};

struct http_reply {
    int status;         /* 200 unless changed */
    const char *type;   /* of the body; a constant */
    const char *fields; /* further lines of the head, each with its CR LF; a constant */
    unsigned retry_s;   /* when to come again; 0: nothing is said of it */
    struct buf body;
    struct http_later *later; /* set by http_reply_later */
};

struct http_route {
    const char *method, *path; /* a * in the path stands for any one segment */
    void (*answer)(void *user, const struct http_request *request, struct http_reply *reply);
};

/* Who stands in front of all routes of a server that more than the owner of a file can reach. */
struct http_guard {
    const char *name; /* of the listener, for the log; a constant */
    /* False: not let in, and the reply says why. */
    bool (*admit)(void *user, const struct http_request *request, struct http_reply *reply);
    void *user;
};

void http_reply_json(struct http_reply *reply, int status, json_t *takes);
void http_reply_error(struct http_reply *reply, int status, const char *fmt, ...) printf_like(3, 4);

/* An answer that takes time: the route's function keeps what this returns, leaves the reply alone, and finishes it
 * exactly once, which frees it. The client may be gone by then; that concerns nobody. */
struct http_later *http_reply_later(struct http_reply *reply);
void http_later_json(struct http_later *later, int status, json_t *takes);
void http_later_error(struct http_later *later, int status, const char *fmt, ...) printf_like(3, 4);

/* An answer that goes on: it begins at once, and its content comes by http_stream_write until http_stream_end. `gone` is
 * called once, last, when the client has left or the server ends; then, as after http_stream_end, it is freed. */
struct http_later *http_reply_stream(struct http_reply *reply, const char *type, void (*gone)(void *user),
                                     void *user);
/* False, and nothing written: the client reads too slowly. */
bool http_stream_write(struct http_later *stream, const char *bytes, size_t n);
void http_stream_end(struct http_later *stream);

struct http_server;

/* Takes a listening socket, Unix or TCP, also when it fails. Borrows routes and user until `ended`. */
struct http_server *http_server_start(struct loop *loop, int fd, const struct http_route *routes,
                                      size_t routes_n, void *user,
                                      void (*ended)(void *user, const struct http_server *server),
                                      struct err *e);
/* The same with a guard, which is borrowed likewise. */
struct http_server *http_server_start_guarded(struct loop *loop, int fd, const struct http_guard *guard,
                                              const struct http_route *routes, size_t routes_n, void *user,
                                              void (*ended)(void *user, const struct http_server *server),
                                              struct err *e);
/* Further routes, whose functions get another user; borrowed until `ended`, or until NULL and 0 take them back. */
void http_server_more_routes(struct http_server *s, const struct http_route *routes, size_t n, void *user);
void http_server_drain(
    struct http_server *s); /* no new connection; a request that has begun is still answered */
void http_server_stop(struct http_server *s); /* ends at once */
#endif
