#include "relay/lanes/lanes.h"

#include "relay/lanes/keys.h"
#include "relay/lanes/lanes_parts.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/unix_socket.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PUBLISH_S = 10 }; /* how often our addresses are looked up */
enum { TICK_MS = 1000, LATE_MS = 3000 };
enum { KEEP_MS = 1000 }; /* between two writes of what is claimed */

static void on_came(void *user, int fd);
static void on_tick(uv_timer_t *timer);
static int refresh(struct lanes *l, struct err *e);
static void set_host(struct lanes *l);
static void end_if_done(struct lanes *l);
static void on_closed(uv_handle_t *handle);

/* ---- what a lane asks and tells ---- */

static bool knows(void *user, const char *agent)
{
    const struct lanes *l = user;

    return claims_knows(l->claims, agent);
}

static void real_address(void *user, const char *address, unsigned port, char *real, size_t room)
{
    const struct lanes *l = user;

    l->events->real_address(l->user, address, port, real, room);
}

static struct budget_agent *agents_budget(void *user, const char *agent)
{
    struct lanes *l = user;
    struct budget_agent *a = budget_of(&l->budget, agent);

    budget_set_shares(a, (size_t)lanes_instances_of(l, agent));
    return a;
}

/* Before the answer, all others that come by this invitation have been dismissed. */
static void on_enrols(void *user, struct lane *lane, const struct lane_msg *enrol)
{
    struct lanes *l = user;
    struct lane_facts facts;
    struct lane_msg answer;

    lane_facts(lane, &facts);
    l->enrolling = lane;
    enrol_take(l->enrol, facts.enrol, enrol, &answer);
    l->enrolling = NULL;
    lane_dismiss(lane, &answer);
}

static void on_greeted(void *user, struct lane *lane)
{
    struct lanes *l = user;

    lanes_end_predecessors(l, lane);
    l->events->changed(l->user);
}

static void log_refused(const char *agent, const struct lane_msg *answer)
{
    for (size_t i = 0; i < answer->claimed.n; i++)
        if (!answer->claimed.items[i].ok)
            log_warn_limited(agent, "claim refused", kv_str("agent", agent),
                             kv_str("item", answer->claimed.items[i].item),
                             kv_str("why", answer->claimed.items[i].why));
}

/* Whether the edge has to know of a lane. */
static bool is_published(enum lane_state state)
{
    return state == LANE_S_OPENING || state == LANE_S_UP || state == LANE_S_BUSY;
}

/* A reload changes what an agent was answered, and so do other agents' claims: these are told of once a second, however
 * often they come. */
static void tell_news(struct lanes *l)
{
    struct lane_msg answer;
    struct lane_facts f;
    const char *agent;

    while (claims_untold(l->claims, &agent, &answer)) {
        log_refused(agent, &answer);
        for (size_t i = 0; i < l->n; i++) {
            lane_facts(l->list[i], &f);
            if (is_published(f.state) && strcmp(f.agent, agent) == 0 &&
                boots_is_newest(&l->boots, agent, f.boot))
                lane_say_claimed(l->list[i], &answer);
        }
    }
}

/* At once, but a claim that changes all the time must not keep us at the disk. */
static void keep_claims(struct lanes *l)
{
    if (!l->unkept || (l->kept_ms && loop_now_ms(l->loop) - l->kept_ms < KEEP_MS && !l->draining))
        return;
    l->unkept = !memory_keep(&l->memory, l->claims);
    l->kept_ms = loop_now_ms(l->loop);
}

