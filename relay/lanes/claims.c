#include "relay/lanes/claims.h"

#include "shared/arena.h"
#include "shared/domain.h"
#include "shared/mem.h"
#include "shared/policy.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one agent may make us keep: of each site that it may have, and of some that are too many, so that it is told. */
enum { SPARE_ITEMS = LANE_ITEMS, ITEM_BYTES = 1024, PIECE_BYTES = 32 /* of memory, beside its text */ };
enum { POLICY_COST = 4 }; /* a JSON object takes some times as much memory as text */

struct item {
    char *item;       /* as it was claimed */
    const char *name; /* its part behind "domain:"; NULL: it is no domain */
    char **aliases;
    size_t aliases_n;
    json_t *policy; /* NULL: nothing is asked for */
    enum lane_service service;
    char why[256];      /* "": accepted */
    int turn;           /* while all are checked */
    const char *before; /* likewise: what why was */
};

struct items {
    struct item *list;
    size_t n, bytes;
};

struct agent {
    struct agent *next;
    char name[33], boot[65];
    char **patterns;
    size_t patterns_n;
    int64_t max_domains;
    int64_t serial;                     /* of `now`, of this boot; 0: not yet */
    int64_t coming_serial, coming_part; /* of `coming`: the last part seen */
    struct items now, coming;
    bool untold;     /* its answers are others than those it has been told */
    bool kept;       /* while following a configuration */
    bool remembered; /* `now` is from before this relay was started */
};

struct claims {
    struct agent *agents;
    char **own; /* names of the sites that relay.ini gives an upstream, and their aliases */
    size_t own_n;
    struct claims_site *sites; /* sorted by name; texts belong to the agents */
    size_t sites_n;
    struct lane_answer *answers;
};

/* ---- memory ---- */

static void items_free(struct items *items)
{
    for (size_t i = 0; i < items->n; i++) {
        for (size_t j = 0; j < items->list[i].aliases_n; j++)
            free(items->list[i].aliases[j]);
        free(items->list[i].aliases);
        json_decref(items->list[i].policy);
        free(items->list[i].item);
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

static void free_own(struct claims *c)
{
    for (size_t i = 0; i < c->own_n; i++)
        free(c->own[i]);
    free(c->own);
    c->own = NULL;
    c->own_n = 0;
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
    return mem_new(sizeof(struct claims));
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
    free_own(c);
    free(c->sites);
    free(c->answers);
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

static bool is_own(const struct claims *c, const char *name)
{
    for (size_t i = 0; i < c->own_n; i++)
        if (strcmp(c->own[i], name) == 0)
            return true;
    return false;
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
                                                   it->aliases_n, it->policy, !a->remembered, a->remembered,
                                                   it->service });
        }
    for (const struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->patterns_n; i++)
            if (!find_site(c, a->patterns[i]) && !is_alias(c, a->patterns[i]) && !is_own(c, a->patterns[i]))
                add_site(c, &(struct claims_site){ .name = a->patterns[i], .agent = a->name });
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

static bool check_name(const struct claims *c, const struct agent *a, struct item *it, const char *name)
{
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
    if (is_own(c, name))
        snprintf(it->why, sizeof it->why, "%.100s has an upstream in the relay's own [domain], which wins",
                 name);
    return !it->why[0];
}

static void check_policy(struct item *it)
{
    struct arena texts = { 0 };
    struct policy policy;
    struct err why = { 0 };

    policy_defaults(&policy, 0);
    if (policy_lay(&policy, it->policy, &texts, &why) != 0)
        snprintf(it->why, sizeof it->why, "%.255s", why.text);
    arena_free(&texts);
}

/* Whether it would be accepted if no name were taken. */
static void check_item(const struct claims *c, const struct agent *a, struct item *it)
{
    it->why[0] = 0;
    if (it - a->now.list >= a->max_domains)
        snprintf(
            it->why, sizeof it->why,
            "this is more than the %lld sites that agent %s may have: raise max_domains in the relay's [agent %s]",
            (long long)a->max_domains, a->name, a->name);
    else if (!it->name)
        snprintf(it->why, sizeof it->why, "%.100s is not domain:NAME, which is all that this relay serves",
                 it->item);
    else if (check_name(c, a, it, it->name))
        for (size_t i = 0; i < it->aliases_n && check_name(c, a, it, it->aliases[i]); i++)
            ;
    if (!it->why[0])
        check_policy(it);
}

/* ---- who gets a name that several claim ---- */

struct taken {
    const char *name;
    const struct agent *by;
};

struct names { /* an agent chooses how many: they lie in a tree */
    void *tree;
    struct arena memory;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct taken *)a)->name, ((const struct taken *)b)->name);
}

