/* The relay owns its parts and carries news between them:
 *
 *   lanes ── lanes and claims ──▶ publish: sites, certificates, lanes ──▶ edge
 *   fixed ── sites without an agent ─▲
 *   edge ── proved, silent, aborted ──▶ lanes
 *   ways ── challenges ──▶ board ──▶ publish;  edge ── every worker shows them ──▶ board ──▶ ways */
#include "relay/relay.h"

#include "relay/doctor/judge.h"
#include "relay/doctor/look.h"
#include "relay/edge/headers.h"
#include "relay/options.h"
#include "relay/relay_parts.h"
#include "relay/troubles.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    RENEWAL_MS = 3600 * 1000, /* between two tries */
    ROOT_S = 90 * 86400,      /* what is left of the root's ten years when it is told of */
    LOOK_MS = 10 * 1000,      /* at files that others renew, and at the clock */
};

static void end_if_done(struct relay *r);
static void close_tap(struct relay *r);

/* ---- renewal ---- */

/* A root lies with those who trust it, so a new one is theirs to decide on. */
static void look_at_root(struct relay *r)
{
    if (r->root_told || certs_root_ends(r->certs) - time(NULL) > ROOT_S)
        return;
    r->root_told = true;
    log_warn("the internal root ends within 90 days",
             kv_str("error",
                    "move internal/root.pem and internal/root.key in state_dir away, restart, and give "
                    "the new root.pem to those who trust it"));
}

static void on_renewal_due(uv_timer_t *timer)
{
    struct relay *r = timer->data;

    look_at_root(r);
    r->renewed_ms = loop_now_ms(r->loop);
    relay_publish_soon(r); /* which makes certificates anew that are past half their life */
}

static void on_look(uv_timer_t *timer)
{
    struct relay *r = timer->data;
    bool others = files_look(r->files);
    time_t now = time(NULL), renewal = certs_next_renewal(r->certs);

    /* The timers do not count the time in which this machine was asleep. */
    if (renewal != 0 && now >= renewal && loop_now_ms(r->loop) - r->renewed_ms >= RENEWAL_MS)
        on_renewal_due(&r->renewal);
    guests_tick(r->guests, loop_now_ms(r->loop));
    relay_orders_tick(r);
    ban_book_tick(r->bans);
    if (begin_due(r->begin, now) || others)
        relay_publish_soon(r);
}

/* ---- what the parts tell ---- */

static void on_lanes_changed(void *user)
{
    relay_publish_soon(user);
}

static void on_stream_ended(void *user, uint64_t lane, uint64_t stream, enum lane_how how)
{
    struct relay *r = user;

    if (r->edge)
        edge_stream_ended(r->edge, lane, stream, how);
}

static void on_stream_consumed(void *user, uint64_t lane, uint64_t stream, uint64_t total)
{
    struct relay *r = user;

    if (r->edge)
        edge_stream_consumed(r->edge, lane, stream, total);
}

static void on_real_address_asked(void *user, const char *address, unsigned port, char *real, size_t room)
{
    const struct relay *r = user;
    struct sockaddr_storage addr;

    if (r->edge && edge_real_address(r->edge, address, port, &addr))
        headers_address_text(&addr, real, room);
    else
        snprintf(real, room, "%s", address);
}

static void on_challenge(void *user, const char *agent, const struct lane_msg *m)
{
    struct relay *r = user;

    guests_hear(r->guests, agent, m, loop_now_ms(r->loop));
}

static void say_to_agent(void *user, const char *agent, const struct lane_msg *m)
{
    struct relay *r = user;

    if (r->lanes)
        lanes_say(r->lanes, agent, m);
}

static void on_ban(void *user, const char *agent, const struct lane_msg *m)
{
    struct relay *r = user;

    ban_book_hear(r->bans, agent, m);
}

static void on_bans_changed(void *user, bool by_agent)
{
    if (by_agent)
        relay_publish_later(user);
    else
        relay_publish_soon(user);
}

