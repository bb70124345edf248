#include "relay/edge/purpose.h"

#include "shared/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

void purpose_set(struct purpose *p, const struct snap_target *target, const struct purpose_alone *alone)
{
    p->item = mem_copy(target->item);
    p->route = mem_copy(target->route);
    if (!alone)
        return;
    p->alone = mem_new(sizeof *p->alone);
    *p->alone = *alone;
    p->alone->sni = mem_copy(alone->sni ? alone->sni : "");
}

void purpose_free(struct purpose *p)
{
    free(p->item);
    free(p->route);
    if (p->alone)
        free((char *)(uintptr_t)p->alone->sni);
    free(p->alone);
    *p = (struct purpose){ 0 };
}

/* What lies behind the addresses themselves need not be alike. */
static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    if (a->ss_family != b->ss_family || a4->sin_port != b4->sin_port) /* it lies alike in both families */
        return false;
    return a->ss_family == AF_INET6 ? memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0
                                    : a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

static bool same_visitor(const struct purpose_alone *a, const struct purpose_alone *b)
{
    if (!a || !b)
        return a == b;
    return same_address(&a->source, &b->source) && same_address(&a->dest, &b->dest) &&
           strcmp(a->sni, b->sni ? b->sni : "") == 0;
}

bool purpose_is(const struct purpose *p, const struct snap_target *target, const struct purpose_alone *alone)
{
    return p->item && strcmp(p->item, target->item) == 0 && strcmp(p->route, target->route) == 0 &&
           same_visitor(p->alone, alone);
}

void purpose_write(const struct purpose *p, bool http2, struct buf *out)
{
    struct proxy2_use use = {
        .local = !p->alone, .item = str_of(p->item), .route = str_of(p->route), .http2 = http2
    };

    if (p->alone) {
        use.source = p->alone->source;
        use.dest = p->alone->dest;
        use.sni = str_of(p->alone->sni);
    }
    proxy2_use_write(out, &use);
}