/* Name number i of an item: its own comes first. */
static const char *name_of(const struct item *it, size_t i)
{
    return i == 0 ? it->name : it->aliases[i - 1];
}

static const struct agent *holder(const struct names *names, const char *name)
{
    const struct taken key = { name, NULL };
    struct taken *const *found = tfind(&key, &names->tree, by_text);

    return found ? (*found)->by : NULL;
}

static void admit(struct names *names, const struct agent *a, struct item *it)
{
    for (size_t i = 0; i <= it->aliases_n; i++) {
        const struct agent *other = holder(names, name_of(it, i));

        if (!other)
            continue;
        if (other == a)
            snprintf(it->why, sizeof it->why, "%.100s is claimed twice", name_of(it, i));
        else
            snprintf(it->why, sizeof it->why, "%.100s is served by agent %s already", name_of(it, i),
                     other->name);
        return;
    }
    for (size_t i = 0; i <= it->aliases_n; i++) {
        struct taken *taken = arena_get(&names->memory, sizeof *taken);

        *taken = (struct taken){ name_of(it, i), a };
        if (!tsearch(taken, &names->tree, by_text))
            abort(); /* out of memory */
    }
}

static void keep(void *taken)
{
    (void)taken; /* the arena's */
}

/* Who has a name keeps it. Then comes who claims just now (NULL: nobody), then whoever has waited for a name. */
static void check_all(struct claims *c, const struct agent *claimer)
{
    struct names names = { 0 };

    arena_init(&names.memory, 0);
    for (struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->now.n; i++) {
            struct item *it = &a->now.list[i];

            it->turn = a == claimer ? 1 : it->why[0] ? 2 : 0;
            it->before = arena_copy(&names.memory, it->why);
            check_item(c, a, it);
        }
    for (int turn = 0; turn <= 2; turn++)
        for (struct agent *a = c->agents; a; a = a->next)
            for (size_t i = 0; i < a->now.n; i++)
                if (a->now.list[i].turn == turn && !a->now.list[i].why[0])
                    admit(&names, a, &a->now.list[i]);
    for (struct agent *a = c->agents; a; a = a->next)
        for (size_t i = 0; i < a->now.n; i++)
            a->untold = a->untold || strcmp(a->now.list[i].why, a->now.list[i].before) != 0;
    tdestroy(names.tree, keep);
    arena_free(&names.memory);
}

/* ---- the roster ---- */

static void set_patterns(struct agent *a, const struct opt_words *domains)
{
    free_patterns(a);
    a->patterns = mem_new((domains->n + 1) * sizeof(char *));
    for (size_t i = 0; i < domains->n; i++)
        a->patterns[a->patterns_n++] = mem_copy(domains->words[i]);
}

static void add_own(struct claims *c, const char *name)
{
    c->own = mem_grow(c->own, (c->own_n + 1) * sizeof(char *));
    c->own[c->own_n++] = mem_copy(name);
}

