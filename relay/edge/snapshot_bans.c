#include "relay/edge/snapshot_bans.h"

#include "relay/edge/snapshot_parts.h"
#include "shared/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ---- building ---- */

void snapshot_set_bans(struct snapshot *s, struct banned *bans)
{
    s->bans = banned_hold(bans);
}

void snapshot_add_agent_bans(struct snapshot *s, const char *agent, struct banned *bans)
{
    if (!bans)
        return;
    s->agent_bans = mem_grow(s->agent_bans, (s->agent_bans_n + 1) * sizeof *s->agent_bans);
    s->agent_bans[s->agent_bans_n++] =
        (struct snap_agent_bans){ arena_copy(&s->texts, agent), banned_hold(bans) };
}

void snapshot_set_agent(struct snapshot *s, struct snap_site *site, const char *agent)
{
    site->agent = agent ? arena_copy(&s->texts, agent) : NULL;
}

void snapshot_free_bans(struct snapshot *s)
{
    banned_release(s->bans);
    for (size_t i = 0; i < s->agent_bans_n; i++)
        banned_release(s->agent_bans[i].bans);
    free(s->agent_bans);
}

/* ---- asking ---- */

static bool is_exempt(const struct snapshot *s, const struct sockaddr_storage *addr)
{
    const struct sockaddr_in *v4 = (const void *)addr;

    return (addr->ss_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) ||
           cidrs_have(&s->rules.trusted, addr);
}

bool snapshot_bans(const struct snapshot *s, const struct sockaddr_storage *addr)
{
    return s->bans && !is_exempt(s, addr) && banned_hit(s->bans, addr, time(NULL));
}

static bool serves(const struct snap_site *site, const char *agent)
{
    if (site->agent && strcmp(site->agent, agent) == 0)
        return true;
    for (size_t i = 0; i < site->own.lanes_n; i++)
        if (strcmp(site->own.lanes[i].lane->agent, agent) == 0)
            return true;
    return false;
}

bool snapshot_site_bans(const struct snapshot *s, const struct snap_site *site,
                        const struct sockaddr_storage *addr)
{
    if (s->agent_bans_n == 0 || is_exempt(s, addr))
        return false;
    for (size_t i = 0; i < s->agent_bans_n; i++)
        if (serves(site, s->agent_bans[i].agent) && banned_hit(s->agent_bans[i].bans, addr, time(NULL)))
            return true;
    return false;
}

bool snapshot_port_bans(const struct snapshot *s, const struct snap_port *port,
                        const struct sockaddr_storage *addr)
{
    if (s->agent_bans_n == 0 || is_exempt(s, addr))
        return false;
    for (size_t i = 0; i < s->agent_bans_n; i++)
        if (strcmp(port->agent, s->agent_bans[i].agent) == 0 &&
            banned_hit(s->agent_bans[i].bans, addr, time(NULL)))
            return true;
    return false;
}
