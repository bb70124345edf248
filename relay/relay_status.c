/* What the relay tells people by its control socket: how its sites are, who may connect, the internal root. */
#include "relay/admin/metrics.h"
#include "relay/doctor/facts.h"
#include "relay/relay_parts.h"

#include "shared/json.h"

#include <stdio.h>
#include <string.h>

struct domains_status {
    struct relay *relay;
    json_t *list;
};

/* A site that is not up is parked while requests wait for it. It has been away for no shorter time then. */
static void add_state(json_t *domain, const char *state, struct ledger_entry *entry)
{
    long long parked = atomic_load(&entry->counts->parked);

    ledger_note_state(entry, state, time(NULL)); /* the snapshot that does so may still be to come */
    json_object_set_new(domain, "state",
                        json_string(parked > 0 && strcmp(state, "up") != 0 ? "parked" : state));
    json_object_set_new(domain, "since", json_time(entry->state_since));
    json_object_set_new(domain, "parked", json_integer(parked));
}

/* How many requests ended with a status of each class; with "none" those that nobody has answered. */
static json_t *answers_status(const struct counts *counts)
{
    static const char *const classes[COUNTS_CLASSES] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
    json_t *answers = json_object();

    for (int i = 0; i < COUNTS_CLASSES; i++)
        json_object_set_new(answers, classes[i], json_integer((json_int_t)atomic_load(&counts->answers[i])));
    return answers;
}

/* Whom the site lets in, as workers have been told: null where that is everybody. */
static json_t *guard_status(const struct relay *r, const struct lanes_site *site)
{
    struct arena texts = { 0 };
    struct policy policy;
    json_t *status;

    policies_for(&r->policies, site, &policy, &texts);
    status = policy_guard_status(&policy);
    arena_free(&texts);
    return status;
}

static void add_domain_status(void *user, const struct lanes_site *site)
{
    struct domains_status *d = user;
    struct ledger_entry *entry = ledger_of(&d->relay->ledger, site->name);
    const struct counts *counts = entry->counts;
    json_t *domain = fixed_site_status(d->relay->fixed, site->name);

    if (!domain)
        domain = lanes_site_status(d->relay->lanes, site->name);

    add_state(domain, site->state, entry);
    json_object_set_new(domain, "requests", json_integer((json_int_t)atomic_load(&counts->requests)));
    json_object_set_new(domain, "errors", json_integer((json_int_t)atomic_load(&counts->errors)));
    json_object_set_new(domain, "answers", answers_status(counts));
    json_object_set_new(domain, "bytes_in", json_integer((json_int_t)atomic_load(&counts->bytes_in)));
    json_object_set_new(domain, "bytes_out", json_integer((json_int_t)atomic_load(&counts->bytes_out)));
    json_object_set_new(domain, "last_error", entry->trouble ? json_string(entry->trouble) : json_null());
    json_object_set_new(domain, "last_error_since",
                        entry->trouble ? json_time(entry->trouble_since) : json_null());
    json_object_set_new(domain, "guard", guard_status(d->relay, site));
    json_object_set_new(domain, "cert", relay_cert_status(d->relay, site));
    json_object_set_new(domain, "certs", relay_certs_apart(d->relay, site));
    json_array_append_new(d->list, domain);
}

static const struct counts *counts_of_port(void *user, const char *agent, const char *item)
{
    return relay_entry_of_port(user, agent, item)->counts;
}

void relay_add_status(void *parts, json_t *status)
{
    struct relay *r = parts;
    struct domains_status domains = { r, json_array() };

    if (r && r->lanes)
        lanes_each_site(r->lanes, add_domain_status, &domains);
    if (r && r->lanes)
        fixed_each_site(r->fixed, add_domain_status, &domains);
    json_object_set_new(status, "lanes", r && r->lanes ? lanes_status(r->lanes) : json_array());
    json_object_set_new(status, "agents", r && r->lanes ? lanes_agents_status(r->lanes) : json_array());
    json_object_set_new(status, "listeners", edge_listeners(r ? r->edge : NULL));
    json_object_set_new(status, "domains", domains.list);
    json_object_set_new(status, "tcp",
                        r && r->lanes ? lanes_ports_status(r->lanes, counts_of_port, r) : json_array());
}

void relay_add_metrics(void *parts, struct metrics *m)
{
    const struct relay *r = parts;
    json_t *status = json_object();
    struct relay_counted counted = { 0 };

    relay_add_status(parts, status);
    if (r && r->edge)
        edge_add_tally(r->edge, &counted.tally);
    if (r && r->manager)
        counted.orders = *manager_counts(r->manager);
    relay_metrics_add(m, status, &counted, time(NULL));
    json_decref(status);
}

void relay_count(void *parts, struct history_totals *totals)
{
    const struct relay *r = parts;

    ledger_count(&r->ledger, totals);
}

/* Its workers have had a snapshot since they listen. */
bool relay_ready(void *parts, char *why, size_t room)
{
    const struct relay *r = parts;

    snprintf(why, room, "visitors are not served");
    return r->edge && r->lanes && !r->ending;
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

/* ---- bans ---- */

static void answer_bans(void *parts, const struct http_request *request, struct http_reply *reply)
{
    const struct relay *r = parts;

    (void)request;
    ban_book_answer_list(r->bans, reply);
}

static void answer_ban(void *parts, const struct http_request *request, struct http_reply *reply)
{
    const struct relay *r = parts;

    ban_book_answer_add(r->bans, request, reply);
}

static void answer_unban(void *parts, const struct http_request *request, struct http_reply *reply)
{
    const struct relay *r = parts;

    ban_book_answer_remove(r->bans, request, reply);
}

static void answer_log(void *parts, const struct http_request *request, struct http_reply *reply)
{
    const struct relay *r = parts;

    if (r->tap)
        log_tap_answer(r->tap, access_log_writes(r->access_log), request, reply);
    else
        http_reply_error(reply, 503, "the relay is stopping");
}

static void answer_doctor(void *parts, const struct http_request *request, struct http_reply *reply)
{
    struct relay *r = parts;
    char domain[DOMAIN_BYTES];
    struct err why = { 0 };
    json_t *facts = NULL;

    if (!enrol_of(r, reply))
        return;
    if (visit_domain(request, domain, sizeof domain, &why) == 0) {
        facts = json_object();
        r->host.add_status(r->host.user, facts);
        facts = relay_doctor_facts(r->conf, facts, domain, &why);
    }
    if (facts)
        visit_begin(&r->doctor, facts, reply);
    else
        http_reply_error(reply, why.code == ERR_MISSING ? 404 : 400, "%s", why.text);
}

const struct http_route relay_routes[] = {
    { "GET", "/v1/agents", answer_agents },
    { "GET", "/v1/doctor", answer_doctor },
    { "POST", "/v1/invite", answer_invite },
    { "DELETE", "/v1/agents/*", answer_revoke },
    { "GET", "/v1/root.pem", answer_root },
    { "GET", "/v1/bans", answer_bans },
    { "POST", "/v1/bans", answer_ban },
    { "DELETE", "/v1/bans/*", answer_unban },
    { "GET", "/v1/log", answer_log },
    { "GET", "/v1/certs", relay_answer_certs },
    { "POST", "/v1/certs/*/renew", relay_answer_renew },
    { "POST", "/v1/certs/*/revoke", relay_answer_cert_revoke },
    { "POST", "/v1/certs/import", relay_answer_cert_import },
};
