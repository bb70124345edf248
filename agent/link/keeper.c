/* The life of a lane, over many SSH sessions:
 *
 *   TRY ── session ends ──▶ WAIT ── time ──▶ TRY …        stop, drain -> CLOSE -> ended, freed */
#include "agent/link/keeper.h"

#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/retry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    FIRST_MS = 200,
    NEAR_MS = 1000, /* where an attempt costs nobody anything */
    MAX_MS = 30000,
    HOPE_MS = 600 * 1000, /* so long name servers are asked often after the network worked */
    /* All attempts but the last of four are quick, so that the other port has its turn soon; a slow line needs that one. */
    QUICK_DIAL_MS = 4000,
    DIAL_MS = 10000,
    QUICK_DIALS = 4,
    SLOW_MS = 60000,  /* where only a person can help */
    TWIN_MS = 300000, /* and where two machines would only push each other out */
    HTTPS_PORT = 443,
    STEADY_MS = 5000, /* a lane that was up for less has not shown that all is well */
    SHORT_LIVES = 60, /* so many of these in a row may be a bad line */
};

struct keeper {
    struct loop *loop;
    struct session_conf conf;
    void (*ended)(void *user, struct keeper *k);
    void *user;
    uint16_t ssh_port;                /* conf.port is the one that is used now */
    enum session_outcome at_ssh_port; /* of the last session there */

    struct session *session; /* NULL while waiting */
    uv_timer_t wait;         /* for the next session */
    bool stopping, closed;

    struct retry near, retry;    /* near: for a path that is gone */
    unsigned dials;              /* since the last lane that was up */
    unsigned short_lives;        /* lanes in a row that were not up for long */
    int64_t worked_at_ms;        /* when it was lost, or the network changed */
    size_t keys_refused;         /* in a row */
    bool only_a_person_can_help; /* a changed network cannot */
    int64_t began_ms, up_at_ms;  /* up_at_ms 0: not up in this session */
    time_t since, next_attempt;
    char *last_error;
    const char *failed_at;        /* the step that it is about */
    enum session_outcome failure; /* and what kind */
    time_t last_up;               /* 0: never, since this program began */
    bool told;                    /* what went wrong is in the log already */
    struct err why;               /* the same */
    uint64_t bytes_in, bytes_out; /* of sessions that are over */
};

static void start_session(struct keeper *k);
static void end_if_done(struct keeper *k);

/* ---- start ---- */

struct keeper *keeper_start(struct loop *loop, const struct session_conf *conf,
                            void (*ended)(void *user, struct keeper *k), void *user)
{
    struct keeper *k = mem_new(sizeof *k);

    k->loop = loop;
    k->conf = *conf;
    k->ended = ended;
    k->user = user;
    k->ssh_port = conf->port;
    retry_init(&k->near, FIRST_MS, NEAR_MS);
    retry_init(&k->retry, FIRST_MS, MAX_MS);
    k->worked_at_ms = loop_now_ms(loop);
    uv_timer_init(&loop->uv, &k->wait);
    k->wait.data = k;
    start_session(k);
    return k;
}

/* ---- TRY ---- */

static void on_up(void *user)
{
    struct keeper *k = user;

    k->keys_refused = 0;
    k->dials = 0;
    k->last_up = time(NULL);
    if (k->up_at_ms == 0) {
        k->since = time(NULL);
        k->up_at_ms = loop_now_ms(k->loop);
    }
    free(k->last_error);
    k->last_error = NULL;
}

/* Nobody was found there who speaks SSH. Where only 443 is let out, another port may lead nowhere, or to something that
 * takes every connection and says nothing. */
static bool found_no_ssh(enum session_outcome outcome)
{
    return outcome == SESSION_UNREACHED || outcome == SESSION_UNGREETED;
}

/* By turns. True when it is the other port's turn within this attempt. */
static bool try_other_port(struct keeper *k)
{
    if (!k->conf.plain) /* a stock sshd has no relay in front of it */
        k->conf.port = k->conf.port == HTTPS_PORT ? k->ssh_port : HTTPS_PORT;
    return k->conf.port != k->ssh_port;
}

static uint32_t random_number(void)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)uv_hrtime(); /* early at boot: any spread will do */
    return random;
}

static void note_end_of_lane(struct keeper *k)
{
    int64_t now_ms = loop_now_ms(k->loop);

    if (k->up_at_ms == 0)
        return;
    k->worked_at_ms = now_ms;
    k->short_lives++;
    if (now_ms - k->up_at_ms < STEADY_MS)
        return;
    k->short_lives = 0;
    retry_succeeded(&k->near);
    retry_succeeded(&k->retry);
}

