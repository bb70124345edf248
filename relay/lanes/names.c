/* Who gets a name that several agents claim. It is one agent's, unless all their claims and the relay say that they
 * share it: then they have a site in common, with all its names. */
#include "relay/lanes/claims_parts.h"
#include "shared/domain.h"
#include "shared/holders.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the relay's own configuration says ---- */

void names_free(struct claims *c)
{
    for (size_t i = 0; i < c->own_n; i++)
        free(c->own[i]);
    for (size_t i = 0; i < c->rules_n; i++)
        free(c->rules[i].name);
    free(c->own);
    free(c->rules);
    c->own = NULL;
    c->rules = NULL;
    c->own_n = c->rules_n = 0;
}

static void add_own(struct claims *c, const char *name)
{
    c->own = mem_grow(c->own, (c->own_n + 1) * sizeof(char *));
    c->own[c->own_n++] = mem_copy(name);
}

void names_follow(struct claims *c, const struct opt_conf *conf)
{
    const struct relay_domain_conf *d;
    const char *name;

    names_free(c);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++) {
        c->rules = mem_grow(c->rules, (c->rules_n + 1) * sizeof *c->rules);
        c->rules[c->rules_n++] = (struct rule){ mem_copy(name), d->policy.share, d->policy.priority };
        if (!d->upstream[0])
            continue;
        add_own(c, name);
        for (size_t j = 0; j < d->aliases.n; j++)
            add_own(c, d->aliases.words[j]);
    }
}

bool names_is_own(const struct claims *c, const char *name)
{
    for (size_t i = 0; i < c->own_n; i++)
        if (strcmp(c->own[i], name) == 0)
            return true;
    return false;
}

static const struct rule *find_rule(const struct claims *c, const char *name)
{
    for (size_t i = 0; i < c->rules_n; i++)
        if (strcmp(c->rules[i].name, name) == 0)
            return &c->rules[i];
    return NULL;
}

/* ---- what an agent may have ---- */

static bool may_serve(const struct agent *a, const char *name)
{
    for (size_t i = 0; i < a->patterns_n; i++)
        if (strcmp(a->patterns[i], name) == 0 || domain_matches(a->patterns[i], name))
            return true;
    return false;
}

static bool check_name(const struct claims *c, const struct agent *a, struct item *it, const char *name)
{
    struct err why = { 0 };

    if (domain_check(name, DOMAIN_SITE, &why) != 0) {
        snprintf(it->why, sizeof it->why, "%.255s", why.text);
        return false;
    }
    if (!may_serve(a, name)) {
        snprintf(it->why, sizeof it->why,
                 "agent %s may not serve %.100s: add it to domains in the relay's [agent %s]", a->name, name,
                 a->name);
        return false;
    }
    if (names_is_own(c, name))
        snprintf(it->why, sizeof it->why, "%.100s has an upstream in the relay's own [domain], which wins",
                 name);
    return !it->why[0];
}

static void check_policy(const struct claims *c, struct item *it)
{
    const struct rule *rule = find_rule(c, it->name);
    struct arena texts = { 0 };
    struct policy policy;
    struct err why = { 0 };

    policy_defaults(&policy, 0);
    if (policy_lay(&policy, it->policy, &texts, &why) != 0)
        snprintf(it->why, sizeof it->why, "%.255s", why.text);
    it->share = rule && rule->share >= 0 ? (enum policy_share)rule->share : policy.share;
    it->priority = rule && rule->priority >= 0 ? rule->priority : policy.priority;
    arena_free(&texts);
}

/* Whether it would be accepted if no name were taken. */
static void check_item(const struct claims *c, const struct agent *a, struct item *it)
{
    it->why[0] = 0;
    if (it->tcp) {
        ports_check(a, it);
        return;
    }
    if (it - a->now.list >= a->max_domains)
        snprintf(
            it->why, sizeof it->why,
            "this is more than the %lld sites that agent %s may have: raise max_domains in the relay's [agent %s]",
            (long long)a->max_domains, a->name, a->name);
    else if (!it->name)
        snprintf(it->why, sizeof it->why,
                 "%.100s is neither domain:NAME nor tcp:NAME, which is all that this relay serves", it->item);
    else if (check_name(c, a, it, it->name))
        for (size_t i = 0; i < it->aliases_n && check_name(c, a, it, it->aliases[i]); i++)
            ;
    if (!it->why[0])
        check_policy(c, it);
}

/* ---- who has a name ---- */

struct names {
    const struct claims *claims;
    struct holders by; /* struct item: the first of those that share the name */
};

/* Name number i of an item: its own comes first. */
static const char *name_of(const struct item *it, size_t i)
{
    return i == 0 ? it->name : it->aliases[i - 1];
}

static struct item *holder(const struct names *names, const char *name)
{
    return holders_of(&names->by, str_of(name));
}

