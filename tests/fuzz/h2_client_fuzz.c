/* Fuzzes the client's side of HTTP/2: the first byte says into how large pieces the others are cut, which are a service's
 * frames behind its SETTINGS. Whatever comes, a head is one head and not two, what waits is bounded, and a call that is
 * whole is not refused. */
#include <stdint.h>
#include <string.h>

#include "relay/edge/h2_client.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 3, FRAME = 16384 };

static void begin(struct h2_client *c, void *user)
{
    struct h2_call *call = h2_call_new(c, user);

    h2_call_head(call, STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), "http");
    h2_call_body(call, "hello", 5);
    h2_call_end(call, STR("X-A: b\r\n\r\n"));
    h2_call_flush(call);
}

static void take_heads(struct h2_call *call)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 1 << 20 };

    while (call->heads.len > 0) {
        struct h1_head head;
        ssize_t n;

        h1_response_init(&head, STR("POST"));
        n = h1_head_parse(&head, buf_bytes(&call->heads), call->heads.len, &limits);
        must(n != 0);
        buf_take(&call->heads, n > 0 ? (size_t)n : call->heads.len);
    }
}

static void run(struct h2_client *c)
{
    struct h2_call *call;

    while ((call = h2_client_next(c))) {
        must(!(call->remote_ended && call->why));
        must(call->heads.len <= 2 * (size_t)H2_CALL_HEAD_BYTES &&
             call->trailers.len <= 2 * (size_t)H2_CALL_HEAD_BYTES);
        must(call->in.len <= H2_CALL_WINDOW_BYTES + FRAME);
        take_heads(call);
        h2_call_hold(call, call->id % 4 == 3); /* one is not read */
        if (call->id % 4 != 3)
            h2_call_taken(call);
        if (call->closed && call->user)
            (void)h2_call_how(call);
        if (call->closed || call->remote_ended)
            h2_call_leave(call);
        if (call->closed)
            h2_call_free(call);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
    struct h2_client *c = h2_client_new(0);
    size_t piece = size > 0 && data[0] > 0 ? data[0] : size;
    struct buf out = { 0 };
    const char *why = NULL;
    int rc;

    for (int i = 0; i < CALLS; i++)
        begin(c, &out);
    h2_client_send(c, &out, 1 << 20, 1 << 20);
    rc = h2_client_feed(c, settings, sizeof settings - 1, 0, &why);
    must(rc == 0);
    for (size_t at = 1; at < size && rc == 0 && !h2_client_broken(c); at += piece) {
        rc = h2_client_feed(c, (const char *)data + at, size - at < piece ? size - at : piece, at, &why);
        must(rc == 0 || why);
        run(c);
        h2_client_send(c, &out, 1 << 20, 1 << 20);
        must(out.len < 1 << 21);
        buf_free(&out);
        run(c);
    }
    h2_client_free(c);
    buf_free(&out);
    return 0;
}