/* What the session's end means for the next one. */
static uint32_t wait_ms(struct keeper *k, enum session_outcome outcome)
{
    static const uint32_t key_ms[] = { 2000, 5000, 15000, SLOW_MS };
    const size_t last = sizeof key_ms / sizeof *key_ms - 1;
    bool near;

    note_end_of_lane(k);
    near = k->up_at_ms != 0 && k->short_lives < SHORT_LIVES;
    switch (outcome) {
    case SESSION_KEY: return key_ms[k->keys_refused < last ? k->keys_refused++ : last];
    case SESSION_HOST_KEY:
    case SESSION_SENT_AWAY: return SLOW_MS;
    case SESSION_TWIN: return TWIN_MS;
    case SESSION_UNREACHED:
        if (loop_now_ms(k->loop) - k->began_ms > NEAR_MS)
            return FIRST_MS; /* nobody answered for longer than we would wait, and the path may just be back */
        near = true;
        break;
    case SESSION_NAMELESS: near = loop_now_ms(k->loop) - k->worked_at_ms < HOPE_MS; break;
    case SESSION_UNGREETED:
    case SESSION_BROKE: break;
    }
    return retry_failed(near ? &k->near : &k->retry, random_number());
}

static void on_waited(uv_timer_t *timer)
{
    struct keeper *k = timer->data;

    k->next_attempt = 0;
    start_session(k);
}

static void log_down(struct keeper *k, enum session_outcome outcome, const struct err *why, uint32_t ms)
{
    if (k->told)
        log_debug("lane down", kv_str("relay", k->conf.relay), kv_int("lane", k->conf.lane),
                  kv_str("error", why->text), kv_int("retry_ms", ms));
    else if (outcome == SESSION_HOST_KEY || outcome == SESSION_TWIN)
        log_error("lane down", kv_str("relay", k->conf.relay), kv_int("lane", k->conf.lane),
                  kv_str("error", why->text), kv_int("retry_ms", ms));
    else
        log_warn_limited(k->conf.relay, "lane down", kv_str("relay", k->conf.relay),
                         kv_int("lane", k->conf.lane), kv_str("error", why->text), kv_int("retry_ms", ms));
    k->told = true;
}

static void wait_for(struct keeper *k, uint32_t ms)
{
    k->next_attempt = time(NULL) + (ms + 999) / 1000;
    uv_timer_start(&k->wait, on_waited, ms, 0);
}

static void keep_reason(struct keeper *k, enum session_outcome outcome, const char *failed_at,
                        const struct err *why)
{
    k->told = k->told && k->last_error && strcmp(k->last_error, why->text) == 0;
    free(k->last_error);
    k->last_error = mem_copy(why->text);
    /* sshd says no (ERR_PEER), or there is no key that could be shown to it. */
    k->failed_at = outcome == SESSION_KEY && why->code != ERR_PEER ? "key_file" : failed_at;
    k->failure = outcome;
    k->why = *why;
}

/* What is wrong with the port that was given says more than what is wrong with 443. */
static void on_session_ended(void *user, enum session_outcome outcome, const struct err *why)
{
    struct keeper *k = user;
    struct session_info info = session_info(k->session);
    bool detour = k->conf.port != k->ssh_port && found_no_ssh(outcome);
    uint32_t ms;

    k->bytes_in += info.bytes_in;
    k->bytes_out += info.bytes_out;
    k->session = NULL;
    if (k->stopping) {
        log_info("lane closed", kv_str("relay", k->conf.relay), kv_int("lane", k->conf.lane));
        end_if_done(k);
        return;
    }
    if (detour)
        outcome = k->at_ssh_port; /* the same holds for how soon it is tried again */
    else
        keep_reason(k, outcome, info.failed_at, why);
    if (k->conf.port == k->ssh_port)
        k->at_ssh_port = outcome;
    if (k->up_at_ms != 0)
        k->since = k->last_up = time(NULL);
    if (found_no_ssh(outcome) && try_other_port(k)) {
        wait_for(k, FIRST_MS);
        return;
    }
    ms = wait_ms(k, outcome);
    log_down(k, outcome, &k->why, ms);
    k->only_a_person_can_help =
        outcome == SESSION_HOST_KEY || outcome == SESSION_TWIN || outcome == SESSION_SENT_AWAY;
    wait_for(k, ms);
}

