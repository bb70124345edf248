#include "relay/lanes/fixed.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* Lanes of agents are counted from 1 on and never come as far. */
static const uint64_t FIRST_ID = UINT64_C(1) << 63;

struct fixed_site {
    char *name, *path; /* path "": the whole site */
    char *text;        /* the address, as it is written */
    char **aliases;
    size_t aliases_n;
    struct host_port upstream;
    uint64_t id;
    struct counts *counts;
};

struct fixed {
    struct fixed_site *list;
    size_t n;
    uint64_t next_id;
};

static void free_aliases(struct fixed_site *site)
{
    for (size_t i = 0; i < site->aliases_n; i++)
        free(site->aliases[i]);
    free(site->aliases);
}

static void free_list(struct fixed_site *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].path);
        free(list[i].text);
        free_aliases(&list[i]);
        counts_release(list[i].counts);
    }
    free(list);
}

static void fill(struct fixed *f, struct fixed_site *site, const char *name, const char *path,
                 const char *text)
{
    *site = (struct fixed_site){ .name = mem_copy(name), .path = mem_copy(path), .text = mem_copy(text) };
    if (relay_upstream(&site->upstream, text, NULL) != 0)
        abort(); /* the configuration was checked */
    site->id = f->next_id++;
    site->counts = counts_new();
}

static void fill_aliases(struct fixed_site *site, const struct opt_words *aliases)
{
    site->aliases = mem_new((aliases->n + 1) * sizeof(char *));
    for (size_t i = 0; i < aliases->n; i++)
        site->aliases[site->aliases_n++] = mem_copy(aliases->words[i]);
}

/* The same address keeps its lane, and with it the connections that are open. */
static void keep_lane(struct fixed_site *site, struct fixed_site *old)
{
    struct counts *counts = site->counts;

    if (strcmp(site->name, old->name) != 0 || strcmp(site->path, old->path) != 0)
        return;
    if (strcmp(site->text, old->text) != 0)
        return;
    site->id = old->id;
    site->counts = old->counts;
    old->counts = counts; /* which goes with the old list */
}

static struct fixed_site *add(struct fixed *f)
{
    f->list = mem_grow(f->list, (f->n + 1) * sizeof *f->list);
    return &f->list[f->n++];
}

static void add_domain(struct fixed *f, const char *name, const struct relay_domain_conf *domain)
{
    struct fixed_site *site;

    if (domain->upstream[0]) {
        site = add(f);
        fill(f, site, name, "", domain->upstream);
        fill_aliases(site, &domain->aliases);
    }
    for (size_t i = 0; i < domain->routes.n; i++)
        fill(f, add(f), name, domain->routes.list[i].name, domain->routes.list[i].value);
}

void fixed_reload(struct fixed *f, const struct opt_conf *conf)
{
    struct fixed_site *old = f->list;
    size_t old_n = f->n;
    const struct relay_domain_conf *domain;
    const char *name;

    f->list = NULL;
    f->n = 0;
    for (size_t i = 0; (domain = opt_section(conf, "domain", i, &name)); i++)
        add_domain(f, name, domain);
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < old_n; j++)
            keep_lane(&f->list[i], &old[j]);
    free_list(old, old_n);
}

struct fixed *fixed_new(const struct opt_conf *conf)
{
    struct fixed *f = mem_new(sizeof *f);

    f->next_id = FIRST_ID;
    fixed_reload(f, conf);
    return f;
}

void fixed_free(struct fixed *f)
{
    if (!f)
        return;
    free_list(f->list, f->n);
    free(f);
}

void fixed_each_site(const struct fixed *f, void (*each)(void *user, const struct lanes_site *site),
                     void *user)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->list[i].path[0])
            each(user, &(struct lanes_site){ f->list[i].name, (const char *const *)f->list[i].aliases,
                                             f->list[i].aliases_n, NULL, 0, false, NULL, "up" });
}

static bool is_first_of_routed(const struct fixed *f, size_t n)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fixed_site *other = &f->list[i];
        bool before = i < n;

        if (strcmp(other->name, f->list[n].name) == 0 && (before || !other->path[0]))
            return false;
    }
    return true;
}

void fixed_each_routed(const struct fixed *f, void (*each)(void *user, const struct lanes_site *site),
                       void *user)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].path[0] && is_first_of_routed(f, i))
            each(user, &(struct lanes_site){ .name = f->list[i].name });
}

void fixed_add_to_snapshot(const struct fixed *f, struct snapshot *s)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fixed_site *site = &f->list[i];

        const struct snap_lane *lane = snapshot_add_plain(s, site->id, &site->upstream, site->counts);

        if (site->path[0])
            snapshot_add_route(s, site->name, site->path, lane);
        else
            snapshot_add_site_lane(s, site->name, lane, 0, NULL);
    }
}

json_t *fixed_site_status(const struct fixed *f, const char *name)
{
    const struct fixed_site *site = NULL;
    json_t *aliases;

    for (size_t i = 0; i < f->n && !site; i++)
        site = strcmp(f->list[i].name, name) == 0 && !f->list[i].path[0] ? &f->list[i] : NULL;
    if (!site)
        return NULL;
    aliases = json_array();
    for (size_t i = 0; i < site->aliases_n; i++)
        json_array_append_new(aliases, json_string(site->aliases[i]));
    return json_pack("{s:s, s:o, s:[], s:s}", "name", name, "aliases", aliases, "agents", "upstream",
                     site->text);
}
