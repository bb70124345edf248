/* The life of a lane, as the relay sees it:
 *
 *   JOINED ── tunnel-lane says who ──▶ KNOWN ── hello, welcome ──▶ OPENING ── first right answer ──▶ UP ⇄ BUSY
 *      ├── it comes by an invitation ─▶ ENROL ── enrolled, or refused ──▶ dismissed
 *      │                                                               │         goodbye ──▶ DRAINING
 *      └─────────── refused, broken, silent for 15 s, ended ───────────┴───────────┴──▶ DEAD -> freed
 *
 * Lines are taken while the agent's budget lasts and what we say to it is read; what comes beyond waits, outside. */
#include "relay/lanes/lane.h"

#include "shared/log.h"
#include "shared/mem.h"
#include "shared/stream.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FIRST_WORDS_MS = 10000, /* for tunnel-lane's own line */
    DEAD_MS = 14000,        /* looked at once a second: known within 15 s */
    ENROL_MS = 30000,       /* to enrol in */
    DISMISSED_MS = 2000,    /* to read the answer in */
    CLOSE_MS = 2000,
    LEAVE_MS = 1000,     /* for two answers */
    TWIN_MS = 2000,      /* for a second machine to hear why before it is cut off */
    HELLO_MS = 30000,    /* after a restart of ours it stands behind all that the house's line has queued */
    UNPROVED_MS = 30000, /* three streams that nobody answers */
};

struct lane {
    const struct lane_host *host;
    struct loop *loop;
    enum lane_state state;
    struct stream *sock;
    struct lane_lines lines;

    uint64_t id;
    char enrol[17], agent[33], boot[65], seen_from[64], reached[INET6_ADDRSTRLEN], lane_id[17];
    int64_t number, rtt_ms;
    uint16_t port;
    unsigned char secret[PROXY2_SECRET_BYTES];
    struct counts *counts;

    int64_t dismissed_ms; /* 0: it is not */
    int64_t joined_ms, heard_ms, pinged_ms, closed_ms, ping_n;
    int64_t end_at_ms;           /* 0: not to be ended */
    int64_t leaves_ms, left_n;   /* 0: we stay; a ping that was answered since */
    int64_t unproved_ms;         /* since when it has yet to be proved; 0: it is, or has not said hello */
    struct budget_agent *budget; /* the agent's, or the invitation's; NULL before it says which */
    bool paused;
    char last_error[160];
    unsigned long long bytes_seen;
    time_t since;
};

static void take_line(struct lane *l, const struct lane_msg *msg);
static void take_lane(struct lane *l, const struct lane_msg *msg);
static void take_hello(struct lane *l, const struct lane_msg *msg);
static void ping(struct lane *l, int64_t now_ms);
static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_drained(void *user);
static void on_ended(void *user, const struct err *why);

static const struct stream_events stream_events = {
    .received = on_received, .eof = on_eof, .drained = on_drained, .ended = on_ended
};

const char *lane_state_text(enum lane_state state)
{
    switch (state) {
    case LANE_S_UP: return "up";
    case LANE_S_BUSY: return "busy";
    case LANE_S_DRAINING: return "draining";
    case LANE_S_DEAD: return "dead";
    default: return "opening";
    }
}

/* ---- join ---- */

