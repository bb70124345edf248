/* echosite - the sample site: answers every request with what it was sent, head and body.
 *
 * usage: echosite ADDRESS:PORT   (port 0: the kernel picks one; the address in use is printed) */
#include "shared/buf.h"
#include "shared/door.h"
#include "shared/http/h1.h"
#include "shared/loop.h"
#include "shared/mem.h"
#include "shared/stream.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_BYTES = 64 * 1024 }; /* of a body, to be echoed; the rest is only counted */

struct conn {
    struct stream *stream;
    struct buf in, head_text, body_text;
    struct h1_head head;
    struct h1_body body;
    bool in_body;
    uint64_t body_bytes;
};

static const struct h1_limits limits = { .max_uri = 16384, .max_header = 65536 };

static void await_request(struct conn *c)
{
    buf_free(&c->head_text);
    buf_free(&c->body_text);
    c->body_bytes = 0;
    c->in_body = false;
    h1_request_init(&c->head);
}

static void answer(struct conn *c)
{
    struct buf content = { 0 }, out = { 0 };

    buf_add(&content, buf_bytes(&c->head_text), c->head_text.len);
    buf_add(&content, buf_bytes(&c->body_text), c->body_text.len);
    buf_printf(&content, "%s(%llu bytes of content)\n", c->body_text.len > 0 ? "\n" : "",
               (unsigned long long)c->body_bytes);
    buf_printf(&out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
               content.len);
    if (!str_eq(h1_text(&c->head, c->head.method), "HEAD"))
        buf_add(&out, buf_bytes(&content), content.len);
    stream_write(c->stream, buf_bytes(&out), out.len);
    buf_free(&content);
    buf_free(&out);
    await_request(c);
}

/* False when there is nothing more to do until further bytes come. */
static bool read_head(struct conn *c)
{
    ssize_t n = h1_head_parse(&c->head, buf_bytes(&c->in), c->in.len, &limits);

    if (n < 0)
        stream_stop(c->stream);
    if (n <= 0)
        return false;
    buf_add(&c->head_text, buf_bytes(&c->in), (size_t)n);
    c->head.bytes = buf_bytes(&c->head_text);
    buf_take(&c->in, (size_t)n);
    if (c->head.expects_continue)
        stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    h1_body_init(&c->body, c->head.framing, c->head.content_length);
    c->in_body = true;
    return true;
}

static bool read_body(struct conn *c)
{
    struct str data;
    size_t used;
    enum h1_body_event event = h1_body_feed(&c->body, buf_bytes(&c->in), c->in.len, &used, &data);

    if (event == H1_BODY_DATA) {
        c->body_bytes += data.n;
        if (c->body_text.len + data.n <= KEPT_BYTES)
            buf_add(&c->body_text, data.p, data.n);
    }
    buf_take(&c->in, used);
    if (event == H1_BODY_END)
        answer(c);
    if (event == H1_BODY_BAD)
        stream_stop(c->stream);
    return event != H1_BODY_MORE && event != H1_BODY_BAD;
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct conn *c = user;

    buf_add(&c->in, bytes, n);
    while (c->in_body ? read_body(c) : c->in.len > 0 && read_head(c))
        continue;
}

static void on_eof(void *user)
{
    struct conn *c = user;

    stream_shutdown(c->stream);
}

static void on_ended(void *user, const struct err *why)
{
    struct conn *c = user;

    (void)why;
    buf_free(&c->in);
    await_request(c);
    free(c);
}

static void on_came(void *loop, int fd)
{
    static const struct stream_events events = { .received = on_received, .eof = on_eof, .ended = on_ended };
    struct conn *c = mem_new(sizeof *c);
    struct err why;

    await_request(c);
    c->stream = stream_open(loop, fd, &events, c, &why);
    if (c->stream)
        stream_set_source(c->stream, c->stream);
    else
        free(c);
}

static int listen_on(struct loop *loop, const char *text, struct err *e)
{
    static const struct door_kind kind = { .name = "visitors", .came = on_came };
    const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr;
    socklen_t size = sizeof addr;
    char host[64];
    unsigned port;

    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port > 65535 ||
        uv_ip4_addr(host, (int)port, &addr) != 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&addr, size) != 0 || !door_open(loop, fd, &kind, loop, e) ||
        getsockname(fd, (struct sockaddr *)&addr, &size) != 0)
        return -1;
    printf("%s:%u\n", host, ntohs(addr.sin_port));
    return fflush(stdout);
}

int main(int argc, char **argv)
{
    struct err why = { 0 };
    struct loop loop;

    signal(SIGPIPE, SIG_IGN);
    if (argc != 2 || loop_init(&loop, &why) != 0 || listen_on(&loop, argv[1], &why) != 0) {
        fprintf(stderr, "echosite: cannot listen; usage: echosite ADDRESS:PORT %s\n", why.text);
        return 1;
    }
    loop_run(&loop); /* until it is killed */
    return 0;
}
