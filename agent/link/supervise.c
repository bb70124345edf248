#include "agent/link/supervise.h"

#include "agent/link/keeper.h"
#include "agent/link/lane_count.h"
#include "agent/link/probe.h"
#include "shared/json.h"
#include "shared/lane_msg.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 1000,
    PROBE_TICKS = 60,  /* so often it is looked whether lanes through 443 need to go there */
    AGAIN_TICKS = 600, /* where a server greeted, and yet no lane came up; it counts who greets and goes */
    RETURN_TICKS = 60,
    PEAK_STREAMS = 64, /* what so many have used is given back to the system once half of them are gone */
};

struct supervise {
    struct loop *loop;
    struct session_conf conf; /* its texts are ours */
    struct sites own;         /* with protocol = plain: its only service */
    struct dial_names names;
    void (*ended)(void *user, struct supervise *s);
    void *user;
    struct lane_count count;
    struct keeper *keepers[2 * AGENT_MAX_LANES]; /* those that leave stay here until they have */
    size_t n;
    uv_timer_t tick;
    struct probe *probe;
    int probe_in;  /* seconds; 0: no lane goes another way */
    int returning; /* seconds for which a lane may try sshd's own port again; 0: none does */
    size_t peak;   /* of streams, since memory was given back */
    bool stopping, closed;
};

static void on_probed(void *user, bool greeted);
static void on_keeper_ended(void *user, struct keeper *k);
static void on_tick(uv_timer_t *timer);
static void end_if_done(struct supervise *s);

/* ---- lanes ---- */

static bool is_taken(const struct supervise *s, int64_t lane)
{
    for (size_t i = 0; i < s->n; i++)
        if (keeper_lane(s->keepers[i]) == lane)
            return true;
    return false;
}

static size_t staying(const struct supervise *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += !keeper_is_leaving(s->keepers[i]);
    return n;
}

static void open_lane(struct supervise *s)
{
    struct session_conf conf = s->conf;

    if (s->n == sizeof s->keepers / sizeof s->keepers[0])
        return; /* as many are leaving still */
    while (is_taken(s, conf.lane))
        conf.lane++;
    s->keepers[s->n++] = keeper_start(s->loop, &conf, on_keeper_ended, s);
}

/* The one with the least to do; among equals the last one. */
static void close_lane(struct supervise *s)
{
    struct keeper *least = NULL;

    for (size_t i = 0; i < s->n; i++) {
        struct keeper *k = s->keepers[i];

        if (!keeper_is_leaving(k) && (!least || keeper_streams(k) <= keeper_streams(least)))
            least = k;
    }
    if (least)
        keeper_drain(least);
}

/* malloc by itself gives back only what is free at the end of its heap. */
static void give_memory_back(struct supervise *s, size_t streams)
{
    if (streams > s->peak)
        s->peak = streams;
    if (s->peak < PEAK_STREAMS || streams > s->peak / 2)
        return;
    s->peak = streams;
    malloc_trim(0);
}

static void adjust(struct supervise *s)
{
    size_t lanes = staying(s), up = 0, streams = 0;

    for (size_t i = 0; i < s->n; i++) {
        up += keeper_is_up(s->keepers[i]);
        streams += keeper_streams(s->keepers[i]);
    }
    give_memory_back(s, streams);
    switch (lane_count_tick(&s->count, lanes, up, streams)) {
    case LANES_OPEN: open_lane(s); break;
    case LANES_CLOSE: close_lane(s); break;
    case LANES_STAY: break;
    }
}

static bool has_detoured(const struct supervise *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (keeper_is_up(s->keepers[i]) && keeper_is_detoured(s->keepers[i]))
            return true;
    return false;
}

static void probe(struct supervise *s)
{
    if (!s->probe && !s->returning && has_detoured(s))
        s->probe = probe_start(s->loop, s->conf.host, s->conf.port, on_probed, s);
}

static void look_for_way_back(struct supervise *s)
{
    if (!has_detoured(s))
        s->probe_in = 0;
    else if (s->probe_in == 0)
        s->probe_in = PROBE_TICKS;
    else if (--s->probe_in == 0)
        probe(s);
}

