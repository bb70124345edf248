#include "agent/agent.h"

#include "agent/admin/metrics.h"
#include "agent/bans.h"
#include "agent/carry/limits.h"
#include "agent/carry/sites.h"
#include "agent/carry/trust.h"
#include "agent/certs/claimed.h"
#include "agent/certs/words.h"
#include "agent/dns/dns.h"
#include "agent/doctor/facts.h"
#include "agent/doctor/judge.h"
#include "agent/doctor/look.h"
#include "agent/link/leaving.h"
#include "agent/link/netwatch.h"
#include "agent/link/pair.h"
#include "agent/link/supervise.h"
#include "agent/options.h"
#include "agent/troubles.h"
#include "shared/doctor/visit.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BOOT_BYTES = 16, TICK_MS = 1000 };

struct agent {
    struct loop *loop;
    const struct opt_conf *conf;
    struct daemon_parts_host host;
    char boot[2 * BOOT_BYTES + 1]; /* tells this run of the program from any other one with the same key */
    struct sites sites;
    struct trust *trust; /* of https:// services */
    struct limits limits;
    struct supervise **relays; /* those of the configuration, in its order */
    size_t relays_n;
    struct leaving leaving; /* those that were */
    size_t alive;           /* relays, also those that are on their way out, and netwatch */
    struct netwatch *netwatch;
    struct dns *dns;     /* NULL when it has ended */
    struct words *words; /* likewise */
    struct passing_host words_host;
    struct agent_bans bans;
    struct pair pair;
    struct visit doctor;
    uv_timer_t tick; /* its closing is what ends us from the loop */
    bool ending;
};

static void end_if_done(struct agent *a);

/* ---- relays ---- */

static void on_relay_ended(void *user, struct supervise *s)
{
    struct agent *a = user;

    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i] == s)
            a->relays[i] = NULL; /* drained, and gone before the others */
    leaving_forget(&a->leaving, s);
    a->alive--;
    end_if_done(a);
}

static const char *key_file_of(const struct agent *a, const struct agent_relay_conf *conf, char out[PATH_MAX])
{
    if (conf->key_file[0])
        return conf->key_file;
    snprintf(out, PATH_MAX, "%s/id_ed25519", agent_conf_of(a->conf)->base.state_dir);
    return out;
}

/* The one that runs with exactly these values, taken out of the old list; or a new one. */
static struct supervise *keep_or_start(struct agent *a, struct supervise **old, size_t old_n,
                                       const char *name, const struct agent_relay_conf *conf)
{
    char default_key[PATH_MAX];
    const char *key_file = key_file_of(a, conf, default_key);
    struct supervise *back;

    for (size_t i = 0; i < old_n; i++) {
        struct supervise *s = old[i];

        /* One that waits, maybe for a minute, because its key was refused need not: it has been enrolled since. */
        if (!s || !supervise_follow(s, name, conf, key_file) || strcmp(name, a->pair.joined) == 0)
            continue;
        old[i] = NULL;
        return s;
    }
    back = leaving_give_back(&a->leaving, name, conf, key_file);
    if (back)
        return back;
    a->alive++;
    return supervise_start(a->loop, name, conf, key_file, a->boot, &a->sites, &a->limits, on_relay_ended, a);
}

/* One that is taken out, and not only changed, serves those who come by it still. */
static void let_go(struct agent *a, struct supervise *s)
{
    if (supervise_is_up(s) && !opt_values(a->conf, "relay", supervise_relay(s)))
        leaving_take(&a->leaving, s, loop_now_ms(a->loop));
    else
        supervise_stop(s);
}

static int64_t relay_left_ms(void *user, const char *relay)
{
    struct agent *a = user;

    return a->dns ? dns_relay_left_ms(a->dns, relay) : 0;
}

static void look_at_leaving(struct agent *a)
{
    leaving_tick(&a->leaving, loop_now_ms(a->loop), agent_conf_of(a->conf)->base.drain_ms, relay_left_ms, a);
}

/* Lanes that the configuration does not touch stay as they are. */
static void set_relays(struct agent *a)
{
    struct supervise **old = a->relays;
    size_t old_n = a->relays_n;
    const struct agent_relay_conf *conf;
    const char *name;

    a->relays = NULL;
    for (a->relays_n = 0; (conf = opt_section(a->conf, "relay", a->relays_n, &name)); a->relays_n++) {
        a->relays = mem_grow(a->relays, (a->relays_n + 1) * sizeof(struct supervise *));
        a->relays[a->relays_n] = keep_or_start(a, old, old_n, name, conf);
    }
    for (size_t i = 0; i < old_n; i++)
        if (old[i])
            let_go(a, old[i]);
    free(old);
    a->pair.joined[0] = 0;
}

