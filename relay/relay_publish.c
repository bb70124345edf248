/* What the relay publishes to its workers: every site with its names, certificate and policy, lanes, ports, rules. */
#include "relay/edge/snapshot_bans.h"
#include "relay/options.h"
#include "relay/relay_parts.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <time.h>

enum { LATER_MS = 100 };

struct publication {
    struct relay *relay;
    struct snapshot *snapshot;
    time_t now;
};

/* With a certificate apart from the site's. One that cannot be had shows nothing: the others are served. */
static void add_apart(struct publication *p, struct snap_site *added, const struct lanes_site *site,
                      const struct policy *policy, const char *const *names, size_t n)
{
    struct relay_shown shown = { 0 };
    struct err why = { 0 };
    SSL_CTX *tls = relay_certificate(p->relay, site, policy, names, n, &shown, &why);

    if (!tls)
        log_error("no certificate", kv_str("domain", names[0]), kv_str("error", why.text));
    for (size_t i = 0; tls && i < n; i++) {
        snapshot_add_name(p->snapshot, added, names[i], relay_certificate_covers(tls, &shown, names[i]));
        snapshot_show_apart(p->snapshot, tls, shown.trusted);
    }
    SSL_CTX_free(tls);
}

/* tls: NULL when it ends the TLS of its visitors itself. */
static void add_served(struct publication *p, const struct lanes_site *site, const struct policy *policy,
                       const char **names, struct counts *counts)
{
    const bool passes = policy->tls == POLICY_PASSTHROUGH;
    const size_t n = site->aliases_n + 1,
                 together = passes ? n : relay_names_apart(p->relay, site->name, policy, names, n);
    struct relay_shown shown = { 0 };
    struct err why = { 0 };
    struct snap_site *added;
    SSL_CTX *tls = passes ? NULL : relay_certificate(p->relay, site, policy, names, together, &shown, &why);

    if (!tls && !passes) {
        log_error("no certificate", kv_str("domain", site->name), kv_str("error", why.text));
        return;
    }
    added = snapshot_add_site(p->snapshot, site->name, tls, policy, counts);
    snapshot_set_agent(p->snapshot, added, site->agent);
    added->away_since = site->away_since;
    added->trusted_cert = shown.trusted;
    for (size_t i = 0; i < together; i++)
        snapshot_add_name(p->snapshot, added, names[i], relay_certificate_covers(tls, &shown, names[i]));
    if (together < n)
        add_apart(p, added, site, policy, names + together, n - together);
    SSL_CTX_free(tls);
}

static void add_site(void *user, const struct lanes_site *site)
{
    struct publication *p = user;
    const char **names = mem_new((site->aliases_n + 1) * sizeof(char *));
    struct ledger_entry *entry = ledger_keep(&p->relay->ledger, site->name);
    struct arena texts = { 0 };
    struct policy policy;
    const char *trouble;

    names[0] = site->name;
    for (size_t i = 0; i < site->aliases_n; i++)
        names[i + 1] = site->aliases[i];
    trouble = policies_for(&p->relay->policies, site, &policy, &texts);
    if (site->state)
        ledger_note_state(entry, site->state, p->now);
    ledger_note_trouble(entry, trouble ? trouble : policies_trouble(site, &policy, &texts));
    add_served(p, site, &policy, names, entry->counts);
    arena_free(&texts);
    free(names);
}

struct ledger_entry *relay_entry_of_port(struct relay *r, const char *agent, const char *item)
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
    entry = relay_entry_of_port(p->relay, port->agent, port->target.item);
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

/* A site of a section of ours keeps its traffic while its agent claims it no more. After all sites: others are none. */
static void keep_sections(struct relay *r)
{
    const char *name;

    for (size_t i = 0; opt_section(r->conf, "domain", i, &name); i++) {
        struct ledger_entry *entry = ledger_of(&r->ledger, name);

        if (!entry->kept)
            ledger_note_state(entry, NULL, 0);
        entry->kept = true;
    }
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

struct snapshot *relay_make_snapshot(struct relay *r)
{
    struct publication p = { r, snapshot_new(), time(NULL) };

    snapshot_set_tls(p.snapshot,
                     begin_context(r->begin, (enum tls_profile)relay_conf_of(r->conf)->tls_profile, p.now),
                     files_default(r->files, p.now));
    snapshot_set_challenges(p.snapshot, board_challenges(r->board));
    set_rules(r, p.snapshot);
    ban_book_add_to_snapshot(r->bans, p.snapshot);
    lanes_each_site(r->lanes, add_site, &p);
    fixed_each_site(r->fixed, add_site, &p);
    keep_sections(r);
    fixed_each_routed(r->fixed, add_routed_site, &p);
    lanes_each_port(r->lanes, add_port, &p);
    ledger_forget(&r->ledger);
    certs_forget_unused(r->certs);
    placeholders_forget_unused(r->placeholders);
    manager_forget_unused(r->manager);
    fixed_add_to_snapshot(r->fixed, p.snapshot);
    lanes_add_to_snapshot(r->lanes, p.snapshot);
    snapshot_finish(p.snapshot);
    return p.snapshot;
}

static void on_publish(uv_timer_t *timer)
{
    struct relay *r = timer->data;

    if (r->lanes && r->edge && r->manager && !r->ending)
        edge_publish(r->edge, relay_make_snapshot(r));
}

void relay_publish_later(struct relay *r)
{
    if (!r->ending && !uv_is_active((uv_handle_t *)&r->publish))
        uv_timer_start(&r->publish, on_publish, LATER_MS, 0);
}

void relay_publish_soon(struct relay *r)
{
    if (!r->ending)
        uv_timer_start(&r->publish, on_publish, 0, 0);
}
