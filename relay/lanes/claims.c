#include "relay/lanes/claims.h"

#include "shared/domain.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 1000 };

struct item {
    char *name; /* without "domain:" */
    char **aliases;
    size_t aliases_n;
    char why[256]; /* "": accepted */
};

struct items {
    struct item *list;
    size_t n;
};

struct agent {
    struct agent *next;
    char name[33], boot[65];
    char **patterns;
    size_t patterns_n;
    int64_t serial, part; /* of `coming`: the last part seen */
    struct items now, coming;
    bool kept; /* while following a configuration */
};

struct claims {
    struct agent *agents;
    struct claims_site *sites; /* sorted by name; texts belong to the agents */
    size_t sites_n;
    struct lane_answer *answers;
    struct arena texts; /* of the answers */
};

/* ---- memory ---- */

static void items_free(struct items *items)
{
    for (size_t i = 0; i < items->n; i++) {
        for (size_t j = 0; j < items->list[i].aliases_n; j++)
            free(items->list[i].aliases[j]);
        free(items->list[i].aliases);
        free(items->list[i].name);
    }
    free(items->list);
    *items = (struct items){ 0 };
}

static void free_patterns(struct agent *a)
{
    for (size_t i = 0; i < a->patterns_n; i++)
        free(a->patterns[i]);
    free(a->patterns);
    a->patterns = NULL;
    a->patterns_n = 0;
}

static void agent_free(struct agent *a)
{
    items_free(&a->now);
    items_free(&a->coming);
    free_patterns(a);
    free(a);
}

struct claims *claims_new(void)
{
    struct claims *c = mem_new(sizeof *c);

    arena_init(&c->texts, 0);
    return c;
}

void claims_free(struct claims *c)
{
    if (!c)
        return;
    while (c->agents) {
        struct agent *a = c->agents;

        c->agents = a->next;
        agent_free(a);
    }
    free(c->sites);
    free(c->answers);
    arena_free(&c->texts);
    free(c);
}

static struct agent *find_agent(const struct claims *c, const char *name)
{
    struct agent *a = c->agents;

    while (a && strcmp(a->name, name) != 0)
        a = a->next;
    return a;
}

/* ---- which sites there are ---- */

static struct claims_site *find_site(const struct claims *c, const char *name)
{
    for (size_t i = 0; i < c->sites_n; i++)
        if (strcmp(c->sites[i].name, name) == 0)
            return &c->sites[i];
    return NULL;
}

static void add_site(struct claims *c, const struct claims_site *site)
{
    c->sites = mem_grow(c->sites, (c->sites_n + 1) * sizeof *c->sites);
    c->sites[c->sites_n++] = *site;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct claims_site *)a)->name, ((const struct claims_site *)b)->name);
}

static bool is_alias(const struct claims *c, const char *name)
{
    for (size_t i = 0; i < c->sites_n; i++)
        for (size_t j = 0; j < c->sites[i].aliases_n; j++)
            if (strcmp(c->sites[i].aliases[j], name) == 0)
                return true;
    return false;
}

/* Claimed sites first; then those that only the configuration names, so that their visitors wait instead of being
 * told that there is no such site. */
static void list_sites(struct claims *c)
{
    c->sites_n = 0;
    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->now.n; i++) {
            const struct item *it = &a->now.list[i];

            if (!it->why[0])
                add_site(c, &(struct claims_site){ it->name, a->name, (const char *const *)it->aliases,
                                                   it->aliases_n, true });
        }
    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->patterns_n; i++)
            if (!find_site(c, a->patterns[i]) && !is_alias(c, a->patterns[i]))
                add_site(c, &(struct claims_site){ a->patterns[i], a->name, NULL, 0, false });
    if (c->sites_n > 0)
        qsort(c->sites, c->sites_n, sizeof *c->sites, by_name);
}

bool claims_site(const struct claims *c, size_t i, struct claims_site *site)
{
    if (i >= c->sites_n)
        return false;
    *site = c->sites[i];
    return true;
}

/* ---- what an agent may have ---- */

static bool may_serve(const struct agent *a, const char *name)
{
    for (size_t i = 0; i < a->patterns_n; i++)
        if (strcmp(a->patterns[i], name) == 0 || domain_matches(a->patterns[i], name))
            return true;
    return false;
}

/* The other agent that has this name already, as a site or as an alias of one. */
static const struct agent *other_holder(const struct claims *c, const struct agent *self, const char *name)
{
    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; a != self && i < a->now.n; i++) {
            const struct item *it = &a->now.list[i];

            if (it->why[0])
                continue;
            if (strcmp(it->name, name) == 0)
                return a;
            for (size_t j = 0; j < it->aliases_n; j++)
                if (strcmp(it->aliases[j], name) == 0)
                    return a;
        }
    return NULL;
}

