/* The life of a lane, over many SSH sessions:
 *
 *   TRY ── session ends ──▶ WAIT ── time ──▶ TRY …        stop, drain -> CLOSE -> ended, freed */
#include "agent/link/supervise.h"

#include "agent/link/session.h"
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
    MAX_MS = 30000,
    SLOW_MS = 60000,  /* where only a person can help */
    STEADY_MS = 5000, /* a lane that was up for less has not shown that all is well */
};

struct supervise {
    struct loop *loop;
    struct session_conf conf; /* its texts are ours */
    void (*ended)(void *user, struct supervise *s);
    void *user;

    struct session *session; /* NULL while waiting */
    uv_timer_t wait;
    bool stopping, closed;

    struct retry retry;
    size_t keys_refused; /* in a row */
    int64_t up_at_ms;    /* 0: not up in this session */
    time_t since, next_attempt;
    char *last_error;
    uint64_t bytes_in, bytes_out; /* of sessions that are over */
};

static void start_session(struct supervise *s);
static void end_if_done(struct supervise *s);

/* ---- start ---- */

struct supervise *supervise_start(struct loop *loop, const char *name, const struct agent_relay_conf *conf,
                                  const char *key_file, const char *boot, struct sites *sites,
                                  void (*ended)(void *user, struct supervise *s), void *user)
{
    struct supervise *s = mem_new(sizeof *s);

    s->loop = loop;
    s->conf = (struct session_conf){
        .relay = mem_copy(name),
        .host = mem_copy(conf->host),
        .user = mem_copy(conf->user),
        .key_file = mem_copy(key_file),
        .host_key = mem_copy(conf->host_key),
        .port = (uint16_t)conf->port,
        .boot = boot,
        .sites = sites,
    };
    s->ended = ended;
    s->user = user;
    retry_init(&s->retry, FIRST_MS, MAX_MS);
    uv_timer_init(&loop->uv, &s->wait);
    s->wait.data = s;
    start_session(s);
    return s;
}

bool supervise_same(const struct supervise *s, const char *name, const struct agent_relay_conf *conf,
                    const char *key_file)
{
    return strcmp(s->conf.relay, name) == 0 && strcmp(s->conf.host, conf->host) == 0 &&
           strcmp(s->conf.user, conf->user) == 0 && strcmp(s->conf.key_file, key_file) == 0 &&
           strcmp(s->conf.host_key, conf->host_key) == 0 && s->conf.port == conf->port;
}

/* ---- TRY ---- */

static void on_up(void *user)
{
    struct supervise *s = user;

    s->keys_refused = 0;
    if (s->up_at_ms == 0)
        s->since = time(NULL);
    s->up_at_ms = loop_now_ms(s->loop);
    free(s->last_error);
    s->last_error = NULL;
}

/* What the session's end means for the next one. */
static uint32_t wait_ms(struct supervise *s, enum session_outcome outcome)
{
    static const uint32_t key_ms[] = { 2000, 5000, 15000, SLOW_MS };
    const size_t last = sizeof key_ms / sizeof *key_ms - 1;
    uint32_t random = 0;

    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)uv_hrtime(); /* early at boot: any spread will do */
    switch (outcome) {
    case SESSION_KEY: return key_ms[s->keys_refused < last ? s->keys_refused++ : last];
    case SESSION_HOST_KEY:
    case SESSION_SENT_AWAY: return SLOW_MS;
    case SESSION_BROKE: break;
    }
    if (s->up_at_ms != 0 && loop_now_ms(s->loop) - s->up_at_ms >= STEADY_MS)
        retry_succeeded(&s->retry);
    return retry_failed(&s->retry, random);
}

static void on_waited(uv_timer_t *timer)
{
    struct supervise *s = timer->data;

    s->next_attempt = 0;
    start_session(s);
}

static void on_session_ended(void *user, enum session_outcome outcome, const struct err *why)
{
    struct supervise *s = user;
    struct session_info info = session_info(s->session);
    uint32_t ms;

    s->bytes_in += info.bytes_in;
    s->bytes_out += info.bytes_out;
    s->session = NULL;
    if (s->stopping) {
        log_info("lane closed", kv_str("relay", s->conf.relay));
        end_if_done(s);
        return;
    }
    ms = wait_ms(s, outcome);
    if (outcome == SESSION_HOST_KEY)
        log_error("lane down", kv_str("relay", s->conf.relay), kv_str("error", why->text),
                  kv_int("retry_ms", ms));
    else
        log_warn_limited(s->conf.relay, "lane down", kv_str("relay", s->conf.relay),
                         kv_str("error", why->text), kv_int("retry_ms", ms));
    free(s->last_error);
    s->last_error = mem_copy(why->text);
    if (s->up_at_ms != 0)
        s->since = time(NULL);
    s->next_attempt = time(NULL) + (ms + 999) / 1000;
    uv_timer_start(&s->wait, on_waited, ms, 0);
}

static void start_session(struct supervise *s)
{
    static const struct session_events events = { on_up, on_session_ended };

    s->up_at_ms = 0;
    if (s->since == 0)
        s->since = time(NULL);
    s->session = session_start(s->loop, &s->conf, &events, s);
}

/* ---- what the agent wants ---- */

void supervise_claim(struct supervise *s)
{
    if (s->session)
        session_claim(s->session);
}

static json_t *lane_status(const struct supervise *s)
{
    struct session_info info = { .state = "dead", .rtt_ms = -1 };
    uint64_t bytes_in, bytes_out;
    json_t *lane;

    if (s->session)
        info = session_info(s->session);
    bytes_in = s->bytes_in + info.bytes_in;
    bytes_out = s->bytes_out + info.bytes_out;
    lane =
        json_pack("{s:i, s:s, s:I, s:o, s:I, s:I, s:I}", "lane", 0, "state", info.state, "rtt_ms",
                  (json_int_t)info.rtt_ms, "since", json_time(s->since), "streams", (json_int_t)info.streams,
                  "bytes_in", (json_int_t)bytes_in, "bytes_out", (json_int_t)bytes_out);
    json_object_set_new(lane, "last_error", s->last_error ? json_any_text(s->last_error) : json_null());
    json_object_set_new(lane, "next_attempt", s->next_attempt ? json_time(s->next_attempt) : json_null());
    if (info.rtt_ms < 0)
        json_object_set_new(lane, "rtt_ms", json_null());
    return lane;
}

json_t *supervise_status(const struct supervise *s)
{
    json_t *lane = lane_status(s);
    json_t *state = json_copy(json_object_get(lane, "state")); /* of all lanes; there is one */

    return json_pack("{s:s, s:o, s:[o]}", "name", s->conf.relay, "state", state, "lanes", lane);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct supervise *s = handle->data;

    s->closed = true;
    end_if_done(s);
}

static void begin_end(struct supervise *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    uv_close((uv_handle_t *)&s->wait, on_closed);
}

void supervise_stop(struct supervise *s)
{
    begin_end(s);
    if (s->session)
        session_stop(s->session);
}

void supervise_drain(struct supervise *s)
{
    begin_end(s);
    if (s->session)
        session_drain(s->session);
}

static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void end_if_done(struct supervise *s)
{
    if (s->session || !s->closed)
        return;
    s->ended(s->user, s);
    free_text(s->conf.relay);
    free_text(s->conf.host);
    free_text(s->conf.user);
    free_text(s->conf.key_file);
    free_text(s->conf.host_key);
    free(s->last_error);
    free(s);
}