static void follow_own(struct claims *c, const struct opt_conf *conf)
{
    const struct relay_domain_conf *d;
    const char *name;

    free_own(c);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++) {
        if (!d->upstream[0])
            continue;
        add_own(c, name);
        for (size_t j = 0; j < d->aliases.n; j++)
            add_own(c, d->aliases.words[j]);
    }
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

void claims_follow(struct claims *c, const struct opt_conf *conf, const struct roster *roster)
{
    for (struct agent *a = c->agents; a; a = a->next)
        a->kept = false;
    for (size_t i = 0; i < roster->n; i++) {
        const struct roster_agent *wanted = &roster->list[i];
        struct agent *a = find_agent(c, wanted->name);

        if (!a) {
            a = mem_new(sizeof *a);
            snprintf(a->name, sizeof a->name, "%s", wanted->name);
            a->next = c->agents;
            c->agents = a;
        }
        a->kept = true;
        set_patterns(a, &wanted->domains);
        a->max_domains = wanted->max_domains;
    }
    drop_gone(c);
    follow_own(c, conf);
    check_all(c, NULL);
    list_sites(c);
}

bool claims_knows(const struct claims *c, const char *agent)
{
    return find_agent(c, agent) != NULL;
}

/* ---- claims ---- */

static const char domain_prefix[] = "domain:";

static void add_item(struct items *items, const struct lane_item *from)
{
    bool is_domain = strncmp(from->item, domain_prefix, sizeof domain_prefix - 1) == 0;
    struct item *it;

    items->list = mem_grow(items->list, (items->n + 1) * sizeof *items->list);
    it = &items->list[items->n++];
    *it = (struct item){ .item = mem_copy(from->item) };
    it->name = is_domain ? it->item + sizeof domain_prefix - 1 : NULL;
    it->aliases = mem_new((from->aliases_n + 1) * sizeof(char *));
    items->bytes += sizeof *it + strlen(from->item) + PIECE_BYTES + PIECE_BYTES;
    for (size_t i = 0; i < from->aliases_n; i++) {
        it->aliases[it->aliases_n++] = mem_copy(from->aliases[i]);
        items->bytes += sizeof(char *) + strlen(from->aliases[i]) + PIECE_BYTES;
    }
    it->policy = json_incref(from->policy);
    items->bytes += POLICY_COST * policy_json_bytes(from->policy);
}

static void make_answer(struct claims *c, const struct agent *a, int64_t serial, struct lane_msg *answer)
{
    c->answers = mem_grow(c->answers, (a->now.n + 1) * sizeof *c->answers);
    for (size_t i = 0; i < a->now.n; i++) {
        const struct item *it = &a->now.list[i];

        c->answers[i] = (struct lane_answer){ it->item, !it->why[0], it->why };
    }
    *answer = (struct lane_msg){ .type = LANE_CLAIMED,
                                 .v = LANE_VERSION,
                                 .claimed = { serial, c->answers, a->now.n } };
}

/* A boot counts its serials anew. */
static void follow_boot(struct agent *a, const char *boot)
{
    if (strcmp(a->boot, boot) == 0)
        return;
    snprintf(a->boot, sizeof a->boot, "%s", boot);
    a->serial = a->coming_serial = 0;
}

/* Each lane sends the whole claim, and an equal serial is the same claim: its next part is welcome from any of them.
 * False when this one is not it: seen already, or overtaken by a newer claim on another lane. */
static bool begin_part(struct agent *a, const struct lane_msg *part)
{
    int64_t serial = part->claim.serial;

    if (serial > a->coming_serial) {
        items_free(&a->coming);
        a->coming_serial = serial;
        a->coming_part = 0;
    }
    if (serial < a->coming_serial || part->claim.part != a->coming_part + 1)
        return false;
    a->coming_part++;
    return true;
}

static size_t most_items(const struct agent *a)
{
    return (size_t)a->max_domains + SPARE_ITEMS;
}

static bool holds_too_much(const struct agent *a, const struct items *items)
{
    return items->n > most_items(a) || items->bytes > most_items(a) * ITEM_BYTES;
}

