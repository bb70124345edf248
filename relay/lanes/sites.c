/* Which sites there are: of all claims that were accepted, one for each name; then those that only the configuration
 * names, so that their visitors wait instead of being told that there is no such site. */
#include "relay/lanes/claims_parts.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* An agent that serves a name, or may. */
struct entry {
    const char *name;
    const struct agent *agent;
    const struct item *item; /* NULL: it has not claimed it */
};

struct entries {
    struct entry *list;
    size_t n, room;
};

static void add_entry(struct entries *e, const struct entry *entry)
{
    if (e->n == e->room) {
        e->room = e->room ? 2 * e->room : 64;
        e->list = mem_grow(e->list, e->room * sizeof *e->list);
    }
    e->list[e->n++] = *entry;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names that need not be listed for the configuration's sake. */
struct known {
    const char **list;
    size_t n;
};

static void list_known(const struct claims *c, const struct entries *claimed, struct known *known)
{
    size_t n = c->own_n;

    for (size_t i = 0; i < claimed->n; i++)
        n += 1 + claimed->list[i].item->aliases_n;
    known->list = mem_new((n + 1) * sizeof *known->list);
    for (size_t i = 0; i < c->own_n; i++)
        known->list[known->n++] = c->own[i];
    for (size_t i = 0; i < claimed->n; i++) {
        known->list[known->n++] = claimed->list[i].name;
        for (size_t j = 0; j < claimed->list[i].item->aliases_n; j++)
            known->list[known->n++] = claimed->list[i].item->aliases[j];
    }
    if (known->n > 0)
        qsort(known->list, known->n, sizeof *known->list, by_text);
}

static bool is_known(const struct known *known, const char *name)
{
    return known->n > 0 && bsearch(&name, known->list, known->n, sizeof *known->list, by_text) != NULL;
}

static void find_entries(const struct claims *c, struct entries *entries)
{
    struct known known = { 0 };

    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->now.n; i++)
            if (a->now.list[i].name && !a->now.list[i].why[0])
                add_entry(entries, &(struct entry){ a->now.list[i].name, a, &a->now.list[i] });
    list_known(c, entries, &known);
    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->patterns_n; i++)
            if (!is_known(&known, a->patterns[i]))
                add_entry(entries, &(struct entry){ a->patterns[i], a, NULL });
    free(known.list);
}

/* Of one name, whoever had it first comes first. */
static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order != 0)
        return order;
    if (x->item && y->item)
        return (x->item->since > y->item->since) - (x->item->since < y->item->since);
    return strcmp(x->agent->name, y->agent->name);
}

/* ---- one site ---- */

static void fill_agent(struct claims_agent *agent, const struct entry *from)
{
    const struct item *it = from->item;

    *agent = (struct claims_agent){ .name = from->agent->name, .item = it };
    if (!it)
        return;
    agent->aliases = (const char *const *)it->aliases;
    agent->aliases_n = it->aliases_n;
    agent->policy = it->policy;
    agent->priority = it->share == POLICY_STANDBY ? it->priority : 0;
    agent->claimed = !from->agent->remembered;
    agent->remembered = from->agent->remembered;
}

