/* One SSH session with the relay, from name lookup to the last closed handle.
 *
 *   CONNECT -> HANDSHAKE -> HOSTKEY -> LOGIN -> CONVERSE -> FORWARD -> SERVE
 *      \___________\___________\_________\__________\__________\_________\___ failure, deadline, stop -> CLOSE -> freed
 *
 * CONNECT looks the name up and tries its addresses (shared/dial.c). CONVERSE opens the session channel, which carries the
 * conversation; this comes before FORWARD. From there on agent/link/lane.c tells the life, or agent/link/plain.c. */
#include "agent/link/session.h"

#include "agent/link/duty.h"
#include "agent/link/host_key.h"
#include "agent/link/lane.h"
#include "agent/link/pulse.h"
#include "agent/link/plain.h"
#include "agent/link/ssh_pipe.h"
#include "shared/dial.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state {
    S_CONNECT,
    S_HANDSHAKE,
    S_HOSTKEY,
    S_LOGIN,
    S_CONVERSE,
    S_FORWARD,
    S_SERVE,
    S_CLOSE,
};

enum {
    WELCOME_MS = 30000,       /* the relay, or tunnel-lane saying that it is away, answers hello by then */
    HEARD_MS = 10000,         /* a relay that starts, or restarts, does not take so long to welcome */
    FLUSH_BYTES = 128 * 1024, /* so many bytes are sent at once, without waiting for the end of the round */
    AGED_MS = 1000,           /* an older attempt to connect is not waited for when the network changes */
    LATE_MS = 1500,           /* a beat that comes so late tells of a machine that was asleep */
    KEY_BYTES = 16 * 1024,
};

struct session {
    struct loop *loop;
    const struct session_conf *conf;
    const struct session_events *events;
    void *user;
    enum state state;
    struct err why; /* from the first reason to end on */
    enum session_outcome outcome;
    const char *failed_at; /* the step of that */
    int pending;           /* what libuv and the socket's stream still hold of us */

    uv_timer_t deadline, beat;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    struct dial *dial;
    struct stream *sock; /* NULL before it is connected, and after its end */

    struct ssh_pipe *pipe;
    bool encrypted; /* from here on a last word can be said */
    struct secret key;
    struct duty *duty; /* NULL before login */
    struct pulse pulse;
    int64_t began_ms, beat_due_ms;
};

static void session_run(struct session *s);
static void on_dialled(void *user, struct stream *sock, const struct err *why);
static enum state step_connect(struct session *s);
static enum state step_handshake(struct session *s);
static enum state step_hostkey(struct session *s);
static enum state step_login(struct session *s);
static enum state step_converse(struct session *s);
static enum state step_forward(struct session *s);
static enum state step_serve(struct session *s);
static void session_close(struct session *s);
static void session_free_if_idle(struct session *s);

/* ---- the life, in outline ---- */

static const struct {
    const char *name;
    uint64_t deadline_ms;
} states[] = {
    [S_CONNECT] = { "connect", 0 }, /* dial_start has its own */
    [S_HANDSHAKE] = { "handshake", 20000 },
    [S_HOSTKEY] = { "hostkey", 0 },
    [S_LOGIN] = { "login", 20000 },
    [S_CONVERSE] = { "converse", 20000 },
    [S_FORWARD] = { "forward", 20000 },
    [S_SERVE] = { "serve", WELCOME_MS },
    [S_CLOSE] = { "close", 0 },
};

/* Where to write why the session ends: nowhere when a reason is there already, because the first one counts. */
static struct err *first_reason(struct session *s, enum session_outcome outcome)
{
    if (s->why.code != ERR_NONE)
        return NULL;
    s->failed_at = states[s->state].name;
    s->outcome = outcome == SESSION_BROKE && s->state == S_HANDSHAKE ? SESSION_UNGREETED : outcome;
    return &s->why;
}

static enum state close_after(int failed)
{
    (void)failed;
    return S_CLOSE;
}

/* Takes code, format and arguments, as err_set does; steps that fail return it. */
#define session_fail(s, outcome, ...) close_after(err_set(first_reason(s, outcome), __VA_ARGS__))

