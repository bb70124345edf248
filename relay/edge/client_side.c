/* What exchanges say to a visitor's connection, and ask of it. */
#include "relay/edge/client_parts.h"

void client_send(struct client *c, const void *bytes, size_t n)
{
    wire_send(&c->wire, bytes, n);
}

struct buf *client_output(struct client *c)
{
    return &c->wire.gathered;
}

void client_end(struct client *c)
{
    c->half_ends = true;
}

uint64_t client_held(const struct client *c, uint64_t *moved)
{
    size_t queued = stream_queued(c->sock);

    *moved = c->wire.sent_bytes - queued;
    return queued + c->wire.gathered.len + c->plain.len;
}

bool client_has_ended(const struct client *c)
{
    return c->visitor_ended;
}

bool client_is_gone(const struct client *c)
{
    return stream_is_broken(c->sock);
}

bool client_has_left(const struct client *c)
{
    return client_is_gone(c) || (stream_peer_has_ended(c->sock) && !c->would_tell);
}

const char *client_tls_version(const struct client *c)
{
    return c->wire.tls ? tls_version(c->wire.tls) : "";
}

struct stream *client_stream(struct client *c)
{
    return c->sock;
}
