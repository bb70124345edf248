#include "agent/link/duty.h"

static bool on_added(void *user);
static void on_stream_ended(void *user, struct carry *ended);

void duty_init(struct duty *d, const struct duty_ops *ops, const struct duty_conf *conf)
{
    *d = (struct duty){ .ops = ops, .events = conf->events, .user = conf->user, .pipe = conf->pipe };
    d->carry = (struct carry_lane){
        .loop = conf->loop,
        .pipe = conf->pipe,
        .sites = conf->session->sites,
        .limits = conf->session->limits,
        .relay = conf->session->relay,
        .added = on_added,
        .ended = on_stream_ended,
        .user = d,
    };
}

/* ---- streams ---- */

static void accept_streams(struct duty *d)
{
    LIBSSH2_CHANNEL *channel;

    while ((channel = ssh_pipe_accept(d->pipe))) {
        struct carry *c;

        if (d->draining) {
            ssh_pipe_close(d->pipe, channel);
            continue;
        }
        c = d->ops->accept(d, channel);
        *carry_next(c) = d->streams;
        d->streams = c;
    }
}

void duty_each_stream(struct duty *d, void (*what)(struct carry *c))
{
    for (struct carry *c = d->streams, *next; c; c = next) {
        next = *carry_next(c); /* this one may be gone afterwards; no other can be */
        what(c);
    }
}

void duty_carry(struct duty *d)
{
    accept_streams(d);
    duty_each_stream(d, carry_run);
}

static bool on_added(void *user)
{
    struct duty *d = user;
    bool room = d->events->added(d->user);

    /* All at once, or each of hundreds of services would still add its share. */
    for (struct carry *c = room || d->full ? NULL : d->streams; c; c = *carry_next(c))
        carry_hold(c);
    d->full = !room;
    return room;
}

static void on_stream_ended(void *user, struct carry *ended)
{
    struct duty *d = user;
    struct carry **at = &d->streams;

    while (*at != ended)
        at = carry_next(*at);
    *at = *carry_next(ended);
    if (d->stopped && !d->streams)
        d->events->idle(d->user);
}

/* ---- what the session wants ---- */

int duty_run(struct duty *d, struct err *e)
{
    return d->ops->run(d, e);
}

int duty_take_in(struct duty *d, struct err *e)
{
    return ssh_pipe_take_in(d->pipe, e) == 0 ? 0 : err_wrap(e, "the SSH session broke");
}

void duty_drain(struct duty *d)
{
    d->draining = true;
    d->ops->drain(d);
    duty_each_stream(d, carry_close_unused);
}

void duty_stop(struct duty *d)
{
    d->ops->stop(d);
    d->stopped = true;
    duty_each_stream(d, carry_stop);
}

bool duty_idle(const struct duty *d)
{
    return !d->streams;
}

size_t duty_streams(const struct duty *d)
{
    size_t n = 0;

    for (struct carry *c = d->streams; c; c = *carry_next(c))
        n += carry_in_use(c);
    return n;
}