static void session_enter(struct session *s, enum state next)
{
    log_debug("session state", kv_str("relay", s->conf->relay), kv_str("state", states[next].name));
    s->state = next;
    uv_timer_stop(&s->deadline);
    if (next == S_CLOSE)
        session_close(s);
}

static void on_deadline(uv_timer_t *timer)
{
    struct session *s = timer->data;

    if (s->state == S_SERVE)
        session_fail(s, SESSION_BROKE, ERR_TIMEOUT,
                     "logged in to %s, but no relay answers there; is the key's forced command tunnel-lane?",
                     s->conf->host);
    else
        session_fail(s, SESSION_BROKE, ERR_TIMEOUT, "%s does not answer in time (%s)", s->conf->host,
                     states[s->state].name);
    session_run(s);
}

static void start_deadline(struct session *s)
{
    if (states[s->state].deadline_ms > 0)
        uv_timer_start(&s->deadline, on_deadline, states[s->state].deadline_ms, 0);
}

static void session_run(struct session *s)
{
    for (;;) {
        enum state next = S_CLOSE;

        if (s->state == S_CLOSE) {
            session_free_if_idle(s);
            return;
        }
        if (s->why.code == ERR_NONE) { /* deadline, stop and a lost connection win in every state */
            switch (s->state) {
            case S_CONNECT: next = step_connect(s); break;
            case S_HANDSHAKE: next = step_handshake(s); break;
            case S_HOSTKEY: next = step_hostkey(s); break;
            case S_LOGIN: next = step_login(s); break;
            case S_CONVERSE: next = step_converse(s); break;
            case S_FORWARD: next = step_forward(s); break;
            case S_SERVE: next = step_serve(s); break;
            case S_CLOSE: break;
            }
        }
        if (next == s->state)
            return; /* the next event brings us back here */
        session_enter(s, next);
        start_deadline(s);
    }
}

/* ---- start ---- */

/* Everything that is said in one round of the loop goes out in one write: at the end of the round's events, and before
 * the wait for the next ones, since timers come in between. */
static void flush(struct session *s)
{
    const struct buf *out;

    if (!s->pipe || !s->sock)
        return;
    out = ssh_pipe_out(s->pipe);
    if (out->len == 0)
        return;
    stream_write(s->sock, buf_bytes(out), out->len);
    ssh_pipe_sent(s->pipe);
}

static void on_round(struct session *s)
{
    if (s->state == S_SERVE)
        s->duty->ops->talk(s->duty);
    flush(s);
    if (s->duty && s->duty->draining)
        session_run(s); /* the last stream may have ended */
}

static void on_before_wait(uv_prepare_t *handle)
{
    on_round(handle->data);
}

static void on_after_wait(uv_check_t *handle)
{
    on_round(handle->data);
}

struct session *session_start(struct loop *loop, const struct session_conf *conf,
                              const struct session_events *events, void *user)
{
    struct session *s = mem_new(sizeof *s);

    s->loop = loop;
    s->conf = conf;
    s->events = events;
    s->user = user;
    uv_timer_init(&loop->uv, &s->deadline);
    uv_timer_init(&loop->uv, &s->beat);
    uv_prepare_init(&loop->uv, &s->before_wait);
    uv_check_init(&loop->uv, &s->after_wait);
    s->deadline.data = s->beat.data = s->before_wait.data = s->after_wait.data = s;
    uv_prepare_start(&s->before_wait, on_before_wait);
    uv_check_start(&s->after_wait, on_after_wait);
    s->pending = 4;
    s->began_ms = loop_now_ms(loop);
    s->dial = dial_start(loop, conf->host, conf->port, conf->dial_ms, conf->names, on_dialled, s);
    dial_again(s->dial);
    return s;
}

/* ---- CONNECT ---- */

static void on_received(void *user, const char *bytes, size_t n)
{
    struct session *s = user;

    (void)bytes, (void)n; /* they are in the pipe */
    pulse_heard(&s->pulse, loop_now_ms(s->loop));
    session_run(s);
}

static void on_eof(void *user)
{
    struct session *s = user;

    session_fail(s, SESSION_BROKE, ERR_PEER, "sshd at %s closed the connection (%s)", s->conf->host,
                 states[s->state].name);
    session_run(s);
}

