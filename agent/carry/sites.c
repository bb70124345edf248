#include "agent/carry/sites.h"

#include "agent/options.h"
#include "shared/lane_msg.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/port_policy.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char prefix[] = "domain:", tcp_prefix[] = "tcp:";

static char *copy_item(struct arena *arena, const char *kind, const char *name)
{
    char *item = arena_get(arena, strlen(kind) + strlen(name) + 1);

    strcpy(item, kind);
    return strcat(item, name);
}

static void read_service(struct site_service *service, const char *item, const char *route, const char *text,
                         bool verify, int proxy)
{
    *service = (struct site_service){ .item = item, .route = route, .text = text };
    if (service_parse(&service->at, text, NULL) != 0)
        service->at.at.port = 0; /* cannot be: the configuration was checked; nothing listens on port 0 */
    service->at.verify = verify;
    service->at.proxy = (enum proxy_header_version)proxy;
}

/* The files it names were there when the configuration was checked. Where one went away since, all is as it was; and where
 * that asked for no password, nobody is let in without one. */
static json_t *policy_of(const char *name, const struct agent_domain_conf *d, const struct site *before)
{
    struct err why = { 0 };
    const char *key = NULL;
    json_t *policy = policy_of_conf(&d->policy, &key, &why);

    if (policy)
        return policy;
    log_error("a site is claimed with what its section asked for before, if anything", kv_str("domain", name),
              kv_str("option", key), kv_str("error", why.text));
    policy = before && before->policy ? json_copy(before->policy) : json_object();
    if (d->policy.basic_auth_file[0] && !json_object_get(policy, "basic_auth_file"))
        json_object_set_new(policy, "deny", json_pack("[s, s]", "0.0.0.0/0", "::/0"));
    return policy;
}

static json_t *with_routes(json_t *policy, const struct opt_pairs *routes)
{
    json_t *paths = json_array();

    for (size_t i = 0; i < routes->n; i++)
        json_array_append_new(paths, json_string(routes->list[i].name));
    json_object_del(policy, "routes");
    if (routes->n > 0)
        json_object_set(policy, "routes", paths);
    json_decref(paths);
    return policy;
}

/* The relay has to know: such a service's connections are not shared. */
static json_t *with_proxy_protocol(json_t *policy, int proxy)
{
    json_object_del(policy, "proxy_protocol");
    if (proxy != PROXY_HEADER_NO)
        json_object_set_new(policy, "proxy_protocol", json_true());
    return policy;
}

static enum policy_http2 http2_of(const struct service *at)
{
    switch (at->kind) {
    case SERVICE_H2C: return POLICY_HTTP2_ALONE;
    case SERVICE_HTTPS: return POLICY_HTTP2_ASKED;
    default: return POLICY_HTTP2_NEVER;
    }
}

/* What the relay has to know of the services to speak to them; nothing, where that is HTTP/1.1 alone. */
static void claim_http2(struct site *site)
{
    json_t *words = json_object();

    for (size_t i = 0; i < site->services_n; i++) {
        enum policy_http2 http2 = http2_of(&site->services[i].at);

        if (http2 != POLICY_HTTP2_NEVER)
            json_object_set_new(words, site->services[i].route, json_string(policy_http2_words[http2]));
    }
    if (json_object_size(words) > 0)
        json_object_set(site->policy, "http2", words);
    else
        json_object_del(site->policy, "http2");
    json_decref(words);
}

static const char *const *copy_words(struct arena *arena, const struct opt_words *words)
{
    const char **copies = arena_get(arena, words->n * sizeof *copies + 1);

    for (size_t i = 0; i < words->n; i++)
        copies[i] = arena_copy(arena, words->words[i]);
    return copies;
}

static void fill(struct arena *arena, struct site *site, const char *name, const struct agent_domain_conf *d,
                 struct sites *old)
{
    const char *item = copy_item(arena, prefix, name);
    const char *const *aliases = copy_words(arena, &d->aliases);

