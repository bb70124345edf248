/* The life of one enrolment:
 *
 *   DIAL -> HANDSHAKE -> HOSTKEY -> LOGIN -> EXEC -> ENROL ── enrolled, refused ──▶ CLOSE -> ended, freed
 *      \________\____________\_________\________\_______\____ failure, deadline, stop ──▶ CLOSE
 *
 * Like agent/link/session.c, but with a key that works once, and without anything forwarded. */
#include "agent/link/join.h"

#include "agent/link/keypair.h"
#include "agent/link/ssh_pipe.h"
#include "shared/dial.h"
#include "shared/lane_msg.h"
#include "shared/mem.h"
#include "shared/ssh_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state { J_DIAL, J_HANDSHAKE, J_HOSTKEY, J_LOGIN, J_EXEC, J_ENROL, J_CLOSE };

enum { DIAL_MS = 20000, PATIENCE_MS = 60000 };
enum { LONGEST_S = 8 * 86400 }; /* more than any token is good for */

struct join {
    struct loop *loop;
    struct token token;
    char key[SSH_KEY_LINE_BYTES];
    join_ended_cb ended;
    void *user;

    enum state state;
    bool failed, enrolled;
    struct err why; /* the first reason */
    int pending;    /* what libuv and the socket's stream still hold of us */
    uv_timer_t deadline;
    struct dial *dial;
    struct stream *sock;
    struct ssh_pipe *pipe;
    struct secret once; /* the one-time key */
    LIBSSH2_CHANNEL *channel;
    struct lane_lines lines;
    struct buf to_relay;
    bool away; /* tunnel-lane waits for the relay */
};

static void join_run(struct join *j);
static void join_free_if_idle(struct join *j);

static enum state close_after(int failed)
{
    (void)failed;
    return J_CLOSE;
}

static struct err *first_reason(struct join *j)
{
    bool first = !j->failed;

    j->failed = true;
    return first ? &j->why : NULL;
}

/* Takes code, format and arguments, as err_set does. */
#define join_fail(j, ...) close_after(err_set(first_reason(j), __VA_ARGS__))

/* ---- DIAL ---- */

static void on_received(void *user, const char *bytes, size_t n)
{
    struct join *j = user;

    if (j->pipe)
        ssh_pipe_feed(j->pipe, bytes, n);
    join_run(j);
}

static void on_eof(void *user)
{
    struct join *j = user;

    join_fail(j, ERR_PEER, "sshd at %s closed the connection before we were enrolled", j->token.host);
    join_run(j);
}

static void on_sock_ended(void *user, const struct err *why)
{
    struct join *j = user;

    j->pending--;
    j->sock = NULL;
    join_fail(j, ERR_PEER, "lost the connection to %s: %s", j->token.host, why->text);
    join_run(j);
}

static void on_dialled(void *user, struct stream *sock, const struct err *why)
{
    static const struct stream_events events = { on_received, on_eof, NULL, on_sock_ended, NULL };
    struct join *j = user;

    j->dial = NULL;
    if (sock) {
        j->sock = sock;
        j->pending++;
        stream_hand_over(sock, &events, j);
    } else {
        join_fail(
            j, ERR_PEER,
            "cannot reach the relay at %s port %u: %s; is sshd running there, is the port open, and is that its "
            "right name (invite --host)?",
            j->token.host, j->token.port, why->text);
    }
    join_run(j);
}

/* ---- HANDSHAKE, HOSTKEY ---- */

static enum state step_handshake(struct join *j)
{
    struct err why = { 0 };
    int rc;

    if (!j->pipe)
        j->pipe = ssh_pipe_new(&why);
    rc = j->pipe ? ssh_pipe_handshake(j->pipe, &why) : -1;
    if (rc == SSH_LATER)
        return J_HANDSHAKE;
    if (rc == SSH_DONE)
        return J_HOSTKEY;
    return join_fail(j, ERR_PEER, "the SSH handshake with %s failed: %s", j->token.host, why.text);
}

static enum state step_hostkey(struct join *j)
{
    char shown[SSH_KEY_LINE_BYTES], print[SSH_KEY_FINGERPRINT_BYTES];
    struct err why = { 0 };

