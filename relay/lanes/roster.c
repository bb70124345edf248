#include "relay/lanes/roster.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

const struct roster_agent *roster_find(const struct roster *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->list[i].name, name) == 0)
            return &r->list[i];
    return NULL;
}

const struct roster_agent *roster_find_key(const struct roster *r, const char *key)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->list[i].key, key) == 0)
            return &r->list[i];
    return NULL;
}

static struct roster_agent *add(struct roster *r)
{
    r->list = mem_grow(r->list, (r->n + 1) * sizeof *r->list);
    r->list[r->n] = (struct roster_agent){ 0 };
    return &r->list[r->n++];
}

static struct opt_words words_of(struct roster *r, const json_t *list)
{
    size_t n = json_array_size(list);
    const char **words = arena_get(&r->texts, (n + 1) * sizeof *words);

    for (size_t i = 0; i < n; i++)
        words[i] = arena_copy(&r->texts, json_string_value(json_array_get(list, i)));
    return (struct opt_words){ n, words };
}

void roster_init(struct roster *r, const struct opt_conf *conf, const struct invites *invites)
{
    const struct relay_agent_conf *agent;
    struct enrolled enrolled;
    const char *name;

    *r = (struct roster){ 0 };
    arena_init(&r->texts, 0);
    for (size_t i = 0; (agent = opt_section(conf, "agent", i, &name)); i++) {
        struct roster_agent *a = add(r);

        a->name = name;
        a->origin = opt_origin(conf, "agent", name, "key");
        a->domains = agent->domains;
        a->tcp_ports = agent->tcp_ports;
        a->instances = agent->instances;
        a->max_domains = agent->max_domains;
        if (ssh_key_parse(agent->key, a->key, NULL) != 0)
            r->n--; /* the configuration was checked: this cannot be */
    }
    for (size_t i = 0; invites && invites_enrolled(invites, i, &enrolled); i++) {
        struct roster_agent *a;

        if (roster_find(r, enrolled.name) || roster_find_key(r, enrolled.key))
            continue;
        a = add(r);
        a->name = arena_copy(&r->texts, enrolled.name);
        a->origin = arena_copy(&r->texts, invites_path(invites));
        memcpy(a->key, enrolled.key, strlen(enrolled.key) + 1);
        a->domains = words_of(r, enrolled.domains);
        a->since = enrolled.since;
        a->instances = 1;
        a->max_domains = RELAY_MAX_DOMAINS;
    }
}

void roster_free(struct roster *r)
{
    free(r->list);
    arena_free(&r->texts);
    *r = (struct roster){ 0 };
}

const char *roster_end_reason(const struct roster *before, const struct roster *now, const char *agent)
{
    const struct roster_agent *old = roster_find(before, agent), *new = roster_find(now, agent);

    if (!new)
        return "this agent is not known here any more";
    return old && strcmp(old->key, new->key) != 0 ? "this agent has another key now" : NULL;
}

/* ---- --dump ---- */

static void add_section(struct buf *out, const struct roster_agent *agent)
{
    buf_printf(out, "\n[agent %s]\nkey     = %s ; %s\ndomains =", agent->name, agent->key, agent->origin);
    for (size_t i = 0; i < agent->domains.n; i++)
        buf_printf(out, " %s", agent->domains.words[i]);
    buf_printf(out, " ; %s\n", agent->origin);
}

void roster_add_dump(struct buf *out, const struct opt_conf *conf)
{
    struct err why = { 0 };
    struct invites *invites = invites_load(relay_conf_of(conf)->base.state_dir, &why);
    struct roster r;

    if (!invites) {
        buf_printf(out, "\n; enrolled agents are not shown: %s\n", why.text);
        return;
    }
    roster_init(&r, conf, invites);
    for (size_t i = 0; i < r.n; i++)
        if (r.list[i].since)
            add_section(out, &r.list[i]);
    roster_free(&r);
    invites_free(invites);
}