static void on_network_changed(void *user)
{
    struct agent *a = user;

    log_debug("the network has changed");
    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i])
            supervise_look(a->relays[i]);
    if (a->dns)
        dns_network_changed(a->dns);
}

static void on_welcomed(void *user, const char *relay, const struct lane_msg *welcome)
{
    struct agent *a = user;

    if (!opt_values(a->conf, "relay", relay))
        return; /* on its way out */
    if (a->dns)
        dns_relay_says(a->dns, relay, welcome->welcome.publish, welcome->welcome.publish_n,
                       welcome->welcome.seen_from);
    if (a->words)
        words_welcomed(a->words, relay, welcome);
    if (!a->ending)
        agent_bans_welcomed(&a->bans, relay);
}

static void on_told(void *user, const char *relay, const struct lane_msg *m)
{
    struct agent *a = user;

    if (m->type == LANE_BAN)
        agent_bans_hear(&a->bans, relay, m);
    else if (a->words && !a->ending)
        words_hear(a->words, relay, m);
    if (m->type == LANE_CERT && a->dns)
        dns_cert_changed(a->dns);
}

static enum told_state cert_of(void *user, const char *relay, const char *site)
{
    const struct agent *a = user;

    return a->words ? words_cert_state(a->words, relay, site) : TOLD_NOTHING;
}

static bool relay_number(void *user, size_t i, const char **name, bool *up)
{
    const struct agent *a = user;

    if (i >= a->relays_n)
        return false;
    *name = a->relays[i] ? supervise_relay(a->relays[i]) : "";
    *up = a->relays[i] && supervise_is_up(a->relays[i]);
    return true;
}

static bool claims_at(void *user, const char *relay, const char *name)
{
    const struct agent *a = user;

    return claimed_at(a->conf, relay, name);
}

static bool say_to_relay(void *user, const char *relay, const struct lane_msg *m)
{
    const struct agent *a = user;

    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i] && strcmp(supervise_relay(a->relays[i]), relay) == 0)
            return supervise_say(a->relays[i], m, SUPERVISE_ONE);
    return leaving_say(&a->leaving, relay, m);
}

static void on_words_ended(void *user)
{
    struct agent *a = user;

    a->words = NULL;
    a->alive--;
    end_if_done(a);
}

static void on_dns_ended(void *user)
{
    struct agent *a = user;

    a->dns = NULL;
    a->alive--;
    end_if_done(a);
}

static void on_service_changed(void *user, const struct site_service *service)
{
    const struct lane_msg m = site_service_msg(service);
    struct agent *a = user;

    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i])
            supervise_say(a->relays[i], &m, SUPERVISE_EACH);
}

static void on_netwatch_ended(void *user)
{
    struct agent *a = user;

    a->alive--;
    end_if_done(a);
}

/* ---- start, reload, status ---- */

static void on_pair_idle(void *user)
{
    end_if_done(user);
}

static void on_doctor_gone(void *user)
{
    end_if_done(user);
}

static int make_boot(struct agent *a, struct err *e)
{
    unsigned char random[BOOT_BYTES];
    int rc = uv_random(NULL, NULL, random, sizeof random, 0, NULL);

    if (rc != 0)
        return err_set(e, ERR_SYSTEM, "cannot get random bytes: %s", uv_strerror(rc));
    for (size_t i = 0; i < BOOT_BYTES; i++)
        snprintf(a->boot + 2 * i, 3, "%02x", random[i]);
    return 0;
}

static void set_limits(struct agent *a)
{
    const struct agent_conf *conf = agent_conf_of(a->conf);

    a->limits.max_streams = (size_t)conf->max_streams;
    a->limits.max_buffered = (uint64_t)conf->max_buffered;
}

static void on_tick(uv_timer_t *timer)
{
    struct agent *a = timer->data;

    limits_check(&a->limits);
    if (a->words && !a->ending)
        words_tick(a->words);
    for (size_t i = 0; i < a->relays_n && a->dns; i++)
        if (a->relays[i])
            dns_relay_is(a->dns, supervise_relay(a->relays[i]), supervise_is_up(a->relays[i]));
    look_at_leaving(a);
}