static void on_claimed(void *user, struct lane *lane, const struct lane_msg *claim)
{
    struct lanes *l = user;
    struct lane_msg answer;
    struct lane_facts facts;
    struct err why = { 0 };

    lane_facts(lane, &facts);
    if (claim->claim.last)
        budget_spend(budget_of(&l->budget, facts.agent), BUDGET_CHANGE_BYTES);
    if (!boots_is_newest(&l->boots, facts.agent, facts.boot)) {
        if (claims_echo(l->claims, facts.agent, claim, &answer))
            lane_say_claimed(lane, &answer);
        return;
    }
    if (claims_take(l->claims, facts.agent, facts.boot, claim, &answer, &why) != 0)
        lane_refuse(lane, why.text);
    if (answer.type != LANE_CLAIMED)
        return;
    lane_say_claimed(lane, &answer);
    lanes_tell_claimer(l, lane);
    l->unkept = true;
    keep_claims(l);
    log_refused(facts.agent, &answer);
    l->events->changed(l->user);
}

bool lanes_agent_is_up(const struct lanes *l, const char *agent)
{
    struct lane_facts f;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &f);
        if (strcmp(f.agent, agent) == 0 && lane_is_up(&f))
            return true;
    }
    return false;
}

static void note_end(struct lanes *l, const struct lane_facts *f)
{
    struct presence_lane last = { .id = f->id,
                                  .bytes_in = atomic_load(&f->counts->bytes_in),
                                  .bytes_out = atomic_load(&f->counts->bytes_out) };

    snprintf(last.seen_from, sizeof last.seen_from, "%s", f->seen_from);
    snprintf(last.error, sizeof last.error, "%s",
             f->last_error[0] ? f->last_error
                              : "its SSH session has ended; tunnelctl doctor on its machine says why");
    presence_note_end(&l->presence, f->agent, &last);
}

static void on_changed(void *user, struct lane *lane, enum lane_state before)
{
    struct lanes *l = user;
    struct lane_facts facts;

    lane_facts(lane, &facts);
    if (facts.agent[0])
        presence_note(&l->presence, facts.agent, lanes_agent_is_up(l, facts.agent), time(NULL));
    if (facts.state == LANE_S_DEAD && facts.agent[0])
        note_end(l, &facts);
    if (facts.state == LANE_S_DEAD && l->errands)
        errands_lane_gone(l->errands, facts.id);
    if (facts.state == LANE_S_DEAD && !lanes_boot_is_there(l, facts.agent, facts.boot))
        claims_boot_gone(l->claims, facts.agent, facts.boot);
    if (before == LANE_S_OPENING && facts.state == LANE_S_UP)
        lanes_refuse_guessers(l, lane);
    if (is_published(before) || is_published(facts.state))
        l->events->changed(l->user);
}

static void on_stream_ended(void *user, struct lane *lane, uint64_t stream, enum lane_how how)
{
    struct lanes *l = user;
    struct lane_facts facts;

    lane_facts(lane, &facts);
    l->events->stream_ended(l->user, facts.id, stream, how);
}

static void on_service(void *user, struct lane *lane, const struct lane_msg *said)
{
    struct lanes *l = user;
    struct lane_facts facts;

    lane_facts(lane, &facts);
    if (!claims_note_service(l->claims, facts.agent, facts.boot, said, time(NULL)))
        return;
    log_info_limited(facts.agent, "service state changed", kv_str("agent", facts.agent),
                     kv_str("item", said->service.item),
                     kv_str("state", lane_service_text(said->service.state)));
    budget_spend(budget_of(&l->budget, facts.agent), BUDGET_CHANGE_BYTES);
    l->events->changed(l->user); /* visitors may be sent to another agent now */
}

static void on_stream_consumed(void *user, struct lane *lane, uint64_t stream, uint64_t total)
{
    struct lanes *l = user;
    struct lane_facts facts;

    lane_facts(lane, &facts);
    l->events->stream_consumed(l->user, facts.id, stream, total);
}

static void on_lane_ended(void *user, struct lane *lane)
{
    struct lanes *l = user;

    for (size_t i = 0; i < l->n; i++)
        if (l->list[i] == lane) {
            memmove(&l->list[i], &l->list[i + 1], (l->n - i - 1) * sizeof(void *));
            l->n--;
            break;
        }
    end_if_done(l);
}

