#include "relay/lanes/ports.h"

#include "relay/lanes/port_list.h"
#include "shared/listen.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/port_policy.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FREE_FROM = 1024 /* on, anybody may bind a port */ };

struct entry {
    struct opt_address at;
    int fd;
    bool reserved, wanted;
    struct port *port; /* NULL: it does not listen */
};

struct ports {
    unsigned workers;
    struct entry *list;
    size_t n;
    struct opt_address *own; /* the relay's own listeners */
    size_t own_n;
    bool closed, told;
};

struct ports *ports_new(unsigned workers)
{
    struct ports *p = mem_new(sizeof *p);

    p->workers = workers;
    return p;
}

/* ---- one of them ---- */

static struct entry *find(const struct ports *p, const struct opt_address *at)
{
    const struct opt_addresses one = { 1, at };

    for (size_t i = 0; i < p->n; i++)
        if (opt_addresses_have(&one, &p->list[i].at))
            return &p->list[i];
    return NULL;
}

static struct entry *add(struct ports *p, const struct opt_address *at, int fd)
{
    p->list = mem_grow(p->list, (p->n + 1) * sizeof *p->list);
    p->list[p->n] = (struct entry){ .at = *at, .fd = fd };
    return &p->list[p->n++];
}

static int begin(const struct ports *p, struct entry *entry, struct err *e)
{
    if (entry->port)
        return 0;
    if (listen_begin(entry->fd, &entry->at, e) != 0)
        return -1;
    entry->port = port_new(entry->fd, p->workers, e);
    if (entry->port)
        return 0;
    (void)shutdown(entry->fd, SHUT_RD);
    return -1;
}

/* Whatever descriptors of it there are, visitors are refused at once, and the socket stays bound. */
static void end(struct entry *entry)
{
    if (!entry->port)
        return;
    (void)shutdown(entry->fd, SHUT_RD);
    port_release(entry->port);
    entry->port = NULL;
}

static void drop(struct ports *p, struct entry *entry)
{
    end(entry);
    close(entry->fd);
    *entry = p->list[--p->n];
}

/* ---- what is wanted ---- */

static int open_port(struct ports *p, const struct opt_address *at, struct err *e)
{
    struct entry *entry = find(p, at);
    int fd;

    if (p->closed)
        return err_set(e, ERR_STOPPED, "the relay is stopping");
    for (size_t i = 0; i < p->own_n; i++)
        if (port_policy_collide(&p->own[i], at))
            return err_set(e, ERR_TAKEN, "the relay itself listens on port %u; listen on another one",
                           port_policy_port(at));
    if (!entry) {
        if (listen_bind(at, &fd, e) != 0)
            return -1;
        entry = add(p, at, fd);
    }
    entry->wanted = true;
    return begin(p, entry, e);
}

bool ports_want(struct ports *p, const struct opt_address *at, char *why, size_t room)
{
    struct err e = { 0 };

    if (open_port(p, at, &e) == 0)
        return true;
    snprintf(why, room, "%s", e.text);
    return false;
}

void ports_settled(struct ports *p)
{
    for (size_t i = p->n; i > 0; i--) {
        struct entry *entry = &p->list[i - 1];

        if (!entry->wanted && entry->reserved)
            end(entry);
        else if (!entry->wanted)
            drop(p, entry);
        else
            entry->wanted = false;
    }
}

struct port *ports_find(const struct ports *p, const struct opt_address *at)
{
    const struct entry *entry = find(p, at);

    return entry ? entry->port : NULL;
}

bool ports_have(const struct ports *p, unsigned port)
{
    for (size_t i = 0; i < p->n; i++)
        if (port_policy_port(&p->list[i].at) == port)
            return true;
    return false;
}

/* ---- what the configuration says ---- */

static void add_own(struct ports *p, const struct opt_addresses *list)
{
    for (size_t i = 0; i < list->n; i++) {
        p->own = mem_grow(p->own, (p->own_n + 1) * sizeof *p->own);
        p->own[p->own_n++] = list->list[i];
    }
}

static bool is_own(const struct ports *p, const struct opt_address *at)
{
    for (size_t i = 0; i < p->own_n; i++)
        if (port_policy_collide(&p->own[i], at))
            return true;
    return false;
}

/* One that cannot be had now may be had when it is claimed, or else that is told then. */
static void reserve(struct ports *p, unsigned number)
{
    struct opt_address at = { .any = true };
    struct sockaddr_in6 *v6 = (void *)&at.addr;
    struct entry *entry;
    struct err why = { 0 };
    int fd;

    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)number);
    entry = find(p, &at);
    if (is_own(p, &at))
        return;
    if (!entry && listen_bind(&at, &fd, &why) == 0)
        entry = add(p, &at, fd);
    if (entry)
        entry->reserved = true;
    else if (!p->told)
        log_info("a port of tcp_ports cannot be bound ahead of its claim", kv_int("port", number),
                 kv_str("error", why.text));
    p->told = p->told || !entry;
}

/* Not sshd's, which may start later than the relay does: without it nobody could log in. Who wants it has to claim it. */
static void reserve_low(struct ports *p, const struct opt_words *list, int64_t ssh_port)
{
    for (unsigned number = 1; number < FREE_FROM; number++)
        if (number != ssh_port && port_list_has(list, number))
            reserve(p, number);
}

void ports_follow(struct ports *p, const struct opt_conf *conf, const struct roster *roster)
{
    free(p->own);
    p->own = NULL;
    p->own_n = 0;
    add_own(p, &relay_conf_of(conf)->listen_https);
    add_own(p, &relay_conf_of(conf)->listen_http);
    for (size_t i = 0; i < p->n; i++)
        p->list[i].reserved = false;
    for (size_t i = 0; i < roster->n && !p->closed; i++)
        reserve_low(p, &roster->list[i].tcp_ports, relay_conf_of(conf)->ssh_port);
    p->told = false;
}

/* ---- end ---- */

void ports_close(struct ports *p)
{
    p->closed = true;
    while (p->n > 0)
        drop(p, &p->list[p->n - 1]);
}

void ports_free(struct ports *p)
{
    if (!p)
        return;
    ports_close(p);
    free(p->list);
    free(p->own);
    free(p);
}
