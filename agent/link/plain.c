/* The life of a plain forward:
 *
 *   converse: a session channel ──▶ forward: the port ──▶ up, streams come and go ── drain: no port, last stream ──▶ end
 *
 * Nobody speaks on the session channel. It is there because OpenSSH sends small packets at once only when a command
 * runs; so one does that waits for our end of its input. Where the account allows none, we go on without. */
#include "agent/link/plain.h"

#include "shared/lane_types.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>

struct plain {
    struct duty duty; /* first: a duty of this kind is a plain forward */
    const struct session_conf *conf;
    LIBSSH2_CHANNEL *waiter; /* NULL: none was allowed, or it has ended */
    bool was_up;
};

static int plain_converse(struct duty *d, struct err *e);
static int plain_forward(struct duty *d, struct err *e);
static int plain_run(struct duty *d, struct err *e);
static struct carry *plain_accept(struct duty *d, LIBSSH2_CHANNEL *channel);
static void plain_beat(struct duty *d);
static void plain_drain(struct duty *d);
static void plain_view(const struct duty *d, struct duty_view *out);
static void plain_ignore(struct duty *d);
static bool plain_say(struct duty *d, const struct lane_msg *m);
static void plain_free(struct duty *d);
static uint64_t say_ended(void *user, uint64_t stream, enum lane_how how, const char *detail);
static void say_consumed(void *user, uint64_t stream, uint64_t total);
static bool is_said(void *user, uint64_t place);

struct duty *plain_new(const struct duty_conf *conf)
{
    static const struct duty_ops ops = {
        .converse = plain_converse,
        .forward = plain_forward,
        .run = plain_run,
        .beat = plain_beat,
        .claim = plain_ignore,
        .say = plain_say,
        .talk = plain_ignore,
        .drain = plain_drain,
        .stop = plain_ignore,
        .view = plain_view,
        .accept = plain_accept,
        .free = plain_free,
    };
    struct plain *p = mem_new(sizeof *p);

    duty_init(&p->duty, &ops, conf);
    p->conf = conf->session;
    p->duty.carry.say_ended = say_ended;
    p->duty.carry.say_consumed = say_consumed;
    p->duty.carry.said = is_said;
    return &p->duty;
}

static struct plain *plain_of(struct duty *d)
{
    return (struct plain *)d;
}

/* ---- converse, forward ---- */

static int plain_converse(struct duty *d, struct err *e)
{
    struct err why = { 0 };
    int rc = ssh_pipe_exec(d->pipe, "exec cat", &plain_of(d)->waiter, &why);

    if (rc >= 0)
        return rc;
    if (why.code != ERR_TAKEN)
        return err_set(e, why.code, "opens no session channel: %s", why.text);
    log_debug("no command there", kv_str("relay", plain_of(d)->conf->relay), kv_str("error", why.text));
    return SSH_DONE;
}

static int plain_forward(struct duty *d, struct err *e)
{
    const struct session_conf *conf = plain_of(d)->conf;
    struct err why = { 0 };
    int rc = ssh_pipe_forward(d->pipe, conf->remote_address, conf->remote_port, NULL, &why);

    if (rc >= 0)
        return rc;
    if (why.code != ERR_TAKEN)
        return err_set(e, why.code, "was asked for port %u: %s", conf->remote_port, why.text);
    return err_set(
        e, ERR_TAKEN,
        "does not give us port %u on %s: it is taken, such as by a session of ours that died and that "
        "sshd has not missed yet, or this user and key may not listen there",
        conf->remote_port, conf->remote_address);
}

/* ---- up ---- */

/* What the command prints is of no use. When it ends, sshd still sends at once. */
static void drain_waiter(struct plain *p)
{
    char dropped[1024];
    ssize_t n;

    if (!p->waiter)
        return;
    do {
        n = ssh_channel_read(p->waiter, dropped, sizeof dropped);
    } while (n > 0);
    ssh_channel_drop_stderr(p->waiter);
    if (n != SSH_EOF)
        return;
    ssh_pipe_close(p->duty.pipe, p->waiter);
    p->waiter = NULL;
}

static int plain_run(struct duty *d, struct err *e)
{
    struct plain *p = plain_of(d);

    if (!p->was_up) {
        p->was_up = d->settled = true;
        d->events->up(d->user);
    }
    do {
        if (duty_take_in(d, e) != 0)
            return -1;
        drain_waiter(p);
        duty_carry(d);
        ssh_pipe_free_closed(d->pipe);
    } while (ssh_pipe_unread(d->pipe));
    if (d->draining)
        ssh_pipe_end_forward(d->pipe);
    if (d->draining && duty_streams(d) == 0 && !ssh_pipe_closes(d->pipe))
        return err_set(e, ERR_STOPPED, "drained");
    return 0;
}

static struct carry *plain_accept(struct duty *d, LIBSSH2_CHANNEL *channel)
{
    return carry_start_plain(&d->carry, channel, &d->carry.sites->list[0]);
}

static void plain_beat(struct duty *d)
{
    ssh_pipe_poke(d->pipe);
}

static void plain_drain(struct duty *d)
{
    ssh_pipe_end_forward(d->pipe); /* the port is free for whoever comes after us */
}

static void plain_view(const struct duty *d, struct duty_view *out)
{
    *out = (struct duty_view){ d->draining ? "draining" : "up", -1, (int64_t)LANE_HEARTBEAT_S * 1000 };
}

static void plain_ignore(struct duty *d)
{
    (void)d; /* nobody there claims names, or waits for a last word */
}

static bool plain_say(struct duty *d, const struct lane_msg *m)
{
    (void)d, (void)m;
    return false;
}

static void plain_free(struct duty *d)
{
    free(d);
}

/* ---- what streams would tell a relay ---- */

static uint64_t say_ended(void *user, uint64_t stream, enum lane_how how, const char *detail)
{
    (void)user;
    (void)stream;
    (void)how;
    (void)detail;
    return 0;
}

static void say_consumed(void *user, uint64_t stream, uint64_t total)
{
    (void)user;
    (void)stream;
    (void)total;
}

static bool is_said(void *user, uint64_t place)
{
    (void)user;
    (void)place;
    return true;
}