static const struct cidrs *trusted_proxies(void *user)
{
    const struct relay *r = user;

    return &relay_conf_of(r->conf)->trusted_proxies;
}

static bool guest_serves(void *user, const char *agent, const char *name)
{
    const struct relay *r = user;

    return !r->lanes || lanes_serves(r->lanes, agent, name); /* without: this relay is at its end */
}

static void on_lanes_ended(void *user)
{
    struct relay *r = user;

    r->lanes = NULL;
    end_if_done(r);
}

static void on_lane_proved(void *user, uint64_t lane)
{
    struct relay *r = user;

    if (r->lanes)
        lanes_proved(r->lanes, lane);
}

static void on_lane_silent(void *user, uint64_t lane)
{
    struct relay *r = user;

    if (r->lanes)
        lanes_silent(r->lanes, lane);
}

static void on_stream_aborted(void *user, uint64_t lane, uint64_t stream)
{
    struct relay *r = user;

    if (r->lanes)
        lanes_abort(r->lanes, lane, stream);
}

static void on_challenges_changed(void *user)
{
    relay_publish_soon(user);
}

static void on_challenges_shown(void *user, uint64_t serial)
{
    struct relay *r = user;

    board_shown(r->board, serial);
}

static void on_edge_ended(void *user)
{
    struct relay *r = user;

    r->edge = NULL;
    close_tap(r);
    if (r->lanes)
        lanes_drain(r->lanes); /* the lanes carried what was in progress until now */
    end_if_done(r);
}

/* What systemctl status shows of it. */
static void relay_state_text(void *parts, char *text, size_t room)
{
    const struct relay *r = parts;

    edge_waiting_text(r ? r->edge : NULL, text, room);
}

static void on_listeners_changed(void *user)
{
    char text[NOTIFY_TEXT];

    relay_state_text(user, text, sizeof text);
    notify_status(text);
}

static const struct lanes_events lanes_events = { on_lanes_changed,      on_stream_ended, on_stream_consumed,
                                                  on_real_address_asked, on_challenge,    on_ban,
                                                  on_lanes_ended };
static const struct edge_events edge_events = { on_lane_proved,      on_lane_silent,       on_stream_aborted,
                                                on_challenges_shown, on_listeners_changed, on_edge_ended };

