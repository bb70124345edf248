#include "agent/link/lane.h"

#include "agent/link/converse.h"
#include "shared/dial.h"
#include "shared/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

struct lane {
    struct duty duty; /* first: a duty of this kind is a lane */
    LIBSSH2_CHANNEL *control;
    struct converse talk;
    bool gone;       /* the relay, since it last said welcome */
    bool last_asked; /* behind all that the streams had to say, while it drains */
    uint64_t last_ping;
};

static void on_welcomed(void *user);
static void on_aborted(void *user, uint64_t stream);
static void on_away(void *user);
static uint64_t say_ended(void *user, uint64_t stream, enum lane_how how, const char *detail);
static void say_consumed(void *user, uint64_t stream, uint64_t total);
static bool is_said(void *user, uint64_t place);
static uint64_t ask(void *user);
static bool is_answered(void *user, uint64_t ping);
static int lane_converse(struct duty *d, struct err *e);
static int lane_forward(struct duty *d, struct err *e);
static int lane_run(struct duty *d, struct err *e);
static void lane_beat(struct duty *d);
static void lane_claim(struct duty *d);
static bool lane_say(struct duty *d, const struct lane_msg *m);
static void lane_talk(struct duty *d);
static void lane_drain(struct duty *d);
static void lane_stop(struct duty *d);
static void lane_view(const struct duty *d, struct duty_view *out);
static struct carry *lane_accept(struct duty *d, LIBSSH2_CHANNEL *channel);
static void lane_free(struct duty *d);

/* A NAT hides a relay's IPv4 address from it, hardly ever its IPv6 one: so where its name has one, that is said by lanes that came
 * by IPv6 as well. The last hello counts, and records are not to come and go with the family of the last connection. */
