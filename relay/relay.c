/* The relay owns its parts and carries news between them:
 *
 *   lanes ── lanes and claims ──▶ publish: sites, certificates, lanes ──▶ edge
 *   fixed ── sites without an agent ─▲
 *   edge ── proved, silent, aborted ──▶ lanes */
#include "relay/relay.h"

#include "relay/certs/certs.h"
#include "relay/certs/files.h"
#include "relay/edge/begin.h"
#include "relay/edge/edge.h"
#include "relay/edge/headers.h"
#include "relay/lanes/fixed.h"
#include "relay/lanes/lanes.h"
#include "relay/ledger.h"
#include "relay/options.h"
#include "relay/policies.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RENEWAL_MS = 3600 * 1000, /* between two tries */
    ROOT_S = 90 * 86400,      /* what is left of the root's ten years when it is told of */
    LOOK_MS = 10 * 1000,      /* at files that others renew, and at the clock */
};

struct relay {
    struct loop *loop;
    const struct opt_conf *conf;
    struct daemon_parts_ended ended;
    struct certs *certs;
    struct files *files;
    struct begin *begin;
    struct policies policies, next_policies; /* next: prepared, for the reload that follows */
    struct fixed *fixed;
    struct lanes *lanes; /* NULL: has ended, or never began */
    struct edge *edge;   /* likewise */
    struct access_log *access_log;
    int access_log_fd; /* prepared, for the reload that follows */
    struct ledger ledger;
    uv_timer_t publish, renewal, look;
    int64_t renewed_ms; /* when it was tried last */
    int pending;        /* timers that libuv still holds */
    bool ending, failed, root_told;
};

static void publish_soon(struct relay *r);
static void end_if_done(struct relay *r);

/* ---- publish ---- */

struct publication {
    struct relay *relay;
    struct snapshot *snapshot;
};

static SSL_CTX *context_of(struct relay *r, const char *const *names, size_t n, struct err *e)
{
    return files_has(r->files, names[0]) ? files_context(r->files, names, n, time(NULL), e)
                                         : certs_context(r->certs, names, n, time(NULL), e);
}

static void add_site(void *user, const struct lanes_site *site)
{
    struct publication *p = user;
    const char **names = mem_new((site->aliases_n + 1) * sizeof(char *));
    struct err why = { 0 };
    struct ledger_entry *entry = ledger_keep(&p->relay->ledger, site->name);
    struct arena texts = { 0 };
    struct policy policy;
    struct snap_site *added;
    SSL_CTX *tls;
    bool passes;

    names[0] = site->name;
    for (size_t i = 0; i < site->aliases_n; i++)
        names[i + 1] = site->aliases[i];
    policies_for(&p->relay->policies, site, &policy, &texts);
    ledger_note_trouble(entry, policies_trouble(site, &policy, &texts));
    passes = policy.tls == POLICY_PASSTHROUGH;
    tls = passes ? NULL : context_of(p->relay, names, site->aliases_n + 1, &why);
    if (tls || passes) {
        added = snapshot_add_site(p->snapshot, site->name, tls, &policy, entry->counts);
        added->away_since = site->away_since;
        added->trusted_cert = files_has(p->relay->files, site->name);
        for (size_t i = 0; i <= site->aliases_n; i++)
            snapshot_add_name(p->snapshot, added, names[i]);
        SSL_CTX_free(tls);
    } else {
        log_error("no certificate", kv_str("domain", site->name), kv_str("error", why.text));
    }
    arena_free(&texts);
    free(names);
}

static struct ledger_entry *entry_of_port(struct relay *r, const char *agent, const char *item)
{
    char *name = mem_format("%s %s", agent, item); /* no site is called so */
    struct ledger_entry *entry = ledger_of(&r->ledger, name);

    free(name);
    return entry;
}

