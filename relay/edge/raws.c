#include "relay/edge/raws.h"

#include "relay/edge/headers.h"
#include "relay/edge/snapshot_bans.h"
#include "relay/edge/snapshot_ports.h"
#include "shared/door.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LONG_AWAY_S = 60 };

struct port_door {
    struct port_door *next;
    struct raws *raws;
    struct port *port; /* a reference: no other one can have its address meanwhile */
    struct door *door;
    char *at;
};

struct guest {
    struct raw *raw;
    uint64_t place; /* in the crowd */
};

struct raws {
    struct raws_conf conf;
    struct raw_host host; /* what they are told is the conf's */
    struct port_door *doors;
    struct guest *guests;
    size_t n, room;
    bool draining;
};

static void on_came(void *user, int fd);
static void on_raw_ended(void *user, struct raw *raw);

static struct snapshot *current_snapshot(void *user)
{
    const struct raws *r = user;

    return r->conf.host.snapshot(r->conf.host.user);
}

struct raws *raws_new(const struct raws_conf *conf)
{
    struct raws *r = mem_new(sizeof *r);

    r->conf = *conf;
    r->host = conf->host;
    r->host.snapshot = current_snapshot;
    r->host.ended = on_raw_ended;
    r->host.user = r;
    return r;
}

void raws_free(struct raws *r)
{
    free(r->guests);
    free(r);
}

/* ---- doors ---- */

static void close_door(struct port_door **at)
{
    struct port_door *d = *at;

    *at = d->next;
    door_close(d->door);
    port_release(d->port);
    free(d->at);
    free(d);
}

static void open_door(struct raws *r, const struct snap_port *port)
{
    static const struct door_kind kind = {
        .name = "ports", .leaves_some = true, .anothers = true, .came = on_came
    };
    int fd = port_take(port->port, r->conf.worker);
    struct err why = { 0 };
    struct port_door *d;

    if (fd < 0)
        return; /* this worker has had its door there and closed it: it is ending */
    d = mem_new(sizeof *d);
    d->raws = r;
    d->port = port_hold(port->port);
    d->at = mem_copy(port->at);
    d->next = r->doors;
    r->doors = d;
    d->door = door_open(r->host.loop, fd, &kind, d, &why);
    if (d->door)
        return;
    log_error("cannot let visitors in at a port", kv_str("item", port->target.item),
              kv_str("error", why.text));
    close_door(&r->doors);
}

static bool has_port(const struct snapshot *s, const struct port *port)
{
    const struct snap_port *const *ports;
    size_t n = snapshot_ports(s, &ports);

    for (size_t i = 0; i < n; i++)
        if (ports[i]->port == port)
            return true;
    return false;
}

static bool has_door(const struct raws *r, const struct port *port)
{
    const struct port_door *d = r->doors;

    while (d && d->port != port)
        d = d->next;
    return d != NULL;
}

void raws_follow(struct raws *r, const struct snapshot *snapshot)
{
    const struct snap_port *const *ports;
    size_t n = snapshot_ports(snapshot, &ports);

    for (struct port_door **at = &r->doors; *at;)
        if (has_port(snapshot, (*at)->port))
            at = &(*at)->next;
        else
            close_door(at);
    for (size_t i = 0; i < n && !r->draining; i++)
        if (!has_door(r, ports[i]->port))
            open_door(r, ports[i]);
}

/* ---- who comes ---- */

static void reset(int fd)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static bool may_come(const struct snap_port *port, const struct sockaddr_storage *peer)
{
    return !cidrs_have(&port->deny, peer) && (port->allow.n == 0 || cidrs_have(&port->allow, peer));
}

static void on_refused_ended(void *user, const struct err *why)
{
    (void)user;
    (void)why;
}

static void add(struct raws *r, struct stream *visitor, const struct raw_visit *visit, uint64_t place,
                const char *bytes, size_t n)
{
    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        r->guests = mem_grow(r->guests, r->room * sizeof *r->guests);
    }
    r->guests[r->n++] = (struct guest){ raw_start(&r->host, visitor, visit, bytes, n), place };
}