static void start_session(struct keeper *k)
{
    static const struct session_events events = { on_up, on_session_ended };

    k->up_at_ms = 0;
    if (k->since == 0)
        k->since = time(NULL);
    k->began_ms = loop_now_ms(k->loop);
    k->conf.dial_ms = ++k->dials % QUICK_DIALS == 0 ? DIAL_MS : QUICK_DIAL_MS;
    k->session = session_start(k->loop, &k->conf, &events, k);
}

/* ---- what the relay's supervisor wants ---- */

void keeper_claim(struct keeper *k)
{
    if (k->session)
        session_claim(k->session);
}

bool keeper_say(struct keeper *k, const struct lane_msg *m)
{
    return k->session && session_say(k->session, m);
}

void keeper_look(struct keeper *k)
{
    if ((!k->session || k->up_at_ms == 0) && !k->only_a_person_can_help) {
        retry_succeeded(&k->near);
        retry_succeeded(&k->retry);
        k->worked_at_ms = loop_now_ms(k->loop);
        k->keys_refused = 0;
    }
    if (k->session)
        session_look(k->session);
    else if (!k->stopping && !k->only_a_person_can_help)
        uv_timer_start(&k->wait, on_waited, 0, 0);
}

int64_t keeper_lane(const struct keeper *k)
{
    return k->conf.lane;
}

bool keeper_is_up(const struct keeper *k)
{
    return k->session && strcmp(session_info(k->session).state, "up") == 0;
}

bool keeper_is_detoured(const struct keeper *k)
{
    return k->conf.port != k->ssh_port;
}

bool keeper_is_leaving(const struct keeper *k)
{
    return k->stopping;
}

size_t keeper_streams(const struct keeper *k)
{
    return k->session ? session_info(k->session).streams : 0;
}

static const char *const failures[] = {
    [SESSION_BROKE] = "broke",
    [SESSION_UNGREETED] = "ungreeted",
    [SESSION_UNREACHED] = "unreached",
    [SESSION_NAMELESS] = "nameless",
    [SESSION_KEY] = "key",
    [SESSION_HOST_KEY] = "host_key",
    [SESSION_SENT_AWAY] = "sent_away",
    [SESSION_TWIN] = "twin",
};

/* What a program can act on, beside the words of last_error. */
static void add_failure(const struct keeper *k, json_t *lane)
{
    bool failed = k->last_error && k->failed_at;

    json_object_set_new(lane, "failed_at", failed ? json_string(k->failed_at) : json_null());
    json_object_set_new(lane, "failure", failed ? json_string(failures[k->failure]) : json_null());
    json_object_set_new(lane, "last_up", k->last_up ? json_time(k->last_up) : json_null());
}

json_t *keeper_status(const struct keeper *k)
{
    struct session_info info = { .state = "dead", .rtt_ms = -1 };
    uint64_t bytes_in, bytes_out;
    json_t *lane;

    if (k->session)
        info = session_info(k->session);
    bytes_in = k->bytes_in + info.bytes_in;
    bytes_out = k->bytes_out + info.bytes_out;
    lane = json_pack("{s:I, s:s, s:o, s:o, s:I, s:I, s:I}", "lane", (json_int_t)k->conf.lane, "state",
                     info.state, "rtt_ms", info.rtt_ms < 0 ? json_null() : json_integer(info.rtt_ms), "since",
                     json_time(k->since), "streams", (json_int_t)info.streams, "bytes_in",
                     (json_int_t)bytes_in, "bytes_out", (json_int_t)bytes_out);
    json_object_set_new(lane, "port", json_integer(k->conf.port));
    json_object_set_new(lane, "last_error", k->last_error ? json_any_text(k->last_error) : json_null());
    json_object_set_new(lane, "next_attempt", k->next_attempt ? json_time(k->next_attempt) : json_null());
    add_failure(k, lane);
    return lane;
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct keeper *k = handle->data;

    k->closed = true;
    end_if_done(k);
}

static void begin_end(struct keeper *k)
{
    if (k->stopping)
        return;
    k->stopping = true;
    uv_close((uv_handle_t *)&k->wait, on_closed);
}

void keeper_stop(struct keeper *k)
{
    begin_end(k);
    if (k->session)
        session_stop(k->session);
}

void keeper_drain(struct keeper *k)
{
    begin_end(k);
    if (k->session)
        session_drain(k->session);
}

static void end_if_done(struct keeper *k)
{
    if (k->session || !k->closed)
        return;
    k->ended(k->user, k);
    free(k->last_error);
    free(k);
}