static void add_port(void *user, const struct snap_port *port)
{
    struct publication *p = user;
    struct snap_port whole = *port;
    struct ledger_entry *entry;

    whole.park_ms = relay_conf_of(p->relay->conf)->park_ms;
    entry = entry_of_port(p->relay, port->agent, port->target.item);
    entry->kept = true;
    whole.counts = entry->counts;
    snapshot_add_port(p->snapshot, &whole);
}

static void add_routed_site(void *user, const struct lanes_site *site)
{
    const struct publication *p = user;

    if (!snapshot_has_site(p->snapshot, site->name))
        add_site(user, site);
}

/* A site of a section of ours keeps its traffic while its agent claims it no more. */
static void keep_sections(struct relay *r)
{
    const char *name;

    for (size_t i = 0; opt_section(r->conf, "domain", i, &name); i++)
        ledger_keep(&r->ledger, name);
}

static void set_rules(struct relay *r, struct snapshot *snapshot)
{
    const struct relay_conf *conf = relay_conf_of(r->conf);
    const struct snap_rules rules = { conf->trusted_proxies,
                                      { .max_uri = (uint32_t)conf->max_uri,
                                        .max_header = (uint32_t)conf->max_header },
                                      conf->http2,
                                      { conf->max_connections, conf->max_per_source } };

    snapshot_set_rules(snapshot, &rules);
}

static struct snapshot *make_snapshot(struct relay *r)
{
    struct publication p = { r, snapshot_new() };
    time_t now = time(NULL);

    snapshot_set_tls(p.snapshot,
                     begin_context(r->begin, (enum tls_profile)relay_conf_of(r->conf)->tls_profile, now),
                     files_default(r->files, now));
    set_rules(r, p.snapshot);
    lanes_each_site(r->lanes, add_site, &p);
    fixed_each_site(r->fixed, add_site, &p);
    fixed_each_routed(r->fixed, add_routed_site, &p);
    lanes_each_port(r->lanes, add_port, &p);
    keep_sections(r);
    ledger_forget(&r->ledger);
    certs_forget_unused(r->certs);
    fixed_add_to_snapshot(r->fixed, p.snapshot);
    lanes_add_to_snapshot(r->lanes, p.snapshot);
    snapshot_finish(p.snapshot);
    return p.snapshot;
}

static void on_publish(uv_timer_t *timer)
{
    struct relay *r = timer->data;

    if (r->lanes && r->edge && !r->ending)
        edge_publish(r->edge, make_snapshot(r));
}

/* Several changes within one round of the loop make one snapshot. */
static void publish_soon(struct relay *r)
{
    if (!r->ending)
        uv_timer_start(&r->publish, on_publish, 0, 0);
}

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
    publish_soon(r); /* which makes certificates anew that are past half their life */
}

static void on_look(uv_timer_t *timer)
{
    struct relay *r = timer->data;
    bool others = files_look(r->files);
    time_t now = time(NULL), renewal = certs_next_renewal(r->certs);

    /* The timers do not count the time in which this machine was asleep. */
    if (renewal != 0 && now >= renewal && loop_now_ms(r->loop) - r->renewed_ms >= RENEWAL_MS)
        on_renewal_due(&r->renewal);
    if (begin_due(r->begin, now) || others)
        publish_soon(r);
}

/* ---- what the parts tell ---- */