    if (ssh_pipe_host_key(j->pipe, shown, &why) != 0)
        return join_fail(j, ERR_PEER, "%s shows no ed25519 host key: %s", j->token.host, why.text);
    ssh_key_fingerprint(shown, print);
    if (strcmp(print, j->token.host_key) == 0)
        return J_LOGIN;
    return join_fail(
        j, ERR_PEER,
        "%s port %u shows the host key %s, but the token is for a machine with %s: either the name leads to "
        "another machine, or somebody stands in between; nothing was sent",
        j->token.host, j->token.port, print, j->token.host_key);
}

/* ---- LOGIN ---- */

static void date_text(time_t at, char out[32])
{
    struct tm utc;

    out[0] = 0;
    if (gmtime_r(&at, &utc))
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* sshd says no more than no. What the clock says can be wrong: a Pi without a battery begins in 1970. */
static enum state refused(struct join *j)
{
    const char *why = "it was used already, or revoked";
    char over[32], now[32];

    date_text(j->token.expires, over);
    date_text(time(NULL), now);
    if (time(NULL) >= j->token.expires)
        why = "it has expired";
    else if (time(NULL) < j->token.expires - LONGEST_S)
        why = "it was used already, was revoked, or has expired (this machine's clock is wrong)";
    return join_fail(
        j, ERR_INPUT,
        "the relay at %s does not take this token: %s; it was good until %s, and it is %s now; ask for "
        "another one: tunnelctl invite %s; where that is not taken either, its sshd lets nobody in so: "
        "tunnelctl doctor says why there",
        j->token.host, why, over, now, j->token.name);
}

static enum state step_login(struct join *j)
{
    struct err why = { 0 };
    int rc;

    if (!j->once.bytes)
        keypair_text(j->token.seed, "", &j->once);
    rc = ssh_pipe_login(j->pipe, j->token.user, &j->once, &why);
    if (rc == SSH_LATER)
        return J_LOGIN;
    secret_free(&j->once);
    if (rc == SSH_DONE)
        return J_EXEC;
    if (why.code == ERR_TAKEN)
        return refused(j);
    return join_fail(j, ERR_PEER, "logging in to %s failed: %s", j->token.host, why.text);
}

/* ---- EXEC, ENROL ---- */

static void say_enrol(struct join *j)
{
    lane_msg_write(&j->to_relay, &(struct lane_msg){ .type = LANE_ENROL,
                                                     .v = LANE_VERSION,
                                                     .enrol = { .name = j->token.name, .key = j->key } });
}

static enum state step_exec(struct join *j)
{
    struct err why = { 0 };
    int rc = ssh_pipe_exec(j->pipe, "tunnel-lane", &j->channel, &why); /* the key's forced command runs */

    if (rc == SSH_LATER)
        return J_EXEC;
    if (rc != SSH_DONE)
        return join_fail(j, ERR_PEER, "%s opens no session channel: %s", j->token.host, why.text);
    say_enrol(j);
    return J_ENROL;
}

static enum state hear(struct join *j, const struct lane_msg *m)
{
    switch (m->type) {
    case LANE_ENROLLED: j->enrolled = true; return J_CLOSE;
    case LANE_ERROR: return join_fail(j, ERR_INPUT, "the relay says: %s", m->why.why);
    case LANE_AWAY: j->away = true; return J_ENROL;
    case LANE_RESYNC:
        j->away = false;
        say_enrol(j); /* again: if the last relay had taken it, this one knows */
        return J_ENROL;
    case LANE_END: return join_fail(j, ERR_PEER, "the relay ended the session");
    default: return J_ENROL;
    }
}

static enum state hear_line(struct join *j, struct str line)
{
    struct err why = { 0 };
    enum state next = J_CLOSE;
    struct lane_msg m;

    if (lane_msg_read(&m, line.p, line.n, &why) == 0)
        next = hear(j, &m);
    else
        join_fail(j, ERR_PEER, "the relay is not understood: %s", why.text);
    lane_msg_free(&m);
    return next;
}

static enum state read_lines(struct join *j)
{
    enum state next = J_ENROL;
    struct err why = { 0 };
    char bytes[4096];
    struct str line;
    ssize_t n;

    while ((n = ssh_channel_read(j->channel, bytes, sizeof bytes)) > 0) {
        if (lane_lines_feed(&j->lines, bytes, (size_t)n, &why) != 0)
            return join_fail(j, ERR_PEER, "the relay is not understood: %s", why.text);
        while (next == J_ENROL && lane_lines_next(&j->lines, &line))
            next = hear_line(j, line);
        if (next != J_ENROL)
            return next;
    }
    ssh_channel_drop_stderr(j->channel);
    if (n == SSH_NONE)
        return J_ENROL;
    return join_fail(j, ERR_PEER,
                     "the session with %s ended before we were enrolled; is tunnel-lane installed there?",
                     j->token.host);
}

static enum state step_enrol(struct join *j)
{
    enum state next = read_lines(j);
    ssize_t n;

    if (next != J_ENROL || j->to_relay.len == 0)
        return next;
    n = ssh_channel_write(j->channel, buf_bytes(&j->to_relay), j->to_relay.len);
    if (n > 0)
        buf_take(&j->to_relay, (size_t)n);
    return J_ENROL;
}

/* ---- the life ---- */

static void flush(struct join *j)
{
    const struct buf *out = j->pipe && j->sock ? ssh_pipe_out(j->pipe) : NULL;

    if (!out || out->len == 0)
        return;
    stream_write(j->sock, buf_bytes(out), out->len);
    ssh_pipe_sent(j->pipe);
}

static void on_closed(uv_handle_t *handle)
{
    struct join *j = handle->data;

    j->pending--;
    join_free_if_idle(j);
}

static void join_close(struct join *j)
{
    j->state = J_CLOSE;
    if (j->pipe && j->channel)
        ssh_pipe_disconnect(j->pipe, "enrolment is over");
    flush(j);
    ssh_pipe_free(j->pipe);
    j->pipe = NULL;
    if (j->sock)
        stream_stop(j->sock);
    if (j->dial)
        dial_stop(j->dial);
    uv_close((uv_handle_t *)&j->deadline, on_closed);
}

static void join_run(struct join *j)
{
    while (j->state != J_CLOSE) {
        enum state next = j->state;

        if (j->failed) {
            join_close(j);
            break;
        }
        switch (j->state) {
        case J_DIAL: next = j->sock ? J_HANDSHAKE : J_DIAL; break;
        case J_HANDSHAKE: next = step_handshake(j); break;
        case J_HOSTKEY: next = step_hostkey(j); break;
        case J_LOGIN: next = step_login(j); break;
        case J_EXEC: next = step_exec(j); break;
        case J_ENROL: next = step_enrol(j); break;
        case J_CLOSE: break;
        }
        if (next == j->state) {
            flush(j);
            return;
        }
        if (next == J_CLOSE)
            join_close(j);
        else
            j->state = next;
    }
    join_free_if_idle(j);
}

static void on_deadline(uv_timer_t *timer)
{
    struct join *j = timer->data;

    if (j->away)
        join_fail(j, ERR_TIMEOUT,
                  "sshd at %s lets us in, but tunnel-relay does not run there; start it, and try again",
                  j->token.host);
    else
        join_fail(j, ERR_TIMEOUT, "%s did not answer within %d s", j->token.host, PATIENCE_MS / 1000);
    join_run(j);
}

struct join *join_start(struct loop *loop, const struct token *token, const char *key, join_ended_cb ended,
                        void *user)
{
    struct join *j = mem_new(sizeof *j);

    j->loop = loop;
    j->token = *token;
    snprintf(j->key, sizeof j->key, "%s", key);
    j->ended = ended;
    j->user = user;
    uv_timer_init(&loop->uv, &j->deadline);
    j->deadline.data = j;
    j->pending = 1;
    uv_timer_start(&j->deadline, on_deadline, PATIENCE_MS, 0);
    j->dial = dial_start(loop, token->host, token->port, DIAL_MS, NULL, on_dialled, j);
    return j;
}

void join_stop(struct join *j)
{
    join_fail(j, ERR_STOPPED, "the agent is stopping");
    join_run(j);
}

static void join_free_if_idle(struct join *j)
{
    if (j->pending > 0)
        return;
    if (j->enrolled)
        j->why = (struct err){ 0 };
    j->ended(j->user, &j->why);
    secret_free(&j->once);
    token_wipe(&j->token);
    lane_lines_free(&j->lines);
    buf_free(&j->to_relay);
    free(j);
}