static bool check_name(const struct claims *c, const struct agent *a, struct item *it, const char *name)
{
    const struct agent *other;
    struct err why = { 0 };

    if (domain_check(name, DOMAIN_WILDCARD, &why) != 0) {
        snprintf(it->why, sizeof it->why, "%.255s", why.text);
        return false;
    }
    if (!may_serve(a, name)) {
        snprintf(it->why, sizeof it->why,
                 "agent %s may not serve %.100s: add it to domains in the relay's [agent %s]", a->name, name,
                 a->name);
        return false;
    }
    other = other_holder(c, a, name);
    if (other)
        snprintf(it->why, sizeof it->why, "%.100s is served by agent %s already", name, other->name);
    return !other;
}

static void check_item(const struct claims *c, const struct agent *a, struct item *it)
{
    it->why[0] = 0;
    if (!check_name(c, a, it, it->name))
        return;
    for (size_t i = 0; i < it->aliases_n; i++)
        if (!check_name(c, a, it, it->aliases[i]))
            return;
}

static void check_all(struct claims *c, struct agent *a)
{
    for (size_t i = 0; i < a->now.n; i++)
        check_item(c, a, &a->now.list[i]);
}

/* ---- the configuration ---- */

static void set_patterns(struct agent *a, const struct opt_words *domains)
{
    free_patterns(a);
    a->patterns = mem_new((domains->n + 1) * sizeof(char *));
    for (size_t i = 0; i < domains->n; i++)
        a->patterns[a->patterns_n++] = mem_copy(domains->words[i]);
}

static void drop_gone(struct claims *c)
{
    for (struct agent **at = &c->agents; *at;) {
        struct agent *a = *at;

        if (a->kept) {
            at = &a->next;
        } else {
            *at = a->next;
            agent_free(a);
        }
    }
}

void claims_follow(struct claims *c, const struct opt_conf *conf)
{
    const struct relay_agent_conf *wanted;
    const char *name;

    for (struct agent *a = c->agents; a; a = a->next)
        a->kept = false;
    for (size_t i = 0; (wanted = opt_section(conf, "agent", i, &name)); i++) {
        struct agent *a = find_agent(c, name);

        if (!a) {
            a = mem_new(sizeof *a);
            snprintf(a->name, sizeof a->name, "%s", name);
            a->next = c->agents;
            c->agents = a;
        }
        a->kept = true;
        set_patterns(a, &wanted->domains);
    }
    drop_gone(c);
    for (struct agent *a = c->agents; a; a = a->next)
        check_all(c, a);
    list_sites(c);
}

bool claims_knows(const struct claims *c, const char *agent)
{
    return find_agent(c, agent) != NULL;
}

/* ---- claims ---- */

static void add_item(struct items *items, const struct lane_item *from)
{
    static const char prefix[] = "domain:";
    bool is_domain = strncmp(from->item, prefix, sizeof prefix - 1) == 0;
    struct item *it;

    items->list = mem_grow(items->list, (items->n + 1) * sizeof *items->list);
    it = &items->list[items->n++];
    *it = (struct item){ .name = mem_copy(is_domain ? from->item + sizeof prefix - 1 : from->item) };
    it->aliases = mem_new((from->aliases_n + 1) * sizeof(char *));
    for (size_t i = 0; i < from->aliases_n; i++)
        it->aliases[it->aliases_n++] = mem_copy(from->aliases[i]);
}

static void make_answer(struct claims *c, const struct agent *a, struct lane_msg *answer)
{
    arena_free(&c->texts);
    c->answers = mem_grow(c->answers, (a->now.n + 1) * sizeof *c->answers);
    for (size_t i = 0; i < a->now.n; i++) {
        const struct item *it = &a->now.list[i];
        char text[DOMAIN_BYTES + 8];

        snprintf(text, sizeof text, "domain:%s", it->name);
        c->answers[i] = (struct lane_answer){ arena_copy(&c->texts, text), !it->why[0], it->why };
    }
    *answer = (struct lane_msg){ .type = LANE_CLAIMED,
                                 .v = LANE_VERSION,
                                 .claimed = { a->serial, c->answers, a->now.n } };
}

/* False when this part cannot be the next one of a claim that is to come into force. */
static bool begin_part(struct agent *a, const char *boot, const struct lane_msg *part)
{
    if (strcmp(a->boot, boot) != 0) {
        snprintf(a->boot, sizeof a->boot, "%s", boot);
        a->serial = 0;
    }
    if (part->claim.serial < a->serial)
        return false; /* overtaken by a newer one on another lane */
    if (part->claim.part == 1) {
        items_free(&a->coming);
        a->part = 0;
    }
    if (part->claim.part != a->part + 1 || a->coming.n + part->claim.n > MAX_ITEMS)
        return false;
    a->part = part->claim.part;
    return true;
}

bool claims_take(struct claims *c, const char *agent, const char *boot, const struct lane_msg *part,
                 struct lane_msg *answer)
{
    struct agent *a = find_agent(c, agent);

    if (!a || !begin_part(a, boot, part))
        return false;
    for (size_t i = 0; i < part->claim.n; i++)
        add_item(&a->coming, &part->claim.items[i]);
    if (!part->claim.last)
        return false;
    a->serial = part->claim.serial;
    items_free(&a->now);
    a->now = a->coming;
    a->coming = (struct items){ 0 };
    a->part = 0;
    check_all(c, a);
    list_sites(c);
    make_answer(c, a, answer);
    return true;
}
