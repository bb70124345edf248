/* An answer that goes on: read piece by piece, until the daemon ends it, breaks off, or we are told to stop. */
#include "shared/ctl/client.h"

#include "shared/http/h1.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { STOP_S = 1 }; /* a signal that came just before we began to wait is seen then */

struct reading {
    const struct client_stream *s;
    int fd, status; /* status: 0 until the head is there */
    struct buf in;
    struct h1_head head;
    struct h1_body body;
    bool whole;
};

static void set_patience(int fd, int seconds)
{
    const struct timeval patience = { .tv_sec = seconds };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static int ask(int fd, const char *path, struct err *e)
{
    struct buf request = { 0 };
    ssize_t sent;

    buf_printf(&request, "GET %s HTTP/1.1\r\nHost: tunnel\r\n\r\n", path);
    sent = send(fd, buf_bytes(&request), request.len,
                MSG_NOSIGNAL); /* a new socket takes so little in one piece */
    if (sent != (ssize_t)request.len)
        err_errno(e, errno, "the daemon took no request");
    buf_free(&request);
    return sent < 0 ? -1 : 0;
}

/* 1: it is not whole yet. */
static int read_head(struct reading *r, struct err *e)
{
    static const struct h1_limits limits = { .max_uri = 4096, .max_header = 65536 };
    ssize_t n = h1_head_parse(&r->head, buf_bytes(&r->in), r->in.len, &limits);

    if (n < 0)
        return err_set(e, ERR_PEER, "what answers there does not speak HTTP: %s", r->head.why);
    if (n == 0)
        return 1;
    r->status = r->head.status;
    h1_body_init(&r->body, r->head.framing, r->head.content_length);
    buf_take(&r->in, (size_t)n);
    if (r->status == 200)
        set_patience(r->fd, STOP_S);
    return 0;
}

static int read_content(struct reading *r, struct err *e)
{
    struct str data;
    size_t used;

    while (!r->whole) {
        enum h1_body_event event = h1_body_feed(&r->body, buf_bytes(&r->in), r->in.len, &used, &data);

        if (event == H1_BODY_BAD)
            return err_set(e, ERR_PEER, "the daemon's answer is not well formed: %s", r->body.why);
        if (event == H1_BODY_DATA)
            r->s->content(r->s->user, r->status, data.p, data.n);
        r->whole = event == H1_BODY_END;
        buf_take(&r->in, used);
        if (event == H1_BODY_MORE)
            return 0;
    }
    return 0;
}

static int take(struct reading *r, const char *bytes, size_t n, struct err *e)
{
    int rc;

    buf_add(&r->in, bytes, n);
    if (r->status == 0 && (rc = read_head(r, e)) != 0)
        return rc > 0 ? 0 : -1;
    return read_content(r, e);
}

static int read_all(struct reading *r, struct err *e)
{
    char piece[16384];

    while (!r->whole && !r->s->stopped()) {
        ssize_t n = recv(r->fd, piece, sizeof piece, 0);

        if (n < 0 && (errno == EINTR || (errno == EAGAIN && r->status == 200)))
            continue;
        if (n < 0 && errno == EAGAIN)
            return err_set(e, ERR_TIMEOUT, "the daemon did not answer within %d s", CLIENT_PATIENCE_S);
        if (n < 0)
            return err_errno(e, errno, "the daemon broke off");
        if (n == 0)
            return err_set(e, ERR_PEER, "the daemon broke off");
        if (take(r, piece, (size_t)n, e) != 0)
            return -1;
    }
    return 0;
}

int client_stream(const char *socket_path, const char *path, const struct client_stream *s, struct err *e)
{
    struct reading r = { .s = s, .fd = client_connect(socket_path, e) };
    int rc;

    if (r.fd < 0)
        return -1;
    h1_response_init(&r.head, str_of("GET"));
    set_patience(r.fd, CLIENT_PATIENCE_S);
    rc = ask(r.fd, path, e);
    if (rc == 0)
        rc = read_all(&r, e);
    buf_free(&r.in);
    close(r.fd);
    return rc == 0 ? r.status : -1;
}