static int check_peer(struct lane *l, uid_t uid, struct err *e)
{
    struct ucred who;
    socklen_t size = sizeof who;

    if (getsockopt(stream_fd(l->sock), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != uid)
        return err_set(e, ERR_PEER, "user %d is not the lane_user", (int)who.uid);
    return 0;
}

struct lane *lane_accept(struct loop *loop, int fd, uid_t uid, uint64_t id, const struct lane_host *host,
                         struct err *e)
{
    struct lane *l = mem_new(sizeof *l);

    l->host = host;
    l->loop = loop;
    l->id = id;
    l->rtt_ms = -1;
    l->since = time(NULL);
    l->joined_ms = l->heard_ms = loop_now_ms(l->loop);
    l->counts = counts_new();
    l->sock = stream_open(loop, fd, &stream_events, l, e);
    if (!l->sock) {
        counts_release(l->counts);
        free(l);
        return NULL;
    }
    stream_set_source(l->sock, l->sock); /* whoever does not listen is not listened to */
    if (check_peer(l, uid, e) != 0) {
        log_warn_limited("lane socket", "a stranger on the lane socket", kv_str("error", e->text));
        lane_close(l);
    }
    return l;
}

/* ---- what is said ---- */

static void spend(struct lane *l, size_t bytes)
{
    if (l->budget)
        budget_spend(l->budget, bytes);
}

void lane_say(struct lane *l, const struct lane_msg *msg)
{
    struct buf line = { 0 };

    lane_msg_write(&line, msg);
    spend(l, line.len);
    stream_write(l->sock, buf_bytes(&line), line.len);
    buf_free(&line);
}

/* Each item has a name and a reason of up to 255 bytes, and JSON may take six for one: many go into several lines. */
void lane_say_claimed(struct lane *lane, const struct lane_msg *answer)
{
    const size_t n = answer->claimed.n, most = LANE_LINE_BYTES / 4096;
    struct lane_msg line = *answer;
    size_t at = 0;

    do {
        line.claimed.items = answer->claimed.items + at;
        line.claimed.n = n - at < most ? n - at : most;
        lane_say(lane, &line);
        at += line.claimed.n;
    } while (at < n);
}

static void enter(struct lane *l, enum lane_state next)
{
    enum lane_state before = l->state;

    if (before == next)
        return;
    l->state = next;
    l->since = time(NULL);
    if (next == LANE_S_UP)
        log_info("lane up", kv_str("agent", l->agent), kv_int("lane", (int64_t)l->id),
                 kv_str("peer", l->seen_from));
    if (next == LANE_S_DEAD && l->agent[0])
        log_info_limited(l->agent, "lane down", kv_str("agent", l->agent), kv_int("lane", (int64_t)l->id),
                         kv_str("why", l->last_error[0] ? l->last_error : "its SSH session has ended"));
    l->host->changed(l->host->user, l, before);
}

static void dismiss_why(struct lane *l, const char *why)
{
    lane_dismiss(l, &(struct lane_msg){ .type = LANE_ERROR, .v = LANE_VERSION, .why = { why } });
}

/* Says why, and closes: tunnel-lane will come again, and what is wrong may have been mended by then. */
void lane_refuse(struct lane *l, const char *why)
{
    log_warn_limited(l->agent, "lane refused", kv_str("agent", l->agent), kv_str("error", why));
    if (l->state == LANE_S_ENROL) { /* which nobody mends by coming again */
        dismiss_why(l, why);
        return;
    }
    snprintf(l->last_error, sizeof l->last_error, "%s", why);
    lane_say(l, &(struct lane_msg){ .type = LANE_ERROR, .v = LANE_VERSION, .why = { why } });
    lane_close(l);
}

/* One agent's flood is not to keep the others waiting: it goes on in the next second. */
static bool must_wait(struct lane *l)
{
    if (stream_full(l->sock))
        log_warn_limited(l->agent, "an agent does not read what it is told; it is not heard meanwhile",
                         kv_str("agent", l->agent), kv_int("lane", (int64_t)l->id));
    if (!l->paused && l->budget && budget_is_spent(l->budget)) {
        l->paused = true;
        stream_pause(l->sock);
        log_warn_limited(l->agent, "an agent says too much; it is read more slowly",
                         kv_str("agent", l->agent), kv_int("lane", (int64_t)l->id));
    }
    return l->paused || stream_full(l->sock);
}

/* Nothing is read while one of these waits, so they are few. */
static void take_lines(struct lane *l)
{
    struct err why = { 0 };
    struct str line;

    while (l->state != LANE_S_DEAD && !l->dismissed_ms && !must_wait(l) &&
           lane_lines_next(&l->lines, &line)) {
        struct lane_msg msg;

        spend(l, line.n + BUDGET_LINE_BYTES);
        if (lane_msg_read(&msg, line.p, line.n, &why) == 0)
            take_line(l, &msg);
        else
            lane_refuse(l, why.text);
        lane_msg_free(&msg);
    }
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct lane *l = user;
    struct err why = { 0 };

    if (l->state == LANE_S_DEAD || l->dismissed_ms)
        return;
    l->heard_ms = loop_now_ms(l->loop);
    if (lane_lines_feed(&l->lines, bytes, n, &why) == 0)
        take_lines(l);
    else
        lane_refuse(l, why.text);
}

static void on_drained(void *user)
{
    take_lines(user);
}

static void take_pong(struct lane *l, const struct lane_msg *msg)
{
    int64_t rtt_ms = loop_now_ms(l->loop) - msg->ping.t;

    /* t is our own clock, echoed; anything else is not an answer to a ping of ours. */
    if (msg->ping.n != l->ping_n || rtt_ms < 0)
        return;
    l->rtt_ms = rtt_ms;
    if (l->leaves_ms && l->left_n > 0)
        lane_close(l);
    else if (l->leaves_ms)
        ping(l, loop_now_ms(l->loop));
    l->left_n = l->leaves_ms ? msg->ping.n : 0;
}

static void take_ping(struct lane *l, const struct lane_msg *msg)
{
    struct lane_msg pong = { .type = LANE_PONG, .ping = msg->ping };

    if (msg->ping.rtt_ms >= 0)
        l->rtt_ms = msg->ping.rtt_ms; /* what the agent has measured */
    pong.ping.rtt_ms = l->rtt_ms;
    lane_say(l, &pong);
    if (l->state == LANE_S_BUSY)
        enter(l, LANE_S_UP);
}

static void take_line(struct lane *l, const struct lane_msg *msg)
{
    if (l->state == LANE_S_JOINED) {
        if (msg->type == LANE_LANE)
            take_lane(l, msg);
        else
            lane_refuse(l, "the first line does not say who the agent is");
        return;
    }
    if (l->state == LANE_S_ENROL) {
        if (msg->type == LANE_ENROL)
            l->host->enrols(l->host->user, l, msg);
        return;
    }
    if (l->state == LANE_S_KNOWN && msg->type != LANE_HELLO && msg->type != LANE_ERROR)
        return; /* what an agent said before the relay came back; it will say hello when it sees resync */
    if (l->leaves_ms && msg->type != LANE_PING && msg->type != LANE_PONG)
        return;
    switch (msg->type) {
    case LANE_HELLO: take_hello(l, msg); break;
    case LANE_CLAIM: l->host->claimed(l->host->user, l, msg); break;
    case LANE_PING: take_ping(l, msg); break;
    case LANE_PONG: take_pong(l, msg); break;
    case LANE_ENDED: l->host->stream_ended(l->host->user, l, msg->ended.stream, msg->ended.how); break;
    case LANE_SERVICE: l->host->service(l->host->user, l, msg); break;
    case LANE_CONSUMED:
        l->host->stream_consumed(l->host->user, l, msg->consumed.stream, msg->consumed.total);
        break;
    case LANE_TXT_DONE:
    case LANE_FETCHED:
    case LANE_CHALLENGE:
    case LANE_BAN:
    case LANE_CHALLENGE_DONE: l->host->hear(l->host->user, l, msg); break;
    case LANE_GOODBYE: enter(l, LANE_S_DRAINING); break;
    case LANE_ERROR:
        log_warn_limited(l->agent, "the agent reports an error", kv_str("agent", l->agent),
                         kv_str("error", msg->why.why));
        break;
    default: break;
    }
}

/* SSH_CONNECTION: client address, client port, server address, server port. */
static void learn_address(struct lane *l, const char *ssh)
{
    char address[sizeof l->seen_from];
    size_t n = strcspn(ssh, " ");

    snprintf(address, sizeof address, "%.*s", (int)n, ssh);
    l->host->real_address(l->host->user, address, (unsigned)strtoul(ssh + n, NULL, 10), l->seen_from,
                          sizeof l->seen_from);
}

/* None of these is mended by coming again with the same session. */
static void turn_away(struct lane *l, const char *why)
{
    lane_say(l, &(struct lane_msg){ .type = LANE_ERROR, .v = LANE_VERSION, .why = { why } });
    lane_end(l, why);
}

static void take_lane(struct lane *l, const struct lane_msg *msg)
{
    const char *why;

    if (msg->v != LANE_VERSION) {
        lane_refuse(l, "this tunnel-lane speaks another version");
        return;
    }
    if (msg->lane.enrol) {
        /* Whether that can still be used is told to whoever enrols: it may only have lost our last answer. */
        snprintf(l->enrol, sizeof l->enrol, "%s", msg->lane.enrol);
        l->budget = l->host->budget(l->host->user, l->enrol);
        enter(l, LANE_S_ENROL);
        return;
    }
    snprintf(l->agent, sizeof l->agent, "%s", msg->lane.agent);
    learn_address(l, msg->lane.ssh);
    if (!l->host->knows(l->host->user, l->agent)) {
        log_warn_limited(l->agent, "an agent that is not in the configuration", kv_str("agent", l->agent));
        lane_end(l, "this agent is not known here");
        return;
    }
    why = l->host->refuses(l->host->user, l);
    if (why) {
        turn_away(l, why);
        return;
    }
    l->budget = l->host->budget(l->host->user, l->agent);
    enter(l, LANE_S_KNOWN);
}

static void welcome(struct lane *l)
{
    struct lane_msg msg = { .type = LANE_WELCOME, .v = LANE_VERSION };
    struct publish ours;
    char now_text[32];
    time_t now = time(NULL);
    struct tm utc;

    publish_for(&ours, l->host->publish, l->reached);
    snprintf(l->lane_id, sizeof l->lane_id, "%016llx", (unsigned long long)l->id);
    gmtime_r(&now, &utc);
    strftime(now_text, sizeof now_text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    memcpy(msg.welcome.secret, l->secret, sizeof l->secret);
    msg.welcome.relay = l->host->relay_name;
    msg.welcome.lane_id = l->lane_id;
    msg.welcome.seen_from = l->seen_from;
    msg.welcome.publish = ours.list;
    msg.welcome.publish_n = ours.n;
    msg.welcome.heartbeat_s = l->host->heartbeat_ms / 1000;
    msg.welcome.time = now_text;
    lane_say(l, &msg);
    OPENSSL_cleanse(&msg, sizeof msg);
}

void lane_welcome(struct lane *l)
{
    if (l->state == LANE_S_OPENING || l->state == LANE_S_UP || l->state == LANE_S_BUSY)
        welcome(l);
}

/* A second machine with the same key: the two would push each other out for ever. */
static void send_away(struct lane *l, const char *boot)
{
    log_error("two machines use this agent's key; give each its own, or set instances",
              kv_str("agent", l->agent), kv_str("boot", boot), kv_str("peer", l->seen_from));
    lane_say(l, &(struct lane_msg){ .type = LANE_GOODBYE, .v = LANE_VERSION, .why = { LANE_DUPLICATE } });
    if (!l->end_at_ms)
        l->end_at_ms = loop_now_ms(l->loop) + TWIN_MS;
    enter(l, LANE_S_DRAINING);
}

static void take_hello(struct lane *l, const struct lane_msg *msg)
{
    const char *why = l->host->refuses_port(l->host->user, l, msg->hello.port);

    spend(l, BUDGET_CHANGE_BYTES);
    if (msg->v != LANE_VERSION) {
        lane_refuse(l, "this agent speaks another version; update the older side");
        return;
    }
    if (why) {
        lane_refuse(l, why);
        return;
    }
    if (!l->host->admits(l->host->user, l, msg->hello.boot)) {
        send_away(l, msg->hello.boot);
        return;
    }
    snprintf(l->boot, sizeof l->boot, "%s", msg->hello.boot);
    l->number = msg->hello.lane;
    l->port = (uint16_t)msg->hello.port;
    snprintf(l->reached, sizeof l->reached, "%s", msg->hello.reached);
    if (RAND_bytes(l->secret, sizeof l->secret) != 1)
        abort(); /* a secret without randomness is none */
    welcome(l);
    if (!l->unproved_ms)
        l->unproved_ms = loop_now_ms(l->loop);
    l->state = LANE_S_KNOWN; /* a second hello begins anew, with the new secret */
    enter(l, LANE_S_OPENING);
    l->host->greeted(l->host->user, l);
}

/* ---- up, busy, dead ---- */

void lane_proved(struct lane *l)
{
    l->unproved_ms = 0;
    if (l->state == LANE_S_OPENING || l->state == LANE_S_BUSY)
        enter(l, LANE_S_UP);
}

void lane_silent(struct lane *l)
{
    if (l->state == LANE_S_UP)
        enter(l, LANE_S_BUSY);
}

/* Then we ping as well. */
static int64_t quiet_ms(const struct lane *l)
{
    return l->host->heartbeat_ms * 3 / 2;
}

static void ping(struct lane *l, int64_t now_ms)
{
    struct lane_msg msg = { .type = LANE_PING, .ping = { ++l->ping_n, now_ms, l->rtt_ms } };

    l->pinged_ms = now_ms;
    lane_say(l, &msg);
}

/* Nothing else is heard or counted of it. */
static void tick_enrol(struct lane *l, int64_t now_ms)
{
    if (l->dismissed_ms && now_ms - l->dismissed_ms >= DISMISSED_MS)
        lane_end(l, "its invitation is over");
    else if (!l->dismissed_ms && now_ms - l->joined_ms > ENROL_MS)
        dismiss_why(l, "no enrol came in time");
}

void lane_tick(struct lane *l)
{
    unsigned long long bytes = atomic_load_explicit(&l->counts->bytes_in, memory_order_relaxed);
    int64_t now_ms = loop_now_ms(l->loop);

    if (l->paused) {
        l->paused = false;
        stream_resume(l->sock);
        take_lines(l);
    }
    if (l->state == LANE_S_DEAD) {
        if (now_ms - l->closed_ms > CLOSE_MS)
            stream_stop(l->sock);
        return;
    }
    if (l->leaves_ms && now_ms - l->leaves_ms >= LEAVE_MS)
        lane_close(l);
    if (l->leaves_ms)
        return;
    if (l->end_at_ms && now_ms >= l->end_at_ms) {
        lane_end(l, "another machine has its key");
        return;
    }
    if (bytes != l->bytes_seen) { /* a stream's byte is a sign of life as good as any */
        l->bytes_seen = bytes;
        l->heard_ms = now_ms;
    }
    if (l->state == LANE_S_ENROL) {
        tick_enrol(l, now_ms);
    } else if (l->state == LANE_S_JOINED) {
        if (now_ms - l->joined_ms > FIRST_WORDS_MS)
            lane_refuse(l, "nothing was said for too long");
    } else if (l->state == LANE_S_KNOWN && now_ms - l->joined_ms > HELLO_MS) {
        lane_end(l, "its agent does not say hello");
    } else if (l->unproved_ms && now_ms - l->unproved_ms > UNPROVED_MS) {
        turn_away(l, "nobody answers rightly at the port that it names");
    } else if (now_ms - l->heard_ms > DEAD_MS) {
        snprintf(l->last_error, sizeof l->last_error, "nothing was heard for %d s", DEAD_MS / 1000);
        log_warn("lane is silent", kv_str("agent", l->agent), kv_int("lane", (int64_t)l->id));
        if (l->state == LANE_S_KNOWN)
            lane_end(
                l,
                "its agent does not say hello"); /* a session that has lost its agent, and streams hang on it */
        else
            lane_close(l);
    } else if (now_ms - l->heard_ms > quiet_ms(l) && now_ms - l->pinged_ms > quiet_ms(l)) {
        ping(l, now_ms);
    }
}

/* ---- end ---- */

void lane_close(struct lane *l)
{
    enter(l, LANE_S_DEAD);
    l->closed_ms = loop_now_ms(l->loop);
    l->paused = false;
    stream_resume(l->sock);   /* to see its end */
    stream_shutdown(l->sock); /* behind our last words; it closes when tunnel-lane has read them */
}

void lane_leave(struct lane *l)
{
    if (l->state != LANE_S_UP && l->state != LANE_S_BUSY && l->state != LANE_S_DRAINING) {
        lane_close(l);
        return;
    }
    l->leaves_ms = loop_now_ms(l->loop);
    ping(l, l->leaves_ms);
}

void lane_dismiss(struct lane *l, const struct lane_msg *last)
{
    if (l->dismissed_ms)
        return;
    l->dismissed_ms = loop_now_ms(l->loop) + 1; /* which is not 0 */
    lane_say(l, last);
}

/* Behind what the agent does not read, `end` could not be read either. So it is cut off, and hears it when it comes again. */
void lane_end(struct lane *l, const char *why)
{
    snprintf(l->last_error, sizeof l->last_error, "%s", why);
    log_info_limited(l->agent, "ending a lane", kv_str("agent", l->agent), kv_int("lane", (int64_t)l->id),
                     kv_str("why", why));
    lane_say(l, &(struct lane_msg){ .type = LANE_END, .v = LANE_VERSION });
    lane_close(l);
    if (stream_queued(l->sock) > 0)
        stream_stop(l->sock);
}

static void on_eof(void *user)
{
    struct lane *l = user;

    enter(l, LANE_S_DEAD);
    stream_stop(l->sock);
}

static void on_ended(void *user, const struct err *why)
{
    struct lane *l = user;

    (void)why;
    enter(l, LANE_S_DEAD);
    l->host->ended(l->host->user, l);
    lane_lines_free(&l->lines);
    counts_release(l->counts);
    OPENSSL_cleanse(l->secret, sizeof l->secret);
    free(l);
}

void lane_facts(const struct lane *l, struct lane_facts *facts)
{
    *facts = (struct lane_facts){ .id = l->id,
                                  .state = l->state,
                                  .agent = l->agent,
                                  .boot = l->boot,
                                  .seen_from = l->seen_from,
                                  .enrol = l->enrol,
                                  .dismissed = l->dismissed_ms != 0,
                                  .number = l->number,
                                  .port = l->port,
                                  .secret = l->secret,
                                  .counts = l->counts,
                                  .rtt_ms = l->rtt_ms,
                                  .since = l->since,
                                  .last_error = l->last_error };
}
