#include "agent/link/lane.h"

#include "shared/loop.h"

static void on_welcomed(void *user);
static void on_aborted(void *user, uint64_t stream);
static uint64_t say_ended(void *user, uint64_t stream, enum lane_how how, const char *detail);
static void say_consumed(void *user, uint64_t stream, uint64_t total);
static bool is_said(void *user, uint64_t place);
static bool on_added(void *user);
static void on_stream_ended(void *user, struct carry *ended);

void lane_init(struct lane *l, struct loop *loop, struct ssh_pipe *pipe, LIBSSH2_CHANNEL *control, int port,
               const struct session_conf *conf, const struct lane_events *events, void *user)
{
    static const struct converse_events talk_events = { on_welcomed, on_aborted };

    *l = (struct lane){ .events = events, .user = user, .pipe = pipe, .control = control };
    converse_init(&l->talk, conf->relay, conf->lane, conf->boot, conf->sites, &talk_events, l);
    converse_hello(&l->talk, port);
    l->carry = (struct carry_lane){
        .loop = loop,
        .pipe = pipe,
        .sites = conf->sites,
        .limits = conf->limits,
        .relay = conf->relay,
        .say_ended = say_ended,
        .say_consumed = say_consumed,
        .said = is_said,
        .added = on_added,
        .ended = on_stream_ended,
        .user = l,
    };
}

void lane_free(struct lane *l)
{
    converse_free(&l->talk);
}

/* ---- the conversation ---- */

void lane_talk(struct lane *l)
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
            if (converse_feed(&l->talk, bytes, (size_t)n, loop_now_ms(l->carry.loop), e) != 0)
                return -1;
    } while (ssh_channel_drop_stderr(l->control) && n == SSH_NONE);
    if (n == SSH_EOF)
        return err_set(e, ERR_PEER, "the key's forced command has ended (exit status %d)",
                       libssh2_channel_get_exit_status(l->control));
    return n == SSH_BROKEN ? err_set(e, ERR_PEER, "the SSH session broke") : 0;
}

static void for_each_stream(struct lane *l, void (*what)(struct carry *c))
{
    for (struct carry *c = l->streams, *next; c; c = next) {
        next = *carry_next(c); /* this one may be gone afterwards; no other can be */
        what(c);
    }
}

static void on_welcomed(void *user)
{
    struct lane *l = user;

    l->carry.secret = l->talk.secret.bytes;
    for_each_stream(l, carry_close_warm);
    l->events->up(l->user);
}

static void on_aborted(void *user, uint64_t stream)
{
    struct lane *l = user;
    struct carry *c = l->streams;

    while (c && !carry_abort(c, stream))
        c = *carry_next(c);
}

void lane_beat(struct lane *l)
{
    converse_ping(&l->talk, loop_now_ms(l->carry.loop));
    ssh_channel_poke(l->control); /* sshd answers also while the relay is away, or stuck */
}

/* ---- streams ---- */

static void accept_streams(struct lane *l)
{
    LIBSSH2_CHANNEL *channel;

    while ((channel = ssh_pipe_accept(l->pipe))) {
        struct carry *c;

        if (l->draining) {
            ssh_pipe_close(l->pipe, channel);
            continue;
        }
        c = carry_start(&l->carry, channel);
        *carry_next(c) = l->streams;
        l->streams = c;
    }
}

static uint64_t say_ended(void *user, uint64_t stream, enum lane_how how, const char *detail)
{
    struct lane *l = user;
    uint64_t place = converse_ended(&l->talk, stream, how, detail);

    lane_talk(l);
    return place;
}

static void say_consumed(void *user, uint64_t stream, uint64_t total)
{
    struct lane *l = user;

    converse_consumed(&l->talk, stream, total);
    lane_talk(l);
}

static bool is_said(void *user, uint64_t place)
{
    struct lane *l = user;

    return converse_said(&l->talk, place);
}

static bool on_added(void *user)
{
    struct lane *l = user;
    bool room = l->events->added(l->user);

    /* All at once, or each of hundreds of services would still add its share. */
    for (struct carry *c = room || l->full ? NULL : l->streams; c; c = *carry_next(c))
        carry_hold(c);
    l->full = !room;
    return room;
}

static void on_stream_ended(void *user, struct carry *ended)
{
    struct lane *l = user;
    struct carry **at = &l->streams;

    while (*at != ended)
        at = carry_next(*at);
    *at = *carry_next(ended);
    if (l->stopped && !l->streams)
        l->events->idle(l->user);
}

/* ---- both ---- */

int lane_run(struct lane *l, struct err *e)
{
    /* What one call reads may be for any channel, so each gets its turn, until nothing new comes in. */
    do {
        if (ssh_pipe_take_in(l->pipe, e) != 0)
            return err_wrap(e, "the SSH session broke");
        accept_streams(l);
        if (hear_talk(l, e) != 0)
            return -1;
        lane_talk(l);
        for_each_stream(l, carry_run);
        ssh_pipe_free_closed(l->pipe);
    } while (ssh_pipe_unread(l->pipe));
    if (l->talk.state == CONVERSE_GOODBYE && !l->draining)
        lane_drain(l);
    if (l->draining && lane_streams(l) == 0 && converse_out(&l->talk)->len == 0)
        return err_set(e, ERR_STOPPED, "drained");
    return 0;
}

void lane_drain(struct lane *l)
{
    l->draining = true;
    converse_goodbye(&l->talk, "the agent is stopping");
    for_each_stream(l, carry_close_unused);
}

void lane_stop(struct lane *l)
{
    if (l->control)
        lane_talk(l); /* such as the error that this is about */
    l->stopped = true;
    for_each_stream(l, carry_stop);
}

bool lane_idle(const struct lane *l)
{
    return !l->streams;
}

size_t lane_streams(const struct lane *l)
{
    size_t n = 0;

    for (struct carry *c = l->streams; c; c = *carry_next(c))
        n += carry_in_use(c);
    return n;
}
