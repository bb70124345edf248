/* What others want to know of a stream: its lane, and limits.c. */
#include "agent/carry/stream_parts.h"

bool carry_in_use(const struct carry *c)
{
    return c->item != NULL;
}

struct carry **carry_next(struct carry *c)
{
    return &c->next;
}

struct carry_link *carry_link(struct carry *c)
{
    return &c->all;
}

uint64_t carry_held(const struct carry *c)
{
    uint64_t held = c->in.len + c->out.len;

    if (c->service)
        held += service_conn_queued(c->service);
    if (c->channel)
        held += ssh_channel_unread(c->channel);
    return held;
}

bool carry_is_stuck(const struct carry *c)
{
    return c->stuck && c->state != C_CLOSE && carry_in_use(c);
}