static void on_certs_changed(void *user)
{
    relay_publish_soon(user);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void on_cert_told(void *user, const char *site, const json_t *cert)
{
    struct relay *r = user;

    if (r->lanes)
        lanes_tell_cert(r->lanes, site, text_of(cert, "state"), text_of(cert, "not_after"),
                        text_of(cert, "last_error"));
}

static void on_notice(void *user, const char *agent, const char *level, const char *text)
{
    struct relay *r = user;

    if (r->lanes)
        lanes_tell_notice(r->lanes, agent, level, text);
}

static void on_manager_ended(void *user)
{
    struct relay *r = user;

    r->manager = NULL;
    end_if_done(r);
}

static void look_around(json_t *facts, struct job *job, void *user)
{
    const struct relay *r = user;

    relay_doctor_look(facts, r->ways, r->errands, job);
}

static void on_doctor_gone(void *user)
{
    end_if_done(user);
}

static const struct manager_events manager_events = { on_certs_changed, on_cert_told, on_notice,
                                                      on_manager_ended };

static void on_tap_closed(void *user)
{
    struct relay *r = user;

    r->pending--;
    end_if_done(r);
}

/* ---- start, reload ---- */

static void start_handles(struct relay *r)
{
    r->board = board_new(on_challenges_changed, r);
    r->ways = ways_start(r->loop, r->board);
    r->guests_host = (struct guests_host){ say_to_agent, guest_serves, r };
    r->guests = guests_new(r->board, &r->guests_host);
    uv_timer_init(&r->loop->uv, &r->publish);
    uv_timer_init(&r->loop->uv, &r->renewal);
    uv_timer_init(&r->loop->uv, &r->look);
    r->publish.data = r->renewal.data = r->look.data = r;
    r->tap = log_tap_start(r->loop, on_tap_closed, r);
    access_log_set_tap(r->access_log, r->tap);
    r->pending = 5;
}

static int start_access_log(struct relay *r, const struct relay_conf *conf, struct err *e)
{
    int fd;

    if (access_log_prepare(r->access_log, conf->access_log, &fd, e) != 0)
        return err_wrap(e, "access_log");
    access_log_commit(r->access_log, conf->access_log, (enum access_format)conf->access_log_format, fd);
    return 0;
}

static void start_manager(struct relay *r)
{
    relay_orders_start(r);
    r->pending++;
    r->manager =
        manager_start(r->loop, r->conf, relay_conf_of(r->conf)->base.state_dir, &r->help, &manager_events, r);
}

static int start_parts(struct relay *r, struct inherited *inherited, struct err *e)
{
    const struct relay_conf *conf = relay_conf_of(r->conf);
    struct edge_conf edge;
    const char *domain, *key;

    if (start_access_log(r, conf, e) != 0)
        return -1;
    r->certs = certs_open(conf->base.state_dir, time(NULL), e);
    if (!r->certs)
        return -1;
    r->files = files_new(r->conf);
    r->bans_host = (struct ban_book_host){ on_bans_changed, say_to_agent, trusted_proxies, r };
    r->bans = ban_book_open(conf->base.state_dir, &r->bans_host);
    r->begin = begin_new();
    r->placeholders = placeholders_new();
    if (policies_load(&r->policies, r->conf, &domain, &key, e) != 0)
        return err_wrap(e, "domain %s.%s", domain, key);
    r->fixed = fixed_new(r->conf);
    r->lanes = lanes_start(r->loop, r->conf, &lanes_events, r, e);
    if (!r->lanes)
        return -1;
    start_manager(r);
    edge.listen_https = &conf->listen_https;
    edge.listen_http = &conf->listen_http;
    edge.proxy_listeners = &conf->proxy_listeners;
    edge.workers = (unsigned)relay_workers(conf);
    edge.max_streams = (unsigned)conf->max_streams;
    edge.max_buffered = (uint64_t)conf->max_buffered;
    edge.access_log = r->access_log;
    edge.ssh_port = conf->ssh_on_https ? (uint16_t)conf->ssh_port : 0;
    r->edge = edge_start(r->loop, &edge, inherited, relay_make_snapshot(r), &edge_events, r, e);
    if (!r->edge)
        return -1;
    look_at_root(r);
    r->renewed_ms = loop_now_ms(r->loop) - RENEWAL_MS;
    uv_timer_start(&r->renewal, on_renewal_due, RENEWAL_MS, RENEWAL_MS);
    uv_timer_start(&r->look, on_look, LOOK_MS, LOOK_MS);
    return 0;
}

static void *relay_start(struct loop *loop, const struct opt_conf *conf, struct inherited *inherited,
                         const struct daemon_parts_host *host, struct err *e)
{
    struct relay *r = mem_new(sizeof *r);

    r->loop = loop;
    r->conf = conf;
    r->host = *host;
    r->access_log = access_log_new();
    start_handles(r);
    r->doctor = (struct visit){ .loop = loop,
                                .role = "relay",
                                .look = look_around,
                                .judge = relay_doctor_judge,
                                .idle = on_doctor_gone,
                                .user = r };
    if (start_parts(r, inherited, e) == 0)
        return r;
    r->failed = true;
    relay_program.cut(r);
    return NULL;
}

static void relay_prepare(void *parts, const struct opt_conf *next, struct opt_errors *errors)
{
    struct relay *r = parts;
    struct err why = { 0 };
    const char *domain, *key;

    relay_look_at_cert_files(next, errors);
    if (errors->n > 0)
        return;
    if (access_log_prepare(r->access_log, relay_conf_of(next)->access_log, &r->access_log_fd, &why) != 0)
        opt_errors_add_at(errors, next, "relay", NULL, "access_log", "%s", why.text);
    if (policies_load(&r->next_policies, next, &domain, &key, &why) != 0)
        opt_errors_add_at(errors, next, "domain", domain, key, "%s", why.text);
}

static void relay_reload(void *parts, const struct opt_conf *conf)
{
    struct relay *r = parts;
    const struct relay_conf *own = relay_conf_of(conf);

    r->conf = conf;
    access_log_commit(r->access_log, own->access_log, (enum access_format)own->access_log_format,
                      r->access_log_fd);
    files_reload(r->files, conf);
    policies_free(&r->policies);
    r->policies = r->next_policies;
    r->next_policies = (struct policies){ 0 };
    fixed_reload(r->fixed, conf);
    if (r->manager) {
        relay_orders_reload(r);
        manager_reload(r->manager, conf);
    }
    if (r->lanes)
        lanes_reload(r->lanes, conf);
}

/* ---- end ---- */

static void end_if_done(struct relay *r)
{
    if (!r->ending || r->lanes || r->edge || r->manager || r->pending > 0 || !visit_idle(&r->doctor))
        return;
    ledger_free(&r->ledger);
    certs_free(r->certs);
    files_free(r->files);
    begin_free(r->begin);
    relay_orders_free(r);
    ways_free(r->ways);
    guests_free(r->guests);
    board_free(r->board);
    placeholders_free(r->placeholders);
    policies_free(&r->policies);
    policies_free(&r->next_policies);
    fixed_free(r->fixed);
    ban_book_free(r->bans);
    access_log_release(r->access_log);
    if (!r->failed)
        r->host.ended(r->host.user);
    free(r);
}

static void on_closed(void *user)
{
    struct relay *r = user;

    r->pending--;
    end_if_done(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

/* Not before the last worker has ended. */
static void close_tap(struct relay *r)
{
    if (r->tap)
        log_tap_close(r->tap);
    r->tap = NULL;
}

static void begin_end(struct relay *r)
{
    if (r->ending)
        return;
    r->ending = true;
    visit_stop(&r->doctor);
    board_close(r->board); /* a worker that ends answers nobody */
    ways_stop(r->ways, on_closed, r);
    if (r->manager) {
        manager_stop(r->manager);
        dns01_stop(r->dns01, on_closed, r);
    }
    if (!r->edge)
        close_tap(r);
    uv_close((uv_handle_t *)&r->publish, on_timer_closed);
    uv_close((uv_handle_t *)&r->renewal, on_timer_closed);
    uv_close((uv_handle_t *)&r->look, on_timer_closed);
}

static void relay_drain(void *parts)
{
    struct relay *r = parts;

    begin_end(r);
    if (r->lanes)
        lanes_close_ports(r->lanes);
    if (r->edge)
        edge_drain(r->edge);
    else if (r->lanes)
        lanes_drain(r->lanes);
}

static void relay_cut(void *parts)
{
    struct relay *r = parts;

    begin_end(r);
    if (r->lanes)
        lanes_close_ports(r->lanes);
    if (r->edge)
        edge_stop(r->edge);
    else if (r->lanes)
        lanes_drain(r->lanes);
}

static void relay_paths(const struct opt_conf *conf, struct daemon_paths *paths)
{
    paths->socket = relay_conf_of(conf)->lane_socket;
    paths->log = relay_conf_of(conf)->access_log;
}

const struct daemon_program relay_program = {
    .role = "relay",
    .schema = &relay_schema,
    .start = relay_start,
    .prepare = relay_prepare,
    .reload = relay_reload,
    .add_status = relay_add_status,
    .add_troubles = relay_add_troubles,
    .add_metrics = relay_add_metrics,
    .ready = relay_ready,
    .count = relay_count,
    .state_text = relay_state_text,
    .drain = relay_drain,
    .cut = relay_cut,
    .routes = relay_routes,
    .routes_n = RELAY_ROUTES_N,
    .paths = relay_paths,
    .low_ports = true,
    .add_doubts = relay_look_at_cert_files,
    .add_dump = roster_add_dump,
};
