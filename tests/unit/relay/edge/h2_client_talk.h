/* A talk with the client's side of HTTP/2, for its tests: frames of a service written out by hand, and what comes back. */
#ifndef TESTS_H2_CLIENT_TALK_H
#define TESTS_H2_CLIENT_TALK_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/h2_client.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

#define HEAD(method)            \
    method " /a?b HTTP/1.1\r\n" \
           "Host: a.test\r\n"   \
           "TE: trailers\r\n"   \
           "Connection: TE\r\n" \
           "X-Long-Name: Value\r\n"
#define OK                      "\x88" /* :status: 200, of the static table */
#define LINE(n, name, m, value) "\x00" n name m value

struct talk {
    struct h2_client *c;
    struct h2_call *call;
    struct buf out; /* what it says, from where it was last looked at */
    const char *why;
    uint64_t now_ms;
};

static inline int feed(struct talk *t, const void *bytes, size_t n)
{
    int rc = h2_client_feed(t->c, bytes, n, t->now_ms, &t->why);

    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    return h2_client_broken(t->c) ? -1 : rc;
}

static inline void add_frame(struct buf *out, int kind, int flags, uint32_t stream, const void *payload,
                             size_t n)
{
    const char head[9] = { (char)(n >> 16),     (char)(n >> 8), (char)n, (char)kind, (char)flags, 0, 0,
                           (char)(stream >> 8), (char)stream };

    buf_add(out, head, sizeof head);
    buf_add(out, payload, n);
}

static inline int frame(struct talk *t, int kind, int flags, uint32_t stream, const void *payload, size_t n)
{
    struct buf out = { 0 };
    int rc;

    add_frame(&out, kind, flags, stream, payload, n);
    rc = feed(t, buf_bytes(&out), out.len);
    buf_free(&out);
    return rc;
}

#define FRAME(t, kind, flags, stream, payload) frame(t, kind, flags, stream, payload, sizeof payload - 1)

static inline struct h2_call *call_of(struct talk *t, const char *head)
{
    struct h2_call *call = h2_call_new(t->c, t);

    h2_call_head(call, str_of(head), "http");
    return call;
}

static inline int setup(void **state)
{
    struct talk *t = calloc(1, sizeof *t);

    t->c = h2_client_new(0);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    assert_memory_equal(buf_bytes(&t->out), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    buf_take(&t->out, 24);
    assert_false(h2_client_settled(t->c));
    assert_int_equal(h2_client_limit(t->c), 0);
    assert_int_equal(frame(t, SETTINGS, 0, 0, "", 0), 0);
    assert_int_equal(frame(t, SETTINGS, ACK, 0, "", 0), 0);
    assert_true(h2_client_settled(t->c));
    assert_int_equal(h2_client_limit(t->c), H2_CLIENT_CALLS);
    t->call = call_of(t, HEAD("POST") "Transfer-Encoding: chunked\r\n\r\n");
    h2_call_flush(t->call);
    h2_client_send(t->c, &t->out, 1 << 20, 1 << 20);
    buf_free(&t->out);
    *state = t;
    return 0;
}

static inline int teardown(void **state)
{
    struct talk *t = *state;

    h2_client_free(t->c);
    buf_free(&t->out);
    free(t);
    return 0;
}

/* Takes frames off until one of this kind; its payload, or NULL. */
static inline const unsigned char *said(struct talk *t, int kind, size_t *n, int *flags)
{
    static unsigned char payload[65536];

    *n = 0;
    *flags = 0;
    while (t->out.len >= 9) {
        const unsigned char *head = (const void *)buf_bytes(&t->out);
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        bool found = head[3] == kind;

        assert_true(t->out.len >= 9 + length && length <= sizeof payload);
        *flags = head[4];
        memcpy(payload, head + 9, length);
        buf_take(&t->out, 9 + length);
        *n = length;
        if (found)
            return payload;
    }
    return NULL;
}

/* The error code that a frame of this kind carries at this place. */
static inline int code_said(struct talk *t, int kind)
{
    size_t n;
    int flags;
    const unsigned char *payload = said(t, kind, &n, &flags);

    return payload ? payload[kind == GOAWAY ? 7 : 3] : -1;
}
#endif
