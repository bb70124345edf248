#include "shared/port_policy.h"

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

static void set_networks(json_t *to, const char *key, const struct cidrs *cidrs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < cidrs->n; i++) {
        struct buf text = { 0 };

        cidr_print(&text, &cidrs->list[i]);
        json_array_append_new(list, json_stringn(buf_bytes(&text), text.len));
        buf_free(&text);
    }
    if (cidrs->n > 0)
        json_object_set(to, key, list);
    json_decref(list);
}

json_t *port_policy_write(const struct port_policy *p)
{
    struct buf listen = { 0 };
    json_t *to = json_object();

    value_print_address(&listen, &p->listen);
    json_object_set_new(to, "listen", json_stringn(buf_bytes(&listen), listen.len));
    buf_free(&listen);
    set_networks(to, "allow", &p->allow);
    set_networks(to, "deny", &p->deny);
    return to;
}

/* ---- read ---- */

static int get_networks(const json_t *object, const char *key, struct cidrs *cidrs, struct arena *arena,
                        struct err *e)
{
    struct cidr *into;
    const json_t *list;

    *cidrs = (struct cidrs){ 0 };
    if (!json_object_get(object, key))
        return 0;
    if (json_get_list(object, key, PORT_POLICY_NETWORKS, &list, e) != 0)
        return -1;
    into = arena_get(arena, json_array_size(list) * sizeof *into + 1);
    cidrs->list = into;
    for (; cidrs->n < json_array_size(list); cidrs->n++) {
        const char *text = json_string_value(json_array_get(list, cidrs->n));

        if (!text)
            return err_set(e, ERR_INPUT, "member \"%s\" holds what is no text", key);
        if (cidr_read(str_of(text), &into[cidrs->n], e) != 0)
            return err_wrap(e, "member \"%s\"", key);
    }
    return 0;
}

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
    return get_networks(object, "allow", &p->allow, arena, e) != 0 ||
                   get_networks(object, "deny", &p->deny, arena, e) != 0
               ? -1
               : 0;
}