static void *agent_start(struct loop *loop, const struct opt_conf *conf, struct inherited *inherited,
                         const struct daemon_parts_host *host, struct err *e)
{
    struct agent *a = mem_new(sizeof *a);

    (void)inherited; /* nobody connects to an agent, but for its control socket */
    a->loop = loop;
    a->conf = conf;
    a->host = *host;
    if (make_boot(a, e) != 0) {
        free(a);
        return NULL;
    }
    sites_init(&a->sites, conf);
    a->trust = trust_new();
    a->sites.trust = a->trust;
    a->sites.service_changed = on_service_changed;
    a->sites.welcomed = on_welcomed;
    a->sites.told = on_told;
    a->sites.user = a;
    set_limits(a);
    uv_timer_init(&loop->uv, &a->tick);
    a->tick.data = a;
    uv_timer_start(&a->tick, on_tick, TICK_MS, TICK_MS);
    pair_init(&a->pair, loop, on_pair_idle, a);
    a->doctor = (struct visit){ .loop = loop,
                                .role = "agent",
                                .look = agent_doctor_look,
                                .judge = agent_doctor_judge,
                                .idle = on_doctor_gone,
                                .user = a };
    a->netwatch = netwatch_start(loop, on_network_changed, on_netwatch_ended, a);
    a->alive++;
    a->dns = dns_start(loop, conf, on_dns_ended, a);
    a->alive++;
    a->words_host = (struct passing_host){ relay_number, say_to_relay, claims_at, a };
    agent_bans_init(&a->bans, agent_conf_of(conf)->base.state_dir, &a->words_host);
    a->words = words_start(loop, conf, &a->words_host, on_words_ended, a);
    a->alive++;
    dns_ask_certs(a->dns, cert_of, a);
    set_relays(a);
    return a;
}

static void agent_reload(void *parts, const struct opt_conf *conf)
{
    struct agent *a = parts;
    bool changed = sites_reload(&a->sites, conf);

    trust_renew(a->trust);
    a->conf = conf;
    set_limits(a);
    set_relays(a);
    if (a->dns)
        dns_reload(a->dns, conf);
    if (a->words)
        words_reload(a->words, conf);
    for (size_t i = 0; i < a->relays_n && changed; i++)
        supervise_claim(a->relays[i]);
    look_at_leaving(a);
}

static json_t *nothing_public(void)
{
    return json_pack("{s:n, s:n, s:[]}", "v4", "v6", "sources");
}

static json_t *dns_member(const struct agent *a, const char *site)
{
    json_t *dns = a->dns ? dns_site_status(a->dns, site) : NULL;

    return dns ? dns : json_null();
}

/* Each site with its DNS; and those that are for DNS alone. */
static json_t *domains_status(const struct agent *a)
{
    json_t *list = sites_status(&a->sites), *domain;
    const struct agent_domain_conf *d;
    const char *name;
    size_t i;

    for (i = 0; (d = opt_section(a->conf, "domain", i, &name)); i++)
        if (!*d->service)
            json_array_append_new(list, json_pack("{s:s, s:n, s:s, s:n, s:s, s:[]}", "name", name, "service",
                                                  "service_state", "unknown", "service_since",
                                                  "service_detail", "", "routes"));
    json_array_foreach(list, i, domain)
    {
        name = json_string_value(json_object_get(domain, "name"));
        d = opt_values(a->conf, "domain", name);
        json_object_set_new(domain, "mode", json_string(agent_mode_text(d ? d->mode : AGENT_MODE_TUNNEL)));
        json_object_set_new(domain, "dns", dns_member(a, name));
        json_object_set_new(domain, "certs", a->words ? words_certs_status(a->words, name) : json_array());
    }
    return list;
}

static void agent_add_status(void *parts, json_t *status)
{
    const struct agent *a = parts;
    json_t *relays = json_array();

    for (size_t i = 0; a && i < a->relays_n && !a->ending; i++)
        json_array_append_new(relays, supervise_status(a->relays[i]));
    json_object_set_new(status, "public", a && a->dns ? dns_public_status(a->dns) : nothing_public());
    json_object_set_new(status, "relays", relays);
    json_object_set_new(status, "leaving", a ? leaving_status(&a->leaving) : json_array());
    json_object_set_new(status, "domains", a ? domains_status(a) : json_array());
    json_object_set_new(status, "tcp", a ? sites_ports_status(&a->sites) : json_array());
    json_object_set_new(status, "notices", a && a->words ? words_notices_status(a->words) : json_array());
}

static void agent_add_metrics(void *parts, struct metrics *m)
{
    const struct agent *a = parts;
    json_t *status = json_object();

    agent_add_status(parts, status);
    json_object_set_new(status, "dns_updates", a && a->dns ? dns_outcomes(a->dns) : json_array());
    agent_metrics_add(m, status);
    json_decref(status);
}