/* A lane is opened that tries the port, before any that works is given up. */
static void on_probed(void *user, bool greeted)
{
    struct supervise *s = user;

    s->probe = NULL;
    s->probe_in = greeted ? AGAIN_TICKS : PROBE_TICKS;
    if (!greeted)
        return;
    log_info("port can be reached again", kv_str("relay", s->conf.relay), kv_int("port", s->conf.port));
    s->returning = RETURN_TICKS;
    open_lane(s);
}

/* Lanes that had to go a longer way end once another one is up that did not. */
static void come_back(struct supervise *s)
{
    bool direct = false;

    for (size_t i = 0; i < s->n; i++)
        direct = direct || (keeper_is_up(s->keepers[i]) && !keeper_is_detoured(s->keepers[i]));
    if (s->returning == 0 || (!direct && --s->returning > 0))
        return;
    s->returning = 0;
    if (!direct)
        return; /* the port was open, and yet no lane came up: adjust closes what is too much */
    for (size_t i = 0; i < s->n; i++)
        if (keeper_is_detoured(s->keepers[i]))
            keeper_drain(s->keepers[i]);
}

static void on_tick(uv_timer_t *timer)
{
    struct supervise *s = timer->data;

    if (!s->returning)
        adjust(s);
    come_back(s);
    look_for_way_back(s);
}

/* ---- start and reload ---- */

static void set_numbers(struct supervise *s, const struct agent_relay_conf *conf)
{
    s->count.min = s->conf.plain ? 1 : (size_t)conf->lanes; /* a port can be forwarded once */
    s->count.max = s->conf.plain ? 1 : (size_t)conf->max_lanes;
    while (staying(s) < s->count.min && s->n < sizeof s->keepers / sizeof s->keepers[0])
        open_lane(s);
    while (staying(s) > s->count.max)
        close_lane(s);
}

struct supervise *supervise_start(struct loop *loop, const char *name, const struct agent_relay_conf *conf,
                                  const char *key_file, const char *boot, struct sites *sites,
                                  struct limits *limits, void (*ended)(void *user, struct supervise *s),
                                  void *user)
{
    struct supervise *s = mem_new(sizeof *s);

    s->loop = loop;
    s->conf = (struct session_conf){
        .relay = mem_copy(name),
        .host = mem_copy(conf->host),
        .user = mem_copy(conf->user),
        .key_file = mem_copy(key_file),
        .host_key = mem_copy(conf->host_key),
        .known_hosts_file = mem_copy(conf->known_hosts_file),
        .remote_address = mem_copy(conf->remote_address),
        .remote_port = (uint16_t)conf->remote_port,
        .plain = conf->protocol == AGENT_PROTOCOL_PLAIN,
        .port = (uint16_t)conf->port,
        .boot = boot,
        .sites = sites,
        .limits = limits,
        .names = &s->names,
    };
    s->names.proved = true; /* by its host key */
    if (s->conf.plain) {
        sites_init_plain(&s->own, name, conf->service);
        s->conf.sites = &s->own;
    }
    s->ended = ended;
    s->user = user;
    uv_timer_init(&loop->uv, &s->tick);
    s->tick.data = s;
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    set_numbers(s, conf);
    return s;
}

static bool same_plain(const struct supervise *s, const struct agent_relay_conf *conf)
{
    if (s->conf.plain != (conf->protocol == AGENT_PROTOCOL_PLAIN))
        return false;
    return !s->conf.plain || (strcmp(s->conf.remote_address, conf->remote_address) == 0 &&
                              s->conf.remote_port == conf->remote_port &&
                              strcmp(s->own.list[0].services[0].text, conf->service) == 0);
}