static bool enter(struct raws *r, const struct sockaddr_storage *peer, uint64_t *place)
{
    const struct snap_rules *rules = snapshot_rules(current_snapshot(r));

    if (crowd_admit(r->conf.crowd, peer, &rules->trusted, &rules->crowd, place))
        return true;
    tally_refuse(r->conf.tally, TALLY_CROWD);
    return false;
}

static void refuse(struct raws *r, enum tally_refusal why, const struct raw_visit *visit)
{
    tally_refuse(r->conf.tally, why);
    raw_refuse(&r->host, visit);
}

void raws_add(struct raws *r, struct stream *visitor, const struct raw_visit *visit, uint64_t place,
              const char *bytes, size_t n)
{
    static const struct stream_events events = { .ended = on_refused_ended };
    const struct snap_rules *rules = snapshot_rules(current_snapshot(r));

    if (visit->refused)
        refuse(r, visit->refusal, visit);
    if (!r->draining && !visit->refused &&
        crowd_move(r->conf.crowd, &visit->alone.source, &rules->trusted, &rules->crowd, &place)) {
        add(r, visitor, visit, place, bytes, n);
        return;
    }
    crowd_leave(r->conf.crowd, place);
    stream_hand_over(visitor, &events, NULL);
    stream_reset(visitor);
}

/* For a house that has just gone, or that this relay has not heard of since it started. One that has been away for longer
 * is not expected back in a moment: its visitors are told at once. */
static int64_t patience_ms(const struct snap_port *port)
{
    return port->away_since != 0 && time(NULL) - port->away_since > LONG_AWAY_S ? 0 : port->park_ms;
}

static void let_in(struct raws *r, int fd, const struct snap_port *port, const struct purpose_alone *who)
{
    static const struct stream_events events = { .ended = on_refused_ended };
    const struct raw_visit visit = {
        .alone = *who,
        .key = port->at,
        .find = snapshot_port_target,
        .counts = port->counts,
        .park_ms = patience_ms(port),
        .logged = true,
        .method = "TCP",
        .item = port->target.item,
        .agent = port->agent,
    };
    struct err why = { 0 };
    struct stream *visitor;
    uint64_t place;

    if (snapshot_bans(current_snapshot(r), &who->source)) {
        tally_refuse(r->conf.tally, TALLY_BANNED);
        reset(fd);
        return;
    }
    if (!may_come(port, &who->source)) {
        raw_refuse(&r->host, &visit);
        reset(fd);
        return;
    }
    if (snapshot_port_bans(current_snapshot(r), port, &who->source)) {
        refuse(r, TALLY_BANNED, &visit);
        reset(fd);
        return;
    }
    if (!enter(r, &who->source, &place)) {
        reset(fd);
        return;
    }
    visitor = stream_open(r->host.loop, fd, &events, NULL, &why);
    if (visitor) {
        add(r, visitor, &visit, place, NULL, 0);
        return;
    }
    crowd_leave(r->conf.crowd, place);
    log_warn_limited("edge", "cannot accept", kv_str("error", why.text));
}

static void on_came(void *user, int fd)
{
    const struct port_door *d = user;
    struct raws *r = d->raws;
    const struct snap_port *port = snapshot_find_port(current_snapshot(r), d->at);
    struct purpose_alone who = { 0 };
    socklen_t n = sizeof who.source, m = sizeof who.dest;

    /* A visitor that has gone already has no address. */
    if (port && getpeername(fd, (struct sockaddr *)&who.source, &n) == 0 &&
        getsockname(fd, (struct sockaddr *)&who.dest, &m) == 0)
        let_in(r, fd, port, &who);
    else
        reset(fd);
}

/* ---- end ---- */

static void on_raw_ended(void *user, struct raw *raw)
{
    struct raws *r = user;

    for (size_t i = 0; i < r->n; i++)
        if (r->guests[i].raw == raw) {
            crowd_leave(r->conf.crowd, r->guests[i].place);
            r->guests[i] = r->guests[--r->n];
            break;
        }
    r->conf.host.ended(r->conf.host.user, NULL);
}

bool raws_idle(const struct raws *r)
{
    return r->n == 0;
}

void raws_drain(struct raws *r)
{
    r->draining = true;
    while (r->doors)
        close_door(&r->doors);
}

void raws_stop(struct raws *r)
{
    raws_drain(r);
    for (size_t i = r->n; i > 0; i--)
        raw_stop(r->guests[i - 1].raw);
}