static void refuse_taken(struct item *it, const char *name, const struct item *by)
{
    if (by->agent == it->agent)
        snprintf(it->why, sizeof it->why, "%.100s is claimed twice", name);
    else if (strcmp(by->name, name) == 0)
        snprintf(it->why, sizeof it->why, "%.100s is served by agent %s already, as a site of its own", name,
                 by->agent->name);
    else
        snprintf(it->why, sizeof it->why, "%.100s is served by agent %s already, as an alias of %.60s", name,
                 by->agent->name, by->name);
}

static void refuse_to_share(const struct claims *c, struct item *it, const struct item *first)
{
    const struct rule *rule = find_rule(c, it->name);
    const char *other = first->agent->name;

    if (rule && rule->share == POLICY_ALONE)
        snprintf(it->why, sizeof it->why,
                 "%.100s is served by agent %s already, and the relay's own section of it has share = off",
                 it->name, other);
    else if (it->share == first->share)
        snprintf(it->why, sizeof it->why,
                 "%.100s is served by agent %s already; for both to serve it, write share = balance in each "
                 "one's section of it",
                 it->name, other);
    else
        snprintf(
            it->why, sizeof it->why,
            "%.100s is served by agent %s already, with share = %s, and this claim has share = %s: write "
            "the same in both",
            it->name, other, policy_share_words[first->share], policy_share_words[it->share]);
}

/* A visitor who comes by any name of the site is sent to any of its agents. */
static bool may_serve_all(struct item *it, const struct agent *a, const struct item *other)
{
    for (size_t i = 0; i <= other->aliases_n; i++) {
        const char *name = name_of(other, i);

        if (may_serve(a, name))
            continue;
        snprintf(it->why, sizeof it->why,
                 "agent %s may not serve %.60s, a name of this site at agent %s: add it to domains in the "
                 "relay's [agent %s]",
                 a->name, name, other->agent->name, a->name);
        return false;
    }
    return true;
}

static bool may_join(const struct claims *c, struct item *it, struct item *first)
{
    for (const struct item *member = first; member; member = member->with)
        if (member->agent == it->agent)
            refuse_taken(it, it->name, member);
    if (!it->why[0] && (it->share == POLICY_ALONE || it->share != first->share))
        refuse_to_share(c, it, first);
    for (const struct item *member = first; member && !it->why[0]; member = member->with)
        if (may_serve_all(it, it->agent, member))
            may_serve_all(it, member->agent, it);
    return !it->why[0];
}

static void join(struct item *first, struct item *it)
{
    while (first->with)
        first = first->with;
    first->with = it;
}

static void admit(struct names *names, struct item *it)
{
    struct item *first = holder(names, it->name);

    if (first && strcmp(first->name, it->name) != 0) {
        refuse_taken(it, it->name, first);
        return;
    }
    if (first && !may_join(names->claims, it, first))
        return;
    for (size_t i = 0; i < it->aliases_n; i++) {
        const struct item *other = holder(names, it->aliases[i]);

        if (other && other != first) {
            refuse_taken(it, it->aliases[i], other);
            return;
        }
    }
    if (first)
        join(first, it);
    for (size_t i = 0; i <= it->aliases_n; i++)
        holders_take(&names->by, str_of(name_of(it, i)), first ? first : it);
}

/* ---- all of them ---- */

static int by_turn(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

    if (x->turn != y->turn)
        return x->turn - y->turn;
    if (x->turn == 0 && x->since != y->since)
        return x->since < y->since ? -1 : 1;
    return x->agent == y->agent ? (x > y) - (x < y) : strcmp(x->agent->name, y->agent->name);
}

/* All items, and which of them come first. */
static struct item **line_up(struct claims *c, const struct agent *claimer, struct arena *memory, size_t *n)
{
    struct item **list;

    *n = 0;
    for (const struct agent *a = c->agents; a; a = a->next)
        *n += a->now.n;
    list = arena_get(memory, *n * sizeof *list + 1);
    *n = 0;
    for (struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->now.n; i++) {
            struct item *it = list[(*n)++] = &a->now.list[i];

            it->agent = a;
            it->turn = a == claimer ? 1 : it->why[0] ? 2 : 0;
            it->before = arena_copy(memory, it->why);
            it->with = NULL;
            check_item(c, a, it);
        }
    if (*n > 0)
        qsort(list, *n, sizeof *list, by_turn);
    return list;
}

void names_settle(struct claims *c, const struct agent *claimer)
{
    struct names names = { .claims = c };
    struct arena memory = { 0 };
    struct item **list;
    size_t n;

    c->lacks_ports = false;
    list = line_up(c, claimer, &memory, &n);
    for (size_t i = 0; i < n; i++) {
        struct item *it = list[i];

        if (!it->why[0] && it->tcp)
            ports_admit(c, list, i);
        else if (!it->why[0])
            admit(&names, it);
        it->since = it->why[0] ? 0 : it->since ? it->since : ++c->accepted;
        it->agent->untold = it->agent->untold || strcmp(it->why, it->before) != 0;
    }
    if (c->ports)
        c->ports->settled(c->ports->user);
    holders_free(&names.by);
    arena_free(&memory);
}
