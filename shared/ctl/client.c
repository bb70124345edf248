#include "shared/ctl/client.h"

#include "shared/http/h1.h"
#include "shared/unix_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MAX_REPLY_BYTES = 64 * 1024 * 1024 };

/* ---- which socket ---- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

const char *client_find_socket(const char *given, enum client_side side, struct err *e)
{
    const char *set = getenv("TUNNEL_SOCKET");
    bool relay = is_there(CLIENT_RELAY_SOCKET), agent = is_there(CLIENT_AGENT_SOCKET);

    if (given)
        return given;
    if (side != CLIENT_ANY)
        return side == CLIENT_RELAY ? CLIENT_RELAY_SOCKET : CLIENT_AGENT_SOCKET;
    if (set && *set)
        return set;
    if (relay && agent)
        err_set(e, ERR_INPUT, "both daemons are here; say which one: --relay or --agent");
    else if (!relay && !agent)
        err_set(
            e, ERR_MISSING,
            "no daemon is running here: neither %s nor %s is there; start one, or name its control_socket with --socket",
            CLIENT_RELAY_SOCKET, CLIENT_AGENT_SOCKET);
    else
        return relay ? CLIENT_RELAY_SOCKET : CLIENT_AGENT_SOCKET;
    return NULL;
}

int client_connect(const char *socket_path, struct err *e)
{
    struct err why = { 0 };
    int fd = unix_connect(socket_path, &why);

    if (fd >= 0)
        return fd;
    if (access(socket_path, W_OK) != 0 && errno == EACCES)
        return err_set(e, why.code, "%.300s; run this with sudo, or as one of the group tunnel-admin",
                       why.text);
    return err_set(e, why.code, "%.300s%s", why.text,
                   why.code == ERR_MISSING ? "; does its daemon run?" : "");
}

/* ---- one request ---- */

static int send_all(int fd, const char *bytes, size_t n, struct err *e)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return err_errno(e, errno, "the daemon took no request");
        bytes += sent;
        n -= (size_t)sent;
    }
    return 0;
}

/* The request asks the daemon to close behind its reply, so the reply ends with the connection. */
static int receive_all(int fd, int patience_s, struct buf *in, struct err *e)
{
    char piece[16384];

    for (;;) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return err_set(e, ERR_TIMEOUT, "the daemon did not answer within %d s", patience_s);
        if (n < 0)
            return err_errno(e, errno, "the daemon broke off");
        if (n == 0)
            return 0;
        if (buf_add_max(in, piece, (size_t)n, MAX_REPLY_BYTES, e) != 0)
            return err_wrap(e, "the daemon's reply is too large");
    }
}

static int read_content(struct buf *in, const struct h1_head *head, struct buf *out, struct err *e)
{
    struct h1_body body;
    struct str data;
    size_t used;

    h1_body_init(&body, head->framing, head->content_length);
    for (;;) {
        enum h1_body_event event = h1_body_feed(&body, buf_bytes(in), in->len, &used, &data);

        if (event == H1_BODY_MORE)
            event = h1_body_eof(&body);
        if (event == H1_BODY_DATA)
            buf_add(out, data.p, data.n);
        if (event == H1_BODY_END)
            return 0;
        if (event == H1_BODY_BAD)
            return err_set(e, ERR_PEER, "the daemon's reply is not whole: %s", body.why);
        buf_take(in, used);
    }
}

static int read_reply(struct buf *in, const char *method, struct buf *out, struct err *e)
{
    static const struct h1_limits limits = { .max_uri = 4096, .max_header = 65536 };
    struct h1_head head;
    ssize_t n;

    h1_response_init(&head, str_of(method));
    n = h1_head_parse(&head, buf_bytes(in), in->len, &limits);
    if (n <= 0)
        return err_set(e, ERR_PEER, "what answers there does not speak HTTP: %s",
                       n < 0 ? head.why : "its answer is cut short");
    buf_take(in, (size_t)n);
    return read_content(in, &head, out, e) == 0 ? head.status : -1;
}

int client_tell(const char *socket_path, const char *method, const char *path, const struct buf *content,
                int patience_s, struct buf *out, struct err *e)
{
    const struct timeval patience = { .tv_sec = patience_s };
    struct buf request = { 0 }, in = { 0 };
    int fd = client_connect(socket_path, e);
    int status = -1;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: tunnel\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
               method, path, content->len);
    buf_add(&request, buf_bytes(content), content->len);
    if (send_all(fd, buf_bytes(&request), request.len, e) == 0 && receive_all(fd, patience_s, &in, e) == 0)
        status = read_reply(&in, method, out, e);
    explicit_bzero(request.mem, request.room); /* it may have held a token */
    buf_free(&request);
    buf_free(&in);
    close(fd);
    return status;
}

int client_ask(const char *socket_path, const char *method, const char *path, struct buf *out, struct err *e)
{
    const struct buf nothing = { 0 };

    return client_tell(socket_path, method, path, &nothing, CLIENT_PATIENCE_S, out, e);
}