static int add_part(struct agent *a, const struct lane_msg *part, struct err *e)
{
    size_t most = most_items(a);

    for (size_t i = 0; i < part->claim.n && !holds_too_much(a, &a->coming); i++)
        add_item(&a->coming, &part->claim.items[i]);
    if (!holds_too_much(a, &a->coming))
        return 0;
    items_free(&a->coming);
    a->coming_part = 0;
    return err_set(
        e, ERR_LIMIT,
        "a claim of more than %zu sites or %zu KiB: claim fewer, or raise max_domains in the relay's [agent %s]",
        most, most * ITEM_BYTES / 1024, a->name);
}

static void enforce(struct claims *c, struct agent *a)
{
    a->serial = a->coming_serial;
    items_free(&a->now);
    a->now = a->coming;
    a->coming = (struct items){ 0 };
    a->remembered = false;
    check_all(c, a);
    list_sites(c);
}

int claims_take(struct claims *c, const char *agent, const char *boot, const struct lane_msg *part,
                struct lane_msg *answer, struct err *e)
{
    struct agent *a = find_agent(c, agent);

    *answer = (struct lane_msg){ .type = LANE_UNKNOWN };
    if (!a)
        return 0;
    follow_boot(a, boot);
    if (part->claim.serial != a->serial) {
        if (!begin_part(a, part))
            return 0;
        if (add_part(a, part, e) != 0)
            return -1;
        if (part->claim.last)
            enforce(c, a);
    }
    if (part->claim.last) {
        make_answer(c, a, a->serial, answer);
        a->untold = false;
    }
    return 0;
}

bool claims_untold(struct claims *c, const char **agent, struct lane_msg *answer)
{
    for (struct agent *a = c->agents; a; a = a->next) {
        bool untold = a->untold;

        a->untold = false;
        if (!untold || a->serial == 0)
            continue; /* whoever has not claimed yet is answered when he does */
        *agent = a->name;
        make_answer(c, a, a->serial, answer);
        return true;
    }
    return false;
}

bool claims_echo(struct claims *c, const char *agent, const struct lane_msg *part, struct lane_msg *answer)
{
    const struct agent *a = find_agent(c, agent);

    if (!a || !part->claim.last)
        return false;
    make_answer(c, a, part->claim.serial, answer);
    return true;
}

/* ---- from before ---- */

void claims_remember(struct claims *c, const char *agent, const char *name, const struct lane_item *item)
{
    struct agent *a = find_agent(c, agent);
    char *text;

    if (!a || a->serial != 0 || holds_too_much(a, &a->now))
        return;
    a->remembered = true;
    text = mem_format("%s%s", domain_prefix, name);
    add_item(&a->now, &(struct lane_item){ text, item->aliases, item->aliases_n, item->policy });
    free(text);
}

void claims_remembered(struct claims *c)
{
    check_all(c, NULL);
    list_sites(c);
}

/* It is news that may come often. */
static void note_site(struct claims *c, const struct agent *a, const struct item *it)
{
    const struct claims_site wanted = { .name = it->name };
    struct claims_site *site = NULL;

    if (!it->why[0] && c->sites_n > 0)
        site = bsearch(&wanted, c->sites, c->sites_n, sizeof *c->sites, by_name);
    if (site && strcmp(site->agent, a->name) == 0)
        site->service = it->service;
}

bool claims_note_service(struct claims *c, const char *agent, const struct lane_msg *said)
{
    const struct agent *a = find_agent(c, agent);

    for (size_t i = 0; a && !said->service.route[0] && i < a->now.n; i++) {
        struct item *it = &a->now.list[i];

        if (strcmp(it->item, said->service.item) != 0 || it->service == said->service.state)
            continue;
        it->service = said->service.state;
        note_site(c, a, it);
        return true;
    }
    return false;
}
