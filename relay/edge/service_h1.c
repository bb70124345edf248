#include "relay/edge/service_h1.h"

#include <stdio.h>

/* ---- the request ---- */

static void head(void *user, struct str text)
{
    upstream_write(user, text.p, text.n);
}

static void body(void *user, enum h1_framing framing, struct str data)
{
    char size[24];

    if (framing == H1_CHUNKED)
        upstream_write(user, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", data.n));
    upstream_write(user, data.p, data.n);
    if (framing == H1_CHUNKED)
        upstream_write(user, "\r\n", 2);
}

static void end(void *user, enum h1_framing framing, struct str trailers)
{
    if (framing != H1_CHUNKED)
        return;
    upstream_write(user, "0\r\n", 3);
    upstream_write(user, trailers.n > 0 ? trailers.p : "\r\n", trailers.n > 0 ? trailers.n : 2);
}

static void flush(void *user)
{
    (void)user; /* it goes by itself */
}

/* ---- what is asked ---- */

static bool ready(const void *user)
{
    return upstream_ready(user);
}

static bool used_before(const void *user)
{
    return upstream_used_before(user);
}

static uint64_t lane(const void *user)
{
    return upstream_lane(user);
}

static size_t room(void *user)
{
    return upstream_room(user);
}

static struct stream *stream(void *user)
{
    return upstream_stream(user);
}

static void hold(void *user, bool held)
{
    if (held)
        stream_pause(upstream_stream(user));
    else
        stream_resume(upstream_stream(user));
}

static struct upstream *upstream(void *user)
{
    return user;
}

static void leave(void *user, enum service_leave how)
{
    switch (how) {
    case SERVICE_KEEP: upstream_give_back(user); break;
    case SERVICE_CLOSE: upstream_close(user); break;
    case SERVICE_ABORT: upstream_abort(user); break;
    }
}

struct service_side service_h1(struct upstream *u)
{
    static const struct service_ops ops = {
        .head = head,
        .body = body,
        .end = end,
        .flush = flush,
        .ready = ready,
        .used_before = used_before,
        .lane = lane,
        .room = room,
        .stream = stream,
        .hold = hold,
        .upstream = upstream,
        .leave = leave,
    };

    return (struct service_side){ &ops, u };
}