static void agent_count(void *parts, struct history_totals *totals)
{
    const struct agent *a = parts;

    totals->streams = a->limits.used;
    totals->bytes_in = a->limits.bytes_in;
    totals->bytes_out = a->limits.bytes_out;
}

static bool agent_ready(void *parts, char *why, size_t room)
{
    const struct agent *a = parts;

    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i] && supervise_is_up(a->relays[i]))
            return true;
    snprintf(why, room, "no lane to a relay is up");
    return a->relays_n == 0;
}

static void answer_join(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;

    if (a->ending)
        http_reply_error(reply, 503, "the agent is stopping");
    else
        pair_answer_join(&a->pair, a->conf, request, reply);
}

static void answer_dns(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;

    if (a->dns)
        dns_answer_status(a->dns, request, reply);
    else
        http_reply_error(reply, 503, "the agent is stopping");
}

static void answer_dns_sync(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;

    if (a->dns)
        dns_answer_sync(a->dns, request, reply);
    else
        http_reply_error(reply, 503, "the agent is stopping");
}

static void answer_bans(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;

    (void)request;
    agent_bans_answer_list(&a->bans, reply);
}

static void answer_ban(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;

    agent_bans_answer_add(&a->bans, request, reply);
}

static void answer_unban(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;

    agent_bans_answer_remove(&a->bans, request, reply);
}

static void answer_log(void *parts, const struct http_request *request, struct http_reply *reply)
{
    (void)parts;
    (void)request;
    http_reply_error(reply, 404, "requests are seen by the relay alone; run tunnelctl log on its machine");
}

static void answer_doctor(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct agent *a = parts;
    char domain[DOMAIN_BYTES];
    struct err why = { 0 };
    json_t *facts = NULL;

    if (visit_domain(request, domain, sizeof domain, &why) == 0) {
        facts = json_object();
        a->host.add_status(a->host.user, facts);
        facts = agent_doctor_facts(a->conf, facts, words_clock(a->words), domain, &why);
    }
    if (facts)
        visit_begin(&a->doctor, facts, reply);
    else
        http_reply_error(reply, why.code == ERR_MISSING ? 404 : 400, "%s", why.text);
}

static const struct http_route routes[] = {
    { "POST", "/v1/join", answer_join },      { "GET", "/v1/doctor", answer_doctor },
    { "GET", "/v1/dns", answer_dns },         { "POST", "/v1/dns/sync", answer_dns_sync },
    { "GET", "/v1/bans", answer_bans },       { "POST", "/v1/bans", answer_ban },
    { "DELETE", "/v1/bans/*", answer_unban }, { "GET", "/v1/log", answer_log },
};

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct agent *a = handle->data;
    struct daemon_parts_host host = a->host;

    sites_free(&a->sites);
    agent_bans_free(&a->bans);
    trust_free(a->trust);
    free(a->relays);
    leaving_free(&a->leaving);
    free(a);
    host.ended(host.user);
}

static void end_if_done(struct agent *a)
{
    if (a->ending && a->alive == 0 && pair_idle(&a->pair) && visit_idle(&a->doctor) &&
        !uv_is_closing((uv_handle_t *)&a->tick))
        uv_close((uv_handle_t *)&a->tick, on_closed);
}

static void begin_end(struct agent *a)
{
    if (!a->ending)
        netwatch_stop(a->netwatch);
    if (!a->ending && a->words)
        words_stop(a->words);
    a->ending = true;
    pair_stop(&a->pair);
    visit_stop(&a->doctor);
}

static void agent_drain(void *parts)
{
    struct agent *a = parts;

    begin_end(a);
    if (a->dns)
        dns_drain(a->dns);
    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i])
            supervise_drain(a->relays[i]);
    leaving_each(&a->leaving, supervise_drain);
}

static void agent_cut(void *parts)
{
    struct agent *a = parts;

    begin_end(a);
    if (a->dns)
        dns_stop(a->dns);
    for (size_t i = 0; i < a->relays_n; i++)
        if (a->relays[i])
            supervise_stop(a->relays[i]);
    leaving_each(&a->leaving, supervise_stop);
}

const struct daemon_program agent_program = {
    .role = "agent",
    .schema = &agent_schema,
    .start = agent_start,
    .reload = agent_reload,
    .add_status = agent_add_status,
    .add_troubles = agent_add_troubles,
    .add_metrics = agent_add_metrics,
    .ready = agent_ready,
    .count = agent_count,
    .drain = agent_drain,
    .cut = agent_cut,
    .routes = routes,
    .routes_n = sizeof routes / sizeof routes[0],
};