static void on_came(void *user, int fd)
{
    struct lanes *l = user;
    struct err why = { 0 };
    struct lane *lane = lane_accept(l->loop, fd, l->lane_uid, l->next_id, &l->host, &why);

    if (!lane) {
        log_warn_limited("lane socket", "cannot accept", kv_str("error", why.text));
        return;
    }
    l->next_id++;
    l->list = mem_grow(l->list, (l->n + 1) * sizeof(void *));
    l->list[l->n++] = lane;
}

/* After this machine was asleep the timer comes before what the lanes have said meanwhile: they are heard first. */
static void on_tick(uv_timer_t *timer)
{
    struct lanes *l = timer->data;
    struct err why = { 0 };
    int64_t now_ms = loop_now_ms(l->loop), before_ms = l->ticked_ms;

    if (++l->ticks % PUBLISH_S == 0)
        set_host(l); /* interfaces may have other addresses now */
    if (!l->draining && enrol_tick(l->enrol) && refresh(l, &why) != 0)
        log_error("cannot write authorized_keys", kv_str("error", why.text));
    if (lanes_try_ports(l))
        l->events->changed(l->user);
    tell_news(l);
    if (l->errands)
        errands_tick(l->errands);
    l->ticked_ms = now_ms;
    keep_claims(l);
    if (now_ms - before_ms > LATE_MS)
        return;
    budget_refill(&l->budget);
    for (size_t i = l->n; i > 0; i--)
        lane_tick(l->list[i - 1]);
}

/* ---- who may connect ---- */

static void end_unwanted(struct lanes *l, const struct roster *before)
{
    struct lane_facts facts;

    for (size_t i = l->n; i > 0; i--) {
        struct lane *lane = l->list[i - 1];
        const char *why = NULL;

        lane_facts(lane, &facts);
        if (facts.state == LANE_S_DEAD)
            continue;
        if (facts.agent[0] && (why = roster_end_reason(before, &l->roster, facts.agent)))
            lane_end(lane, why);
        else if (facts.enrol[0] && lane != l->enrolling && (why = enrol_refusal(l->enrol, facts.enrol)))
            lane_dismiss(lane, &(struct lane_msg){ .type = LANE_ERROR, .v = LANE_VERSION, .why = { why } });
    }
}

/* After a change of the configuration, of the enrolled agents or of the invitations. */
static int refresh(struct lanes *l, struct err *e)
{
    struct roster before = l->roster;
    int rc;

    roster_init(&l->roster, l->conf, enrol_invites(l->enrol));
    ports_follow(l->ports, l->conf, &l->roster);
    claims_follow(l->claims, l->conf, &l->roster);
    rc = keys_write(l->conf, &l->roster, enrol_invites(l->enrol), time(NULL), e);
    end_unwanted(l, &before);
    tell_news(l);
    roster_free(&before);
    l->unkept = !memory_keep(&l->memory, l->claims);
    l->events->changed(l->user);
    return rc;
}

static int on_agents_changed(void *user, struct err *e)
{
    return refresh(user, e);
}

static const struct roster *roster_now(void *user)
{
    const struct lanes *l = user;

    return &l->roster;
}

static void on_enrol_idle(void *user)
{
    end_if_done(user);
}

struct enrol *lanes_enrol(struct lanes *l)
{
    return l->enrol;
}

/* ---- start and reload ---- */

static uid_t find_lane_uid(const char *name)
{
    const struct passwd *user = getpwnam(name);

    return user ? user->pw_uid : geteuid();
}

