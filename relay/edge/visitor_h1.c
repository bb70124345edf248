#include "relay/edge/visitor_h1.h"

#include <stdio.h>

/* ---- the response ---- */

static struct buf *head_room(void *user)
{
    return client_output(user);
}

static void head(void *user, int status)
{
    (void)user, (void)status; /* it stands where it is sent from */
}

static void body(void *user, enum h1_framing framing, const void *bytes, size_t n)
{
    char size[24];

    if (framing == H1_CHUNKED)
        client_send(user, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", n));
    client_send(user, bytes, n);
    if (framing == H1_CHUNKED)
        client_send(user, "\r\n", 2);
}

static void end(void *user, enum h1_framing framing, struct str trailers)
{
    if (framing != H1_CHUNKED)
        return;
    client_send(user, "0\r\n", 3);
    client_send(user, trailers.n > 0 ? trailers.p : "\r\n", trailers.n > 0 ? trailers.n : 2);
}

static void answer(void *user, struct str whole)
{
    client_send(user, whole.p, whole.n);
}

/* ---- after an upgrade ---- */

static void send_bytes(void *user, const void *bytes, size_t n)
{
    client_send(user, bytes, n);
}

static void shutdown_side(void *user)
{
    client_end(user);
}

/* ---- what is asked ---- */

static struct stream *stream(void *user)
{
    return client_stream(user);
}

static bool full(void *user)
{
    return stream_full(client_stream(user));
}

static uint64_t held(const void *user, uint64_t *moved)
{
    return client_held(user, moved);
}

static bool has_ended(const void *user)
{
    return client_has_ended(user);
}

static bool has_left(const void *user)
{
    return client_has_left(user);
}

static bool is_gone(const void *user)
{
    return client_is_gone(user);
}

static const char *tls_version_of(const void *user)
{
    return client_tls_version(user);
}

static void run(void *user)
{
    client_run(user);
}

struct visitor_side visitor_h1(struct client *c)
{
    static const struct visitor_ops ops = {
        .head_room = head_room,
        .head = head,
        .body = body,
        .end = end,
        .answer = answer,
        .send = send_bytes,
        .shutdown = shutdown_side,
        .connection = stream,
        .stream = stream,
        .full = full,
        .held = held,
        .has_ended = has_ended,
        .has_left = has_left,
        .is_gone = is_gone,
        .tls_version = tls_version_of,
        .run = run,
    };

    return (struct visitor_side){ &ops, c };
}