static void on_lanes_changed(void *user)
{
    publish_soon(user);
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

static void on_edge_ended(void *user)
{
    struct relay *r = user;

    r->edge = NULL;
    if (r->lanes)
        lanes_drain(r->lanes); /* the lanes carried what was in progress until now */
    end_if_done(r);
}

static const struct lanes_events lanes_events = { on_lanes_changed, on_stream_ended, on_stream_consumed,
                                                  on_real_address_asked, on_lanes_ended };
static const struct edge_events edge_events = { on_lane_proved, on_lane_silent, on_stream_aborted,
                                                on_edge_ended };

/* ---- start, reload ---- */

static void start_timers(struct relay *r)
{
    uv_timer_init(&r->loop->uv, &r->publish);
    uv_timer_init(&r->loop->uv, &r->renewal);
    uv_timer_init(&r->loop->uv, &r->look);
    r->publish.data = r->renewal.data = r->look.data = r;
    r->pending = 3;
}

static int start_access_log(struct relay *r, const struct relay_conf *conf, struct err *e)
{
    int fd;

    if (access_log_prepare(r->access_log, conf->access_log, &fd, e) != 0)
        return err_wrap(e, "access_log");
    access_log_commit(r->access_log, conf->access_log, (enum access_format)conf->access_log_format, fd);
    return 0;
}

static int start_parts(struct relay *r, struct inherited *inherited, struct err *e)
{
    const struct relay_conf *conf = relay_conf_of(r->conf);
    struct edge_conf edge;
    const char *domain;

    if (start_access_log(r, conf, e) != 0)
        return -1;
    r->certs = certs_open(conf->base.state_dir, time(NULL), e);
    if (!r->certs)
        return -1;
    r->files = files_new(r->conf);
    r->begin = begin_new();
    if (policies_load(&r->policies, r->conf, &domain, e) != 0)
        return err_wrap(e, "domain %s", domain);
    r->fixed = fixed_new(r->conf, time(NULL));
    r->lanes = lanes_start(r->loop, r->conf, &lanes_events, r, e);
    if (!r->lanes)
        return -1;
    edge.listen_https = &conf->listen_https;
    edge.listen_http = &conf->listen_http;
    edge.proxy_listeners = &conf->proxy_listeners;
    edge.workers = (unsigned)relay_workers(conf);
    edge.max_streams = (unsigned)conf->max_streams;
    edge.max_buffered = (uint64_t)conf->max_buffered;
    edge.access_log = r->access_log;
    edge.ssh_port = conf->ssh_on_https ? (uint16_t)conf->ssh_port : 0;
    r->edge = edge_start(r->loop, &edge, inherited, make_snapshot(r), &edge_events, r, e);
    if (!r->edge)
        return -1;
    look_at_root(r);
    r->renewed_ms = loop_now_ms(r->loop) - RENEWAL_MS;
    uv_timer_start(&r->renewal, on_renewal_due, RENEWAL_MS, RENEWAL_MS);
    uv_timer_start(&r->look, on_look, LOOK_MS, LOOK_MS);
    return 0;
}

static void *relay_start(struct loop *loop, const struct opt_conf *conf, struct inherited *inherited,
                         const struct daemon_parts_ended *ended, struct err *e)
{
    struct relay *r = mem_new(sizeof *r);

    r->loop = loop;
    r->conf = conf;
    r->ended = *ended;
    r->access_log = access_log_new();
    start_timers(r);
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
    const char *domain;

    if (access_log_prepare(r->access_log, relay_conf_of(next)->access_log, &r->access_log_fd, &why) != 0)
        opt_errors_add_at(errors, next, "relay", NULL, "access_log", "%s", why.text);
    if (policies_load(&r->next_policies, next, &domain, &why) != 0)
        opt_errors_add_at(errors, next, "domain", domain, "error_page", "%s", why.text);
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
    fixed_reload(r->fixed, conf, time(NULL));
    if (r->lanes)
        lanes_reload(r->lanes, conf);
}

/* ---- status ---- */

struct domains_status {
    struct relay *relay;
    json_t *list;
};

static void note_parked(json_t *domain, long long parked)
{
    bool up = strcmp(json_string_value(json_object_get(domain, "state")), "up") == 0;

    json_object_set_new(domain, "parked", json_integer(parked));
    if (parked > 0 && !up)
        json_object_set_new(domain, "state", json_string("parked"));
}

static void add_domain_status(void *user, const struct lanes_site *site)
{
    struct domains_status *d = user;
    const struct ledger_entry *entry = ledger_of(&d->relay->ledger, site->name);
    const struct counts *counts = entry->counts;
    json_t *domain = fixed_site_status(d->relay->fixed, site->name);

    if (!domain)
        domain = lanes_site_status(d->relay->lanes, site->name);

    note_parked(domain, atomic_load(&counts->parked));
    json_object_set_new(domain, "requests", json_integer((json_int_t)atomic_load(&counts->requests)));
    json_object_set_new(domain, "errors", json_integer((json_int_t)atomic_load(&counts->errors)));
    json_object_set_new(domain, "last_error", entry->trouble ? json_string(entry->trouble) : json_null());
    json_object_set_new(domain, "cert",
                        files_has(d->relay->files, site->name)
                            ? files_status(d->relay->files, site->name, time(NULL))
                            : certs_status(d->relay->certs, site->name));
    json_array_append_new(d->list, domain);
}

static const struct counts *counts_of_port(void *user, const char *agent, const char *item)
{
    return entry_of_port(user, agent, item)->counts;
}

static void relay_add_status(void *parts, json_t *status)
{
    struct relay *r = parts;
    struct domains_status domains = { r, json_array() };

    if (r && r->lanes)
        lanes_each_site(r->lanes, add_domain_status, &domains);
    if (r && r->lanes)
        fixed_each_site(r->fixed, add_domain_status, &domains);
    json_object_set_new(status, "lanes", r && r->lanes ? lanes_status(r->lanes) : json_array());
    json_object_set_new(status, "domains", domains.list);
    json_object_set_new(status, "tcp",
                        r && r->lanes ? lanes_ports_status(r->lanes, counts_of_port, r) : json_array());
}

/* ---- agents and invitations ---- */

/* NULL, and the reply says so, on the way to the end. */
static struct enrol *enrol_of(struct relay *r, struct http_reply *reply)
{
    if (r->lanes && !r->ending)
        return lanes_enrol(r->lanes);
    http_reply_error(reply, 503, "the relay is stopping");
    return NULL;
}

static void answer_agents(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct enrol *enrol = enrol_of(parts, reply);

    (void)request;
    if (enrol)
        enrol_answer_agents(enrol, reply);
}

static void answer_invite(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct enrol *enrol = enrol_of(parts, reply);

    if (enrol)
        enrol_answer_invite(enrol, request, reply);
}

static void answer_revoke(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct enrol *enrol = enrol_of(parts, reply);

    if (enrol)
        enrol_answer_revoke(enrol, request, reply);
}

static void answer_root(void *parts, const struct http_request *request, struct http_reply *reply)
{
    const struct relay *r = parts;

    (void)request;
    reply->type = "application/x-pem-file";
    certs_root_pem(r->certs, &reply->body);
}

static const struct http_route routes[] = {
    { "GET", "/v1/agents", answer_agents },
    { "POST", "/v1/invite", answer_invite },
    { "DELETE", "/v1/agents/*", answer_revoke },
    { "GET", "/v1/root.pem", answer_root },
};

/* ---- end ---- */

static void end_if_done(struct relay *r)
{
    if (!r->ending || r->lanes || r->edge || r->pending > 0)
        return;
    ledger_free(&r->ledger);
    certs_free(r->certs);
    files_free(r->files);
    begin_free(r->begin);
    policies_free(&r->policies);
    policies_free(&r->next_policies);
    fixed_free(r->fixed);
    access_log_release(r->access_log);
    if (!r->failed)
        r->ended.call(r->ended.user);
    free(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct relay *r = handle->data;

    r->pending--;
    end_if_done(r);
}

static void begin_end(struct relay *r)
{
    if (r->ending)
        return;
    r->ending = true;
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

const struct daemon_program relay_program = {
    .role = "relay",
    .schema = &relay_schema,
    .start = relay_start,
    .prepare = relay_prepare,
    .reload = relay_reload,
    .add_status = relay_add_status,
    .drain = relay_drain,
    .cut = relay_cut,
    .routes = routes,
    .routes_n = sizeof routes / sizeof routes[0],
    .add_dump = roster_add_dump,
};