/* What agents are told of us; those that are here hear it again when it has changed. */
static void set_host(struct lanes *l)
{
    const struct relay_conf *conf = relay_conf_of(l->conf);
    bool other = publish_follow(&l->publish, &conf->publish) || l->host.heartbeat_ms != conf->heartbeat_ms;

    l->host = (struct lane_host){ .relay_name = conf->base.name,
                                  .heartbeat_ms = conf->heartbeat_ms,
                                  .real_address = real_address,
                                  .publish = &l->publish,
                                  .knows = knows,
                                  .enrols = on_enrols,
                                  .budget = agents_budget,
                                  .refuses = lanes_refuses,
                                  .refuses_port = lanes_refuses_port,
                                  .admits = lanes_admits,
                                  .greeted = on_greeted,
                                  .claimed = on_claimed,
                                  .changed = on_changed,
                                  .stream_ended = on_stream_ended,
                                  .service = on_service,
                                  .hear = lanes_hear,
                                  .stream_consumed = on_stream_consumed,
                                  .ended = on_lane_ended,
                                  .user = l };
    for (size_t i = 0; other && i < l->n; i++)
        lane_welcome(l->list[i]);
}

static int start_listening(struct lanes *l, struct err *e)
{
    static const struct door_kind kind = { .name = "lane socket", .came = on_came };

    uv_timer_init(&l->loop->uv, &l->tick);
    l->tick.data = l;
    l->ticked_ms = loop_now_ms(l->loop);
    l->pending = 1;
    uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
    l->door = door_open(l->loop, l->socket.fd, &kind, l, e);
    if (!l->door)
        return err_wrap(e, "lane_socket");
    return lanes_begin_words(l, e);
}

static void free_parts(struct lanes *l)
{
    enrol_free(l->enrol);
    roster_free(&l->roster);
    claims_free(l->claims);
    ports_free(l->ports);
    memory_free(&l->memory);
    presence_free(&l->presence);
    boots_free(&l->boots);
    budget_free(&l->budget);
    lanes_free_words(l);
    free(l->list);
    free(l);
}

struct lanes *lanes_start(struct loop *loop, const struct opt_conf *conf, const struct lanes_events *events,
                          void *user, struct err *e)
{
    struct lanes *l = mem_new(sizeof *l);
    const char *path = relay_conf_of(conf)->lane_socket;
    bool ready = true;

    l->loop = loop;
    l->conf = conf;
    l->events = events;
    l->user = user;
    l->next_id = 1;
    l->claims = claims_new();
    lanes_init_ports(l);
    memory_init(&l->memory, relay_conf_of(conf)->base.state_dir);
    presence_init(&l->presence, time(NULL));
    set_host(l);
    l->enrol_host = (struct enrol_host){ on_agents_changed, roster_now, lanes_of_agent, on_enrol_idle, l };
    l->enrol = enrol_open(loop, conf, &l->enrol_host, e);
    l->lane_uid = find_lane_uid(relay_conf_of(conf)->lane_user);
    if (l->enrol)
        enrol_follow(l->enrol, conf);
    if (l->enrol && refresh(l, e) == 0)
        memory_recall(&l->memory, l->claims);
    else
        ready = false;
    /* Everybody may connect, and whoever is not the lane_user is sent away: the file's owner cannot be that user. */
    if (!ready || unix_listen(&l->socket, path, NULL, 0666, e) != 0) {
        err_wrap(e, "lanes");
        free_parts(l);
        return NULL;
    }
    if (start_listening(l, e) == 0)
        return l;
    l->events = NULL; /* nobody waits for the end of what never began */
    lanes_drain(l);
    return NULL;
}

void lanes_reload(struct lanes *l, const struct opt_conf *conf)
{
    struct err why = { 0 };

    l->conf = conf;
    set_host(l);
    enrol_follow(l->enrol, conf);
    if (refresh(l, &why) != 0)
        log_error("cannot write authorized_keys", kv_str("error", why.text));
}

/* ---- what the edge found out ---- */

static struct lane *find(struct lanes *l, uint64_t id)
{
    struct lane_facts facts;

    for (size_t i = 0; i < l->n; i++) {
        lane_facts(l->list[i], &facts);
        if (facts.id == id)
            return l->list[i];
    }
    return NULL;
}