static void on_drained(void *user)
{
    session_run(user); /* streams read their services again */
}

static void on_sock_ended(void *user, const struct err *why)
{
    struct session *s = user;

    s->pending--;
    s->sock = NULL;
    session_fail(s, SESSION_BROKE, ERR_PEER, "lost the connection to %s (%s): %s", s->conf->host,
                 states[s->state].name, why->text);
    session_run(s);
}

static void on_dialled(void *user, struct stream *sock, const struct err *why)
{
    static const struct stream_events events = { on_received, on_eof, on_drained, on_sock_ended, NULL };
    struct session *s = user;

    s->dial = NULL;
    if (sock) {
        s->sock = sock;
        s->pending++;
        stream_hand_over(sock, &events, s);
        pulse_begin(&s->pulse, stream_fd(sock), loop_now_ms(s->loop));
    } else if (why->code == ERR_MISSING) {
        session_fail(s, SESSION_NAMELESS, ERR_MISSING,
                     "cannot look up %s: %s; is the name right, and does this machine reach a name server?",
                     s->conf->host, why->text);
    } else {
        session_fail(s, SESSION_UNREACHED, ERR_PEER,
                     "cannot reach the relay at %s port %u: %s; is sshd running there, and is the port open?",
                     s->conf->host, s->conf->port, why->text);
    }
    session_run(s);
}

static enum state step_connect(struct session *s)
{
    return s->sock ? S_HANDSHAKE : S_CONNECT;
}

/* ---- HANDSHAKE, HOSTKEY ---- */

static enum state step_handshake(struct session *s)
{
    struct err why = { 0 };
    int rc;

    if (!s->pipe && (s->pipe = ssh_pipe_new(&why)))
        stream_read_into(s->sock, ssh_pipe_in(s->pipe));
    rc = s->pipe ? ssh_pipe_handshake(s->pipe, &why) : -1;
    if (rc == SSH_LATER)
        return S_HANDSHAKE;
    if (rc != SSH_DONE)
        return session_fail(s, SESSION_BROKE, ERR_PEER, "SSH handshake with %s port %u failed: %s; %s",
                            s->conf->host, s->conf->port, why.text,
                            why.code == ERR_LIMIT ? "is that an sshd?"
                                                  : "does its sshd have an ed25519 host key?");
    s->encrypted = true;
    return S_HOSTKEY;
}

static enum state step_hostkey(struct session *s)
{
    struct err why = { 0 };

    if (host_key_check(s->conf, s->pipe, &why) == 0)
        return S_LOGIN;
    return session_fail(s, SESSION_HOST_KEY, why.code, "%s", why.text);
}

/* ---- LOGIN ---- */

static int load_key(struct session *s, struct err *e)
{
    static const char head[] = "-----BEGIN OPENSSH PRIVATE KEY-----";

    if (s->key.bytes)
        return 0;
    if (secret_load(&s->key, s->conf->key_file, KEY_BYTES, e) != 0)
        return err_wrap(e, "cannot log in without key_file");
    if (s->key.n < sizeof head || memcmp(s->key.bytes, head, sizeof head - 1) != 0)
        return err_set(
            e, ERR_INPUT,
            "key_file %s is not in OpenSSH's own format; make one with: ssh-keygen -t ed25519 -f FILE",
            s->conf->key_file);
    return 0;
}

static enum state step_login(struct session *s)
{
    struct err why = { 0 };
    int rc;

    if (load_key(s, &why) != 0)
        return session_fail(s, SESSION_KEY, why.code, "%s", why.text);
    rc = ssh_pipe_login(s->pipe, s->conf->user, &s->key, &why);
    if (rc == SSH_LATER)
        return S_LOGIN;
    secret_free(&s->key);
    if (rc == SSH_DONE)
        return S_CONVERSE;
    if (why.code == ERR_TAKEN)
        return session_fail(s, SESSION_KEY, ERR_PEER,
                            "%s refuses the key in %s for user %s: %s; does the relay know its public half?",
                            s->conf->host, s->conf->key_file, s->conf->user, why.text);
    if (why.code == ERR_INPUT)
        return session_fail(s, SESSION_KEY, ERR_INPUT,
                            "key_file %s cannot be used: %s; it must be ed25519, without a passphrase",
                            s->conf->key_file, why.text);
    return session_fail(s, SESSION_BROKE, ERR_PEER, "logging in to %s failed: %s", s->conf->host, why.text);
}