    *site = (struct site){
        .item = item,
        .policy = with_proxy_protocol(
            with_routes(policy_of(name, d, sites_find(old, str_of(item))), &d->routes), d->proxy_protocol),
        .aliases = aliases,
        .aliases_n = d->aliases.n,
        .relays = { d->relays.n, copy_words(arena, &d->relays) },
        .services = arena_get(arena, (1 + d->routes.n) * sizeof *site->services),
        .services_n = 1 + d->routes.n,
    };
    read_service(&site->services[0], site->item, "", arena_copy(arena, d->service), d->verify,
                 d->proxy_protocol);
    for (size_t i = 0; i < d->routes.n; i++)
        read_service(&site->services[1 + i], site->item, arena_copy(arena, d->routes.list[i].name),
                     arena_copy(arena, d->routes.list[i].value), d->verify, d->proxy_protocol);
    claim_http2(site);
}

static const char *address_text(struct arena *arena, const struct opt_address *at)
{
    struct buf text = { 0 };
    const char *copy;

    value_print_address(&text, at);
    copy = arena_copy(arena, buf_text(&text));
    buf_free(&text);
    return copy;
}

static void fill_port(struct arena *arena, struct site *site, const char *name,
                      const struct agent_tcp_conf *t)
{
    const struct port_policy policy = { t->listen.list[0], t->allow, t->deny };

    *site = (struct site){
        .item = copy_item(arena, tcp_prefix, name),
        .policy = port_policy_write(&policy),
        .listen = address_text(arena, &policy.listen),
        .traffic = traffic_new(),
        .services = arena_get(arena, sizeof *site->services),
        .services_n = 1,
    };
    read_service(&site->services[0], site->item, "", arena_copy(arena, t->service), true, t->proxy_protocol);
}

static size_t count(const struct opt_conf *conf, const char *kind)
{
    size_t n = 0;

    while (opt_section(conf, kind, n, NULL))
        n++;
    return n;
}

static void read_sites(struct sites *s, const struct opt_conf *conf, struct sites *old)
{
    size_t domains = count(conf, "domain"), ports = count(conf, "tcp");
    const char *name;

    s->n = 0;
    s->arena = (struct arena){ 0 };
    s->list = arena_get(&s->arena, (domains + ports) * sizeof *s->list + 1);
    for (size_t i = 0; i < domains; i++) {
        const struct agent_domain_conf *d = opt_section(conf, "domain", i, &name);

        if (*d->service) /* the others are for DNS alone */
            fill(&s->arena, &s->list[s->n++], name, d, old);
    }
    for (size_t i = 0; i < ports; i++) {
        const struct agent_tcp_conf *t = opt_section(conf, "tcp", i, &name);

        fill_port(&s->arena, &s->list[s->n++], name, t);
    }
}

void sites_init(struct sites *s, const struct opt_conf *conf)
{
    memset(s, 0, sizeof *s);
    s->serial = 1;
    read_sites(s, conf, &(struct sites){ 0 });
}

void sites_init_plain(struct sites *s, const char *relay, const char *service)
{
    *s = (struct sites){ .n = 1 };
    s->list = arena_get(&s->arena, sizeof *s->list);
    *s->list = (struct site){ .item = copy_item(&s->arena, "relay:", relay),
                              .services = arena_get(&s->arena, sizeof *s->list->services),
                              .services_n = 1 };
    read_service(&s->list->services[0], s->list->item, "", arena_copy(&s->arena, service), true,
                 PROXY_HEADER_NO);
}

/* A claim does not name services; but the relay keeps streams to them, and lets go of these with a new claim. */
static bool same_services(const struct site *a, const struct site *b)
{
    if (a->services_n != b->services_n)
        return false;
    for (size_t i = 0; i < a->services_n; i++)
        if (strcmp(a->services[i].text, b->services[i].text) != 0 ||
            strcmp(a->services[i].route, b->services[i].route) != 0 ||
            a->services[i].at.verify != b->services[i].at.verify ||
            a->services[i].at.proxy != b->services[i].at.proxy)
            return false;
    return true;
}