void lanes_proved(struct lanes *l, uint64_t id)
{
    struct lane *lane = find(l, id);

    if (lane)
        lane_proved(lane);
}

void lanes_silent(struct lanes *l, uint64_t id)
{
    struct lane *lane = find(l, id);

    if (lane)
        lane_silent(lane);
}

void lanes_abort(struct lanes *l, uint64_t id, uint64_t stream)
{
    struct lane *lane = find(l, id);

    if (lane)
        lane_say(lane, &(struct lane_msg){ .type = LANE_ABORT, .v = LANE_VERSION, .abort = { stream } });
}

/* ---- what the edge must know ---- */

void lanes_each_site(const struct lanes *l, void (*each)(void *user, const struct lanes_site *site),
                     void *user)
{
    struct claims_site site;

    for (size_t i = 0; claims_site(l->claims, i, &site); i++)
        each(user, &(struct lanes_site){ site.name, site.aliases, site.aliases_n, site.policy,
                                         lanes_away_since(l, &site), site.claimed || site.remembered,
                                         site.agents_n > 0 ? site.agents[0].name : NULL,
                                         lanes_site_state(l, &site) });
}

static void add_to_site(struct snapshot *s, const struct claims_site *site, const struct snap_lane *lane)
{
    enum lane_service how;
    const char *route;

    for (size_t i = 0; i < site->agents_n; i++) {
        const struct claims_agent *agent = &site->agents[i];

        if (!agent->claimed || strcmp(agent->name, lane->agent) != 0)
            continue;
        snapshot_add_site_lane(s, site->name, lane, agent->priority, agent->policy);
        for (size_t j = 0; claims_down(agent, lane->boot, j, &route, &how); j++)
            snapshot_add_down(s, site->name, route, how, lane);
    }
}

/* A lane serves what its agent has claimed; opening lanes are in the snapshot so that the edge can prove them. */
void lanes_add_to_snapshot(const struct lanes *l, struct snapshot *s)
{
    struct claims_site site;
    struct lane_facts facts;

    for (size_t i = 0; i < l->n; i++) {
        const struct snap_lane *lane;

        lane_facts(l->list[i], &facts);
        if (!is_published(facts.state))
            continue;
        lane = snapshot_add_lane(s, facts.id, facts.agent, facts.boot, claims_serial(l->claims, facts.agent),
                                 facts.port, facts.state == LANE_S_BUSY, facts.secret, facts.counts);
        for (size_t j = 0; facts.state != LANE_S_OPENING && claims_site(l->claims, j, &site); j++)
            add_to_site(s, &site, lane);
        if (facts.state != LANE_S_OPENING)
            lanes_add_port_lanes(l, s, lane);
    }
}

/* ---- end ---- */

static void end_if_done(struct lanes *l)
{
    if (!l->draining || l->n > 0 || !enrol_idle(l->enrol))
        return;
    if (!uv_is_closing((uv_handle_t *)&l->tick)) /* which bounded how long the lanes could take */
        uv_close((uv_handle_t *)&l->tick, on_closed);
    if (l->pending > 0)
        return;
    if (l->events)
        l->events->ended(l->user);
    free_parts(l);
}

static void on_part_closed(void *user)
{
    struct lanes *l = user;

    l->pending--;
    end_if_done(l);
}

static void on_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

/* Jobs that wait for agents are told, and may yet hold it. */
static void stop_errands(struct lanes *l)
{
    struct errands *errands = l->errands;

    l->errands = NULL;
    if (!errands)
        return;
    l->pending++;
    errands_stop(errands, on_part_closed, l);
}

void lanes_drain(struct lanes *l)
{
    if (l->draining)
        return;
    l->draining = true;
    keep_claims(l);
    lanes_close_ports(l);
    stop_errands(l);
    enrol_stop(l->enrol);
    unix_listener_remove(&l->socket);
    door_close(l->door);
    lanes_leave(l);
    end_if_done(l);
}
