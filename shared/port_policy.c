#include "shared/port_policy.h"

#include "shared/cidr_json.h"
#include "shared/json.h"
#include "shared/value.h"

#include <netinet/in.h>
#include <string.h>

enum { ADDRESS_BYTES = 64 };

unsigned port_policy_port(const struct opt_address *address)
{
    const struct sockaddr_in *addr = (const void *)&address->addr; /* it lies alike in both families */

    return ntohs(addr->sin_port);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    if (a->ss_family != b->ss_family)
        return false;
    return a->ss_family == AF_INET ? a4->sin_addr.s_addr == b4->sin_addr.s_addr
                                   : memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

bool port_policy_collide(const struct opt_address *a, const struct opt_address *b)
{
    return port_policy_port(a) == port_policy_port(b) && (a->any || b->any || same_host(&a->addr, &b->addr));
}

/* ---- write ---- */

json_t *port_policy_write(const struct port_policy *p)
{
    struct buf listen = { 0 };
    json_t *to = json_object();

    value_print_address(&listen, &p->listen);
    json_object_set_new(to, "listen", json_stringn(buf_bytes(&listen), listen.len));
    buf_free(&listen);
    cidr_json_set(to, "allow", &p->allow);
    cidr_json_set(to, "deny", &p->deny);
    return to;
}

/* ---- read ---- */

int port_policy_read(struct port_policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    const char *listen;

    *p = (struct port_policy){ 0 };
    if (!json_is_object(object))
        return err_set(e, ERR_INPUT, "it does not say where to listen");
    if (json_get_text(object, "listen", ADDRESS_BYTES, &listen, e) != 0)
        return -1;
    if (value_address(str_of(listen), false, &p->listen, e) != 0)
        return err_wrap(e, "member \"listen\"");
    return cidr_json_get(object, "allow", &p->allow, arena, e) != 0 ||
                   cidr_json_get(object, "deny", &p->deny, arena, e) != 0
               ? -1
               : 0;
}