/* ---- CONVERSE, FORWARD ---- */

static void on_up(void *user);
static bool on_added(void *user);
static void on_idle(void *user);
static void start_beat(struct session *s, int64_t ms);
static int64_t beat_ms(const struct session *s);

static enum state step_converse(struct session *s)
{
    static const struct duty_events events = { on_up, on_added, on_idle };
    const struct duty_conf conf = { s->conf, s->loop, s->pipe, stream_fd(s->sock), &events, s };
    struct err why = { 0 };
    int rc;

    if (!s->duty)
        s->duty = s->conf->plain ? plain_new(&conf) : lane_new(&conf);
    rc = s->duty->ops->converse(s->duty, &why);
    if (rc == SSH_LATER)
        return S_CONVERSE;
    if (rc != SSH_DONE)
        return session_fail(s, SESSION_BROKE, ERR_PEER, "%s %s", s->conf->host, why.text);
    return S_FORWARD;
}

static enum state step_forward(struct session *s)
{
    struct err why = { 0 };
    int rc = s->duty->ops->forward(s->duty, &why);

    if (rc == SSH_LATER)
        return S_FORWARD;
    if (rc != SSH_DONE)
        return session_fail(s, SESSION_BROKE, ERR_PEER, "%s %s", s->conf->host, why.text);
    start_beat(s, beat_ms(s));
    return S_SERVE;
}

/* ---- SERVE ---- */

static enum session_outcome outcome_of(enum err_code code)
{
    return code == ERR_TAKEN ? SESSION_TWIN : code == ERR_STOPPED ? SESSION_SENT_AWAY : SESSION_BROKE;
}

/* The relay was there for as long as a relay waits for a word, and went away again: it seems that we hear it, but it does
 * not hear us. The deadline for its welcome stays. */
static bool is_unheard(const struct session *s)
{
    return s->duty->away && uv_is_active((const uv_handle_t *)&s->deadline) &&
           uv_timer_get_due_in(&s->deadline) < WELCOME_MS - HEARD_MS;
}

static enum state step_serve(struct session *s)
{
    struct err why = { 0 };

    if (duty_run(s->duty, &why) != 0)
        return session_fail(s, outcome_of(why.code), why.code, "%s: %s", s->conf->host, why.text);
    if (!s->duty->settled && !uv_is_active((uv_handle_t *)&s->deadline))
        start_deadline(s); /* the relay has been away, and is to welcome us again */
    else if (s->duty->settled && !is_unheard(s))
        uv_timer_stop(&s->deadline);
    return S_SERVE;
}

static void on_up(void *user)
{
    struct session *s = user;

    s->events->up(s->user);
}

static bool on_added(void *user)
{
    struct session *s = user;

    if (ssh_pipe_out(s->pipe)->len >= FLUSH_BYTES)
        flush(s);
    return !s->sock || !stream_full(s->sock);
}

static void on_idle(void *user)
{
    session_free_if_idle(user);
}

/* Each beat makes sshd send something, so that silence means something. After a machine was asleep timers come before
 * what has arrived meanwhile, if anything has: nobody asked. */
static void on_beat(uv_timer_t *timer)
{
    struct session *s = timer->data;
    int64_t now_ms = loop_now_ms(s->loop), left_ms = 0;

    if (now_ms - s->beat_due_ms > LATE_MS)
        pulse_woke(&s->pulse, now_ms);
    if (s->sock)
        left_ms = pulse_left_ms(&s->pulse, stream_fd(s->sock), now_ms);
    if (left_ms <= 0) {
        session_fail(s, SESSION_BROKE, ERR_TIMEOUT, "no byte from %s for %d s", s->conf->host,
                     (int)((now_ms - s->pulse.heard_at_ms) / 1000));
    } else {
        s->duty->ops->beat(s->duty);
        ssh_pipe_rest(s->pipe);
        start_beat(s, beat_ms(s) < left_ms ? beat_ms(s) : left_ms);
    }
    session_run(s);
}