static bool same_words(const char *const *a, size_t a_n, const char *const *b, size_t b_n)
{
    for (size_t i = 0; i < a_n && a_n == b_n; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return a_n == b_n;
}

static bool same_claim(const struct site *a, const struct site *b)
{
    if (strcmp(a->item, b->item) != 0 || !same_words(a->aliases, a->aliases_n, b->aliases, b->aliases_n) ||
        !same_words(a->relays.words, a->relays.n, b->relays.words, b->relays.n))
        return false;
    if (!same_services(a, b))
        return false;
    return a->policy == b->policy || (a->policy && b->policy && json_equal(a->policy, b->policy));
}

static void keep_state(struct site *site, struct site_service *old)
{
    struct site_service *service = sites_service(site, str_of(old->route));

    if (!service || strcmp(service->text, old->text) != 0 || service->at.verify != old->at.verify)
        return;
    service->state = old->state;
    service->since_s = old->since_s;
    service->detail = old->detail;
    old->detail = NULL;
}

static void keep_left(struct sites *s, struct site *site, const struct site *old, const struct opt_conf *conf)
{
    const struct opt_words *const lists[] = { &old->relays, &old->left };
    const char **left = arena_get(&s->arena, (old->relays.n + old->left.n) * sizeof *left + 1);

    site->left = (struct opt_words){ 0, left };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (size_t j = 0; j < lists[i]->n; j++)
            if (!opt_values(conf, "relay", lists[i]->words[j]))
                left[site->left.n++] = arena_copy(&s->arena, lists[i]->words[j]);
}

static void keep_states(struct sites *s, const struct site *old, const struct opt_conf *conf)
{
    struct site *site = sites_find(s, str_of(old->item));

    if (!site)
        return;
    keep_left(s, site, old, conf);
    site_note_claim(site, old->claim, old->claim_why ? old->claim_why : "");
    site->claim_since_s = old->claim_since_s;
    traffic_release(site->traffic);
    site->traffic = traffic_hold(old->traffic);
    for (size_t i = 0; i < old->services_n; i++)
        keep_state(site, &old->services[i]);
}

bool sites_reload(struct sites *s, const struct opt_conf *conf)
{
    struct sites old = *s;
    bool changed;

    read_sites(s, conf, &old);
    changed = s->n != old.n;
    for (size_t i = 0; i < s->n && !changed; i++)
        changed = !same_claim(&s->list[i], &old.list[i]);
    for (size_t i = 0; i < old.n; i++)
        keep_states(s, &old.list[i], conf);
    s->serial = old.serial + changed;
    sites_free(&old);
    return changed;
}

void sites_free(struct sites *s)
{
    for (size_t i = 0; i < s->n; i++) {
        json_decref(s->list[i].policy);
        free(s->list[i].claim_why);
        traffic_release(s->list[i].traffic);
        for (size_t j = 0; j < s->list[i].services_n; j++)
            free(s->list[i].services[j].detail);
    }
    arena_free(&s->arena);
    s->list = NULL;
    s->n = 0;
}

struct site *sites_find(struct sites *s, struct str item)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(item, s->list[i].item))
            return &s->list[i];
    return NULL;
}

struct site_service *sites_service(const struct site *site, struct str route)
{
    for (size_t i = 0; i < site->services_n; i++)
        if (str_eq(route, site->services[i].route))
            return &site->services[i];
    return NULL;
}

bool site_goes_by(const struct site *site, const char *relay)
{
    return agent_uses_relay(&site->relays, relay) ||
           (site->left.n > 0 && agent_uses_relay(&site->left, relay));
}

const struct site_service *sites_for(struct sites *s, const char *relay, const struct proxy2_use *use,
                                     const struct site **site, const char **why)
{
    const struct site_service *service;

    *site = sites_find(s, use->item);
    if (*site && !site_goes_by(*site, relay))
        *site = NULL; /* it was never claimed there */
    service = *site ? sites_service(*site, use->route) : NULL;
    *why = !*site     ? "this item is not served here"
           : !service ? "this route is not served here"
                      : service_why_unfit(&service->at, use->item, use->sni.n > 0);
    if (!*why)
        *why = service_mismatch(&service->at, use->http2);
    return *why ? NULL : service;
}

static const char *detail_of(const struct site_service *service)
{
    return service->detail ? service->detail : "";
}