static void find_reached(const struct duty_conf *conf, char out[INET6_ADDRSTRLEN])
{
    union {
        struct sockaddr_storage all;
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = { 0 };
    socklen_t size = sizeof peer;

    out[0] = 0;
    if (getpeername(conf->fd, &peer.any, &size) != 0)
        return;
    if (peer.any.sa_family == AF_INET6)
        (void)dial_names_find(conf->session->names, conf->session->host, AF_INET, &peer.all);
    if (peer.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &peer.v4.sin_addr, out, INET6_ADDRSTRLEN);
    else if (peer.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &peer.v6.sin6_addr, out, INET6_ADDRSTRLEN);
}

struct duty *lane_new(const struct duty_conf *conf)
{
    static const struct converse_events talk_events = { on_welcomed, on_aborted, on_away };
    static const struct duty_ops ops = {
        .converse = lane_converse,
        .forward = lane_forward,
        .run = lane_run,
        .beat = lane_beat,
        .claim = lane_claim,
        .say = lane_say,
        .talk = lane_talk,
        .drain = lane_drain,
        .stop = lane_stop,
        .view = lane_view,
        .accept = lane_accept,
        .free = lane_free,
    };
    const struct session_conf *session = conf->session;
    struct lane *l = mem_new(sizeof *l);

    duty_init(&l->duty, &ops, conf);
    l->duty.carry.say_ended = say_ended;
    l->duty.carry.say_consumed = say_consumed;
    l->duty.carry.said = is_said;
    l->duty.carry.ask = ask;
    l->duty.carry.answered = is_answered;
    converse_init(&l->talk, session->relay, session->lane, session->boot, session->sites, &talk_events, l);
    find_reached(conf, l->talk.reached);
    return &l->duty;
}

static struct lane *lane_of(struct duty *d)
{
    return (struct lane *)d;
}

static void lane_free(struct duty *d)
{
    converse_free(&lane_of(d)->talk);
    free(d);
}

/* ---- the steps before it serves ---- */

static int lane_converse(struct duty *d, struct err *e)
{
    /* The key's forced command runs, whatever is asked for; the word is for people who read sshd's log. */
    int rc = ssh_pipe_exec(d->pipe, "tunnel-lane", &lane_of(d)->control, e);

    return rc < 0 ? err_wrap(e, "opens no session channel") : rc;
}

static int lane_forward(struct duty *d, struct err *e)
{
    struct err why = { 0 };
    int port, rc = ssh_pipe_forward(d->pipe, "127.0.0.1", 0, &port, &why);

    if (rc == SSH_DONE)
        converse_hello(&lane_of(d)->talk, port);
    if (rc < 0)
        return err_set(e, ERR_PEER,
                       "grants no port: %s; its authorized key needs "
                       "restrict,port-forwarding,permitlisten=\"127.0.0.1:*\", and its sshd_config "
                       "AllowTcpForwarding remote; run there: tunnelctl doctor",
                       why.text);
    return rc;
}

/* ---- the conversation ---- */

static void send_talk(struct lane *l)
{
    struct buf *out = converse_out(&l->talk);
    ssize_t n = out->len > 0 ? ssh_channel_write(l->control, buf_bytes(out), out->len) : 0;

    if (n > 0)
        converse_took(&l->talk, (size_t)n);
}

static int hear_talk(struct lane *l, struct err *e)
{
    char bytes[4096];
    ssize_t n;

    do {
        while ((n = ssh_channel_read(l->control, bytes, sizeof bytes)) > 0)
            if (converse_feed(&l->talk, bytes, (size_t)n, loop_now_ms(l->duty.carry.loop), e) != 0)
                return -1;
    } while (ssh_channel_drop_stderr(l->control) && n == SSH_NONE);
    if (n == SSH_EOF)
        return err_set(e, ERR_PEER, "the key's forced command has ended (exit status %d)",
                       libssh2_channel_get_exit_status(l->control));
    return n == SSH_BROKEN ? err_set(e, ERR_PEER, "the SSH session broke") : 0;
}

static void on_welcomed(void *user)
{
    struct lane *l = user;

    l->gone = false;
    l->duty.carry.secret = l->talk.secret.bytes;
    duty_each_stream(&l->duty, carry_close_warm); /* they proved themselves with the secret before */
    l->duty.events->up(l->duty.user);
}

static void on_aborted(void *user, uint64_t stream)
{
    struct lane *l = user;
    struct carry *c = l->duty.streams;

    while (c && !carry_abort(c, stream))
        c = *carry_next(c);
}

static void on_away(void *user)
{
    struct lane *l = user;

    l->gone = true;
    duty_each_stream(&l->duty, carry_orphan);
}

static void lane_beat(struct duty *d)
{
    struct lane *l = lane_of(d);

    send_talk(l);
    if (!converse_ping(&l->talk, loop_now_ms(d->carry.loop)))
        ssh_channel_poke(l->control); /* sshd answers also while the relay is away, or stuck */
}

static void lane_claim(struct duty *d)
{
    converse_claim(&lane_of(d)->talk);
}

static bool lane_say(struct duty *d, const struct lane_msg *m)
{
    return converse_say(&lane_of(d)->talk, m);
}

static void lane_talk(struct duty *d)
{
    send_talk(lane_of(d));
}

/* ---- streams ---- */

static struct carry *lane_accept(struct duty *d, LIBSSH2_CHANNEL *channel)
{
    return carry_start(&d->carry, channel);
}

static uint64_t say_ended(void *user, uint64_t stream, enum lane_how how, const char *detail)
{
    struct lane *l = lane_of(user);
    uint64_t place = converse_ended(&l->talk, stream, how, detail);

    send_talk(l);
    return place;
}

static void say_consumed(void *user, uint64_t stream, uint64_t total)
{
    /* Goes out at the end of the round, all of them in one. */
    converse_consumed(&lane_of(user)->talk, stream, total);
}

static bool is_said(void *user, uint64_t place)
{
    return converse_said(&lane_of(user)->talk, place);
}

static uint64_t ask(void *user)
{
    struct lane *l = lane_of(user);

    return converse_ask(&l->talk, loop_now_ms(l->duty.carry.loop)); /* goes out at the end of the round */
}

static bool is_answered(void *user, uint64_t ping)
{
    return converse_answered(&lane_of(user)->talk, ping);
}

/* ---- both ---- */

/* What streams have said last, and how they ended, is dropped by sshd when the session ends before it is with the relay. */
static bool is_drained(struct lane *l)
{
    if (duty_streams(&l->duty) > 0 || converse_out(&l->talk)->len > 0)
        return false;
    if (!l->last_asked)
        l->last_ping = ask(l);
    l->last_asked = true;
    return l->gone || (is_answered(l, l->last_ping) &&
                       !ssh_pipe_closes(l->duty.pipe)); /* answered, if nobody was there */
}

static int lane_run(struct duty *d, struct err *e)
{
    struct lane *l = lane_of(d);

    /* What one call reads may be for any channel, so each gets its turn, until nothing new comes in. */
    do {
        if (duty_take_in(d, e) != 0 || hear_talk(l, e) != 0)
            return -1;
        send_talk(l);
        duty_carry(d);
        ssh_pipe_free_closed(d->pipe);
    } while (ssh_pipe_unread(d->pipe));
    d->settled = l->talk.state != CONVERSE_HELLO;
    d->away = l->talk.state == CONVERSE_AWAY;
    if (l->talk.state == CONVERSE_GOODBYE && !d->draining)
        duty_drain(d);
    if (d->draining && is_drained(l))
        return err_set(e, ERR_STOPPED, "drained");
    return 0;
}

static void lane_drain(struct duty *d)
{
    converse_goodbye(&lane_of(d)->talk, "the agent is stopping");
}

static void lane_stop(struct duty *d)
{
    if (lane_of(d)->control)
        send_talk(lane_of(d)); /* such as the error that this is about */
}

static void lane_view(const struct duty *d, struct duty_view *out)
{
    static const char *const states[] = { "opening", "up", "away", "draining" };
    const struct lane *l = (const struct lane *)d;

    *out = (struct duty_view){ states[l->talk.state], l->talk.rtt_ms, l->talk.heartbeat_ms };
}
