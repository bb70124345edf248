/* tests/unit/shared/stream_side.h - one end of a connection under test, which writes down what happens to it.
 *
 * events: r received (once in a row), f eof, d drained, e ended. Hooks run inside the event. */
#ifndef TESTS_UNIT_SHARED_STREAM_SIDE_H
#define TESTS_UNIT_SHARED_STREAM_SIDE_H
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/stream.h"

struct side {
    struct stream *stream;
    struct buf got;
    char events[64];
    struct err why;
    bool ended;
    void (*on_received)(struct side *s), (*on_eof)(struct side *s), (*on_drained)(struct side *s);
    struct side *other; /* for hooks */
};

static inline void side_note(struct side *s, char event)
{
    size_t n = strlen(s->events);

    if (n + 1 < sizeof s->events && !(event == 'r' && n > 0 && s->events[n - 1] == 'r'))
        s->events[n] = event;
}

static inline void side_received(void *user, const char *bytes, size_t n)
{
    struct side *s = user;

    side_note(s, 'r');
    buf_add(&s->got, bytes, n);
    if (s->on_received)
        s->on_received(s);
}

static inline void side_eof(void *user)
{
    struct side *s = user;

    side_note(s, 'f');
    if (s->on_eof)
        s->on_eof(s);
}

static inline void side_drained(void *user)
{
    struct side *s = user;

    side_note(s, 'd');
    if (s->on_drained)
        s->on_drained(s);
}

static inline void side_ended(void *user, const struct err *why)
{
    struct side *s = user;

    side_note(s, 'e');
    s->why = *why;
    s->ended = true;
    s->stream = NULL;
}

static const struct stream_events side_events = { side_received, side_eof, side_drained, side_ended, NULL };

/* Both ends of a connection over TCP on loopback, or over a Unix socket. */
static inline int connected(bool tcp, int pair[2])
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof addr;
    int listener;

    if (!tcp)
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&addr, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &size) != 0 ||
        connect(pair[0], (struct sockaddr *)&addr, size) != 0)
        return -1;
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
    return pair[1] < 0 ? -1 : 0;
}

/* A side, and the raw, non-blocking socket at its other end. */
static inline int side_with_peer(struct loop *l, struct side *s, bool tcp)
{
    int pair[2];

    if (connected(tcp, pair) != 0)
        abort();
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    s->stream = stream_open(l, pair[0], &side_events, s, NULL);
    return pair[1];
}

/* Two sides, connected with each other. */
static inline void side_pair(struct loop *l, struct side *a, struct side *b, bool tcp)
{
    int pair[2];

    if (connected(tcp, pair) != 0)
        abort();
    a->stream = stream_open(l, pair[0], &side_events, a, NULL);
    b->stream = stream_open(l, pair[1], &side_events, b, NULL);
    a->other = b;
    b->other = a;
}

/* Hooks. Each empties `got` when it hands the bytes on. */
static inline void side_echo(struct side *s)
{
    stream_write(s->stream, buf_bytes(&s->got), s->got.len);
    buf_take(&s->got, s->got.len);
}

static inline void side_forward(struct side *s)
{
    stream_write(s->other->stream, buf_bytes(&s->got), s->got.len);
    buf_take(&s->got, s->got.len);
}

static inline void side_shut(struct side *s)
{
    stream_shutdown(s->stream);
}

static inline void side_stop(struct side *s)
{
    stream_stop(s->stream);
}

/* Byte i of a test's data; its period is none of the sizes that buffers have. */
static inline char pattern(size_t i)
{
    return (char)(i % 251 ^ i / 65521);
}

static inline void put_pattern(struct buf *b, size_t from, size_t n)
{
    char *p = buf_space(b, n + 1);

    for (size_t i = 0; i < n; i++)
        p[i] = pattern(from + i);
    buf_added(b, n);
}

static inline bool is_pattern(const char *bytes, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != pattern(from + i))
            return false;
    return true;
}
#endif