void sites_note_service(struct sites *s, const char *item, const char *route, enum lane_service state,
                        const char *detail)
{
    const struct site *site = sites_find(s, str_of(item));
    struct site_service *service = site ? sites_service(site, str_of(route)) : NULL;

    if (!service || (service->state == state && strcmp(detail_of(service), detail) == 0))
        return;
    if (service->state != state)
        service->since_s = time(NULL);
    service->state = state;
    free(service->detail);
    service->detail = *detail ? mem_copy(detail) : NULL;
    if (*detail)
        log_warn_limited(item, "service is not well", kv_str("item", item), kv_str("service", service->text),
                         kv_str("state", lane_service_text(state)), kv_str("error", detail));
    else
        log_info_limited(item, "service state changed", kv_str("item", item),
                         kv_str("service", service->text), kv_str("state", lane_service_text(state)));
    if (s->service_changed)
        s->service_changed(s->user, service);
}

void site_note_claim(struct site *site, enum site_claim claim, const char *why)
{
    free(site->claim_why);
    site->claim_why = *why ? mem_copy(why) : NULL;
    if (site->claim != claim)
        site->claim_since_s = (int64_t)time(NULL);
    site->claim = claim;
}

const char *site_name(const struct site *site)
{
    return strchr(site->item, ':') + 1;
}

struct lane_msg site_service_msg(const struct site_service *service)
{
    return (struct lane_msg){ .type = LANE_SERVICE,
                              .service = { .item = service->item,
                                           .route = service->route,
                                           .state = service->state,
                                           .detail = detail_of(service) } };
}

static void add_service_status(json_t *to, const struct site_service *service)
{
    json_object_set_new(to, "service", json_string(service->text));
    json_object_set_new(to, "service_state", json_string(lane_service_text(service->state)));
    json_object_set_new(to, "service_since",
                        service->since_s ? json_time((time_t)service->since_s) : json_null());
    json_object_set_new(to, "service_detail", json_any_text(detail_of(service)));
}

static json_t *routes_status(const struct site *site)
{
    json_t *list = json_array();

    for (size_t i = 1; i < site->services_n; i++) {
        json_t *route = json_pack("{s:s}", "path", site->services[i].route);

        add_service_status(route, &site->services[i]);
        json_array_append_new(list, route);
    }
    return list;
}

static void add_claim_status(json_t *to, const struct site *site)
{
    static const char *const claims[] = { "waiting", "accepted", "refused" };

    json_object_set_new(to, "claim", json_string(claims[site->claim]));
    json_object_set_new(to, "claim_why", site->claim_why ? json_any_text(site->claim_why) : json_null());
    json_object_set_new(to, "claim_since",
                        site->claim_since_s ? json_time((time_t)site->claim_since_s) : json_null());
}

/* What it asks for; the relay's own section may say something else. */
static json_t *guard_status(const struct site *site)
{
    struct arena texts = { 0 };
    struct policy policy;
    json_t *status = NULL;

    policy_defaults(&policy, 0);
    if (policy_lay(&policy, site->policy, &texts, NULL) == 0)
        status = policy_guard_status(&policy);
    arena_free(&texts);
    return status ? status : json_null();
}

json_t *sites_status(const struct sites *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->n; i++) {
        const struct site *site = &s->list[i];
        json_t *domain;

        if (site->listen)
            continue;
        domain = json_pack("{s:s, s:s}", "name", site_name(site), "mode", "tunnel");
        add_service_status(domain, &site->services[0]);
        json_object_set_new(domain, "routes", routes_status(site));
        add_claim_status(domain, site);
        json_object_set_new(domain, "guard", guard_status(site));
        json_array_append_new(list, domain);
    }
    return list;
}

json_t *sites_ports_status(const struct sites *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->n; i++) {
        const struct site *site = &s->list[i];
        json_t *port;

        if (!site->listen)
            continue;
        port = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", site_name(site), "listen", site->listen,
                         "connections", (json_int_t)site->traffic->connections, "connections_total",
                         (json_int_t)site->traffic->total, "bytes_in", (json_int_t)site->traffic->bytes_in,
                         "bytes_out", (json_int_t)site->traffic->bytes_out);
        add_service_status(port, &site->services[0]);
        add_claim_status(port, site);
        json_array_append_new(list, port);
    }
    return list;
}