static int64_t beat_ms(const struct session *s)
{
    struct duty_view view;

    s->duty->ops->view(s->duty, &view);
    return view.beat_ms;
}

static void start_beat(struct session *s, int64_t ms)
{
    const int64_t max_ms =
        (int64_t)LANE_HEARTBEAT_S * 1000; /* a longer one would leave less than three in which to hear */
    int64_t wait_ms = ms < max_ms ? ms : max_ms;

    s->beat_due_ms = loop_now_ms(s->loop) + wait_ms;
    uv_timer_start(&s->beat, on_beat, (uint64_t)wait_ms, 0);
}

bool session_say(struct session *s, const struct lane_msg *m)
{
    return s->state == S_SERVE && s->duty->ops->say(s->duty, m); /* goes out at the end of the round */
}

void session_look(struct session *s)
{
    if (s->state == S_CONNECT && loop_now_ms(s->loop) - s->began_ms > AGED_MS)
        session_fail(s, SESSION_UNREACHED, ERR_SYSTEM, "the network has changed on the way to %s",
                     s->conf->host);
    else if (!s->sock || s->state == S_CLOSE)
        return;
    else if (pulse_address_gone(stream_fd(s->sock)))
        session_fail(s, SESSION_BROKE, ERR_SYSTEM,
                     "this machine has lost the address of its connection to %s", s->conf->host);
    else if (s->state == S_SERVE) {
        pulse_look(&s->pulse, loop_now_ms(s->loop));
        s->duty->ops->beat(s->duty);
        start_beat(s, PULSE_LOOK_MS);
    }
    session_run(s);
}

/* ---- what our owner wants ---- */

void session_stop(struct session *s)
{
    session_fail(s, SESSION_SENT_AWAY, ERR_STOPPED, "stopped");
    session_run(s);
}

void session_drain(struct session *s)
{
    if (s->state != S_SERVE) {
        session_stop(s);
        return;
    }
    duty_drain(s->duty); /* the rest happens in on_round, at the end of this one */
}

void session_claim(struct session *s)
{
    if (s->state == S_SERVE)
        s->duty->ops->claim(s->duty);
    session_run(s);
}

struct session_info session_info(const struct session *s)
{
    struct session_info info = { .state = s->state == S_CLOSE ? "closing" : "opening", .rtt_ms = -1 };
    struct duty_view view;

    info.failed_at = s->failed_at;
    if (s->state == S_SERVE) {
        s->duty->ops->view(s->duty, &view);
        info.state = view.state;
        info.rtt_ms = view.rtt_ms;
        info.streams = duty_streams(s->duty);
    }
    if (s->duty) {
        info.bytes_in = s->duty->carry.bytes_in;
        info.bytes_out = s->duty->carry.bytes_out;
    }
    return info;
}

/* ---- CLOSE ---- */

static void on_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    s->pending--;
    session_free_if_idle(s);
}

static void session_close(struct session *s)
{
    if (s->duty)
        duty_stop(s->duty);
    if (s->encrypted)
        ssh_pipe_disconnect(s->pipe, "the agent closes this session");
    flush(s);
    ssh_pipe_free(s->pipe);
    s->pipe = NULL;
    if (s->sock)
        stream_stop(s->sock);
    if (s->dial)
        dial_stop(s->dial);
    uv_close((uv_handle_t *)&s->deadline, on_closed);
    uv_close((uv_handle_t *)&s->beat, on_closed);
    uv_close((uv_handle_t *)&s->before_wait, on_closed);
    uv_close((uv_handle_t *)&s->after_wait, on_closed);
}

static void session_free_if_idle(struct session *s)
{
    if (s->pending > 0 || (s->duty && !duty_idle(s->duty)))
        return;
    s->events->ended(s->user, s->outcome, &s->why);
    secret_free(&s->key);
    if (s->duty)
        s->duty->ops->free(s->duty);
    free(s);
}