static bool has_text(const char *const *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

static void join_aliases(struct claims *c, struct claims_site *site)
{
    const char **all;
    size_t most = 0;

    for (size_t i = 0; i < site->agents_n; i++)
        most += site->agents[i].aliases_n;
    all = arena_get(&c->listed, most * sizeof *all + 1);
    for (size_t i = 0; i < site->agents_n; i++)
        for (size_t j = 0; j < site->agents[i].aliases_n; j++)
            if (!has_text(all, site->aliases_n, site->agents[i].aliases[j]))
                all[site->aliases_n++] = site->agents[i].aliases[j];
    site->aliases = all;
}

static bool has_route(const json_t *policy, const char *path)
{
    const json_t *routes = json_object_get(policy, "routes");

    for (size_t i = 0; i < json_array_size(routes); i++)
        if (strcmp(json_string_value(json_array_get(routes, i)), path) == 0)
            return true;
    return false;
}

/* Where all agents have a service of its own for a path, any of them can be asked for it. */
static json_t *common_routes(const struct claims_site *site)
{
    const json_t *routes = json_object_get(site->agents[0].policy, "routes");
    json_t *common = json_array();

    for (size_t i = 0; i < json_array_size(routes); i++) {
        json_t *path = json_array_get(routes, i);
        size_t n = 1;

        while (n < site->agents_n && has_route(site->agents[n].policy, json_string_value(path)))
            n++;
        if (n == site->agents_n)
            json_array_append(common, path);
    }
    return common;
}

/* The policy of a name that is shared is that of the agent that had it first: it was in force when the others came, and
 * they asked to share what there was. A new reference. */
static json_t *join_policies(const struct claims_site *site)
{
    json_t *first = site->agents[0].policy, *policy;

    if (site->agents_n == 1 || !json_object_get(first, "routes"))
        return json_incref(first);
    policy = json_copy(first);
    json_object_set_new(policy, "routes", common_routes(site));
    return policy;
}

static void add_site(struct claims *c, const struct entry *from, size_t n)
{
    struct claims_agent *agents = arena_get(&c->listed, n * sizeof *agents);
    struct claims_site *site = &c->sites[c->sites_n++];

    for (size_t i = 0; i < n; i++)
        fill_agent(&agents[i], &from[i]);
    *site = (struct claims_site){ .name = from->name,
                                  .agents = agents,
                                  .agents_n = n,
                                  .claimed = from->item && !from->agent->remembered,
                                  .remembered = from->item && from->agent->remembered };
    for (size_t i = 0; i < n; i++)
        site->claimed = site->claimed || agents[i].claimed;
    site->remembered = site->remembered && !site->claimed;
    if (!from->item)
        return;
    join_aliases(c, site);
    site->policy = join_policies(site);
}

void sites_list(struct claims *c)
{
    struct entries entries = { 0 };
    size_t n;

    sites_free(c);
    find_entries(c, &entries);
    if (entries.n > 0)
        qsort(entries.list, entries.n, sizeof *entries.list, by_name);
    c->sites = mem_new((entries.n + 1) * sizeof *c->sites);
    for (size_t i = 0; i < entries.n; i += n) {
        for (n = 1; i + n < entries.n && strcmp(entries.list[i].name, entries.list[i + n].name) == 0; n++)
            continue;
        add_site(c, &entries.list[i], n);
    }
    free(entries.list);
}

void sites_free(struct claims *c)
{
    for (size_t i = 0; i < c->sites_n; i++)
        json_decref(c->sites[i].policy);
    free(c->sites);
    c->sites = NULL;
    c->sites_n = 0;
    arena_free(&c->listed);
}

/* ---- how its services are doing ---- */

static const char *const own_service = "";

/* Any that is well can be asked, so the site is; otherwise what was said last says most. */
static struct said service_of(const struct claims_site *site)
{
    struct said found = { .state = LANE_SERVICE_UNKNOWN };

    for (size_t i = 0; i < site->agents_n; i++) {
        const struct item *it = site->agents[i].item;

        for (size_t j = 0; it && j < it->said_n; j++) {
            if (strcmp(it->said[j].route, own_service) != 0)
                continue;
            found = it->said[j];
            if (found.state == LANE_SERVICE_OK)
                return found;
        }
    }
    return found;
}

bool claims_site(const struct claims *c, size_t i, struct claims_site *site)
{
    struct said said;

    if (i >= c->sites_n)
        return false;
    *site = c->sites[i];
    said = service_of(site);
    site->service = said.state;
    site->service_since_s = said.since_s;
    return true;
}

bool claims_down(const struct claims_agent *agent, const char *boot, size_t i, const char **route,
                 enum lane_service *how)
{
    const struct item *it = agent->item;

    for (size_t j = 0; it && j < it->said_n; j++) {
        const struct said *said = &it->said[j];

        if (strcmp(said->boot, boot) != 0 || said->state == LANE_SERVICE_OK ||
            said->state == LANE_SERVICE_UNKNOWN || i-- > 0)
            continue;
        *route = said->route;
        *how = said->state;
        return true;
    }
    return false;
}