bool supervise_follow(struct supervise *s, const char *name, const struct agent_relay_conf *conf,
                      const char *key_file)
{
    if (strcmp(s->conf.relay, name) != 0 || strcmp(s->conf.host, conf->host) != 0 ||
        strcmp(s->conf.user, conf->user) != 0 || strcmp(s->conf.key_file, key_file) != 0 ||
        strcmp(s->conf.host_key, conf->host_key) != 0 || s->conf.port != conf->port ||
        strcmp(s->conf.known_hosts_file, conf->known_hosts_file) != 0 || !same_plain(s, conf))
        return false;
    set_numbers(s, conf);
    return true;
}

/* ---- what the agent wants ---- */

static void each(struct supervise *s, void (*what)(struct keeper *k))
{
    for (size_t i = s->n; i > 0; i--)
        what(s->keepers[i - 1]);
}

void supervise_claim(struct supervise *s)
{
    each(s, keeper_claim);
}

bool supervise_say(struct supervise *s, const struct lane_msg *m, enum supervise_by by)
{
    bool said = false;

    for (size_t i = 0; i < s->n && !(said && by == SUPERVISE_ONE); i++)
        said = keeper_say(s->keepers[i], m) || said;
    return said;
}

void supervise_look(struct supervise *s)
{
    each(s, keeper_look);
    if (!s->stopping)
        probe(s);
}

/* Of all its lanes, the best. */
static const char *state_of(const json_t *lanes)
{
    const char *best = "dead";
    const json_t *lane;
    size_t i;

    json_array_foreach(lanes, i, lane)
    {
        const char *state = json_string_value(json_object_get(lane, "state"));

        if (strcmp(state, "up") == 0 || strcmp(best, "dead") == 0)
            best = state;
    }
    return best;
}

static void add_plain_status(const struct supervise *s, json_t *relay)
{
    const struct site_service *own = &s->own.list[0].services[0];

    json_object_set_new(relay, "protocol", json_string("plain"));
    json_object_set_new(relay, "remote_address", json_string(s->conf.remote_address));
    json_object_set_new(relay, "remote_port", json_integer(s->conf.remote_port));
    json_object_set_new(relay, "service", json_string(own->text));
    json_object_set_new(relay, "service_state", json_string(lane_service_text(own->state)));
    json_object_set_new(relay, "service_since", own->since_s ? json_time((time_t)own->since_s) : json_null());
    json_object_set_new(relay, "service_detail", json_any_text(own->detail ? own->detail : ""));
}

json_t *supervise_status(const struct supervise *s)
{
    json_t *lanes = json_array(), *relay;

    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(lanes, keeper_status(s->keepers[i]));
    relay = json_pack("{s:s, s:s, s:i, s:o}", "name", s->conf.relay, "state", state_of(lanes), "port",
                      s->conf.port, "lanes", lanes);
    if (s->conf.plain)
        add_plain_status(s, relay);
    return relay;
}

bool supervise_is_up(const struct supervise *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (keeper_is_up(s->keepers[i]))
            return true;
    return false;
}

const char *supervise_relay(const struct supervise *s)
{
    return s->conf.relay;
}

/* ---- end ---- */

static void on_keeper_ended(void *user, struct keeper *k)
{
    struct supervise *s = user;
    size_t i = 0;

    while (s->keepers[i] != k)
        i++;
    memmove(&s->keepers[i], &s->keepers[i + 1], (s->n - i - 1) * sizeof k);
    s->n--;
    end_if_done(s);
}

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
    if (s->probe)
        probe_stop(s->probe);
    s->probe = NULL;
    uv_close((uv_handle_t *)&s->tick, on_closed);
}

void supervise_stop(struct supervise *s)
{
    begin_end(s);
    each(s, keeper_stop);
}

void supervise_drain(struct supervise *s)
{
    begin_end(s);
    each(s, keeper_drain);
}

static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void end_if_done(struct supervise *s)
{
    if (!s->stopping || !s->closed || s->n > 0)
        return;
    s->ended(s->user, s);
    free_text(s->conf.relay);
    free_text(s->conf.host);
    free_text(s->conf.user);
    free_text(s->conf.key_file);
    free_text(s->conf.host_key);
    free_text(s->conf.known_hosts_file);
    free_text(s->conf.remote_address);
    sites_free(&s->own);
    free(s);
}
