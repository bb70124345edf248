#include "relay/certs/issuers.h"

#include "shared/arena.h"
#include "shared/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A conversation that several sets share. */
struct talk {
    atomic_int references;
    char *print;
    struct acme_ca *ca;
};

struct entry {
    struct issuer issuer;
    struct talk *real, *staging;
};

struct issuers {
    atomic_int references;
    struct arena arena;
    struct entry *list;
    size_t n;
};

/* ---- conversations ---- */

static char *print_of(const struct acme_conf *c)
{
    return mem_format("%s\n%s\n%s\n%s\n%s\n%s", c->name, c->directory, c->email, c->ca_file, c->eab_kid,
                      c->eab_key_file);
}

static struct talk *talk_hold(struct talk *t)
{
    atomic_fetch_add(&t->references, 1);
    return t;
}

static void talk_release(struct talk *t)
{
    if (!t || atomic_fetch_sub(&t->references, 1) != 1)
        return;
    acme_ca_free(t->ca);
    free(t->print);
    free(t);
}

/* The one of before, when nothing about it has changed: its account and its nonces are still good. */
static struct talk *talk_to(const struct acme_conf *conf, const struct issuers *before)
{
    char *print = print_of(conf);
    struct talk *t;

    for (size_t i = 0; before && i < before->n; i++) {
        struct talk *known[] = { before->list[i].real, before->list[i].staging };

        for (size_t j = 0; j < 2; j++)
            if (known[j] && strcmp(known[j]->print, print) == 0) {
                free(print);
                return talk_hold(known[j]);
            }
    }
    t = mem_new(sizeof *t);
    atomic_init(&t->references, 1);
    t->print = print;
    t->ca = acme_ca_new(conf);
    return t;
}

/* An account belongs to one directory, so each has a folder of its own; no section can be called NAME.staging. */
static struct talk *begin_talk(const char *name, const struct issuer_conf *c, const char *directory,
                               const char *state_dir, bool staging, const struct issuers *before)
{
    char *folder = mem_format("%s/acme/%s%s", state_dir, name, staging ? ".staging" : "");
    const struct acme_conf conf = { .name = name,
                                    .directory = directory,
                                    .email = c->email,
                                    .ca_file = c->ca_file,
                                    .eab_kid = c->eab_kid,
                                    .eab_key_file = c->eab_key_file,
                                    .folder = folder };
    struct talk *t = talk_to(&conf, before);

    free(folder);
    return t;
}

/* ---- the set ---- */

static struct opt_words copy_words(struct arena *arena, const struct opt_words *from)
{
    const char **words = arena_get(arena, from->n * sizeof *words + 1);

    for (size_t i = 0; i < from->n; i++)
        words[i] = arena_copy(arena, from->words[i]);
    return (struct opt_words){ from->n, words };
}

static const struct issuer_conf *copy_conf(struct arena *arena, const struct issuer_conf *from)
{
    struct issuer_conf *to = arena_get(arena, sizeof *to);
    const char **texts[] = { &to->directory,       &to->email,        &to->ca_file,
                             &to->eab_kid,         &to->eab_key_file, &to->profile,
                             &to->preferred_chain, &to->deploy_hook,  &to->dns };

    *to = *from;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = arena_copy(arena, *texts[i]);
    to->challenges = copy_words(arena, &from->challenges);
    to->key_types = copy_words(arena, &from->key_types);
    to->resolvers = copy_words(arena, &from->resolvers);
    return to;
}

static void add_words(struct buf *out, const struct opt_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        buf_printf(out, "%s%s", i > 0 ? "," : "", words->words[i]);
    buf_add_text(out, " ");
}

static const char *make_print(struct arena *arena, const struct issuer *issuer)
{
    const struct issuer_conf *c = issuer->conf;
    struct buf text = { 0 };
    const char *print;

    buf_printf(&text, "%s %s %s %s ", issuer->name, issuer->directory, c->eab_kid, c->ca_file);
    add_words(&text, &c->challenges);
    add_words(&text, &c->key_types);
    add_words(&text, &c->resolvers);
    buf_printf(&text, "%s %s %s", c->profile, c->preferred_chain, c->dns);
    print = arena_copy(arena, buf_text(&text));
    buf_free(&text);
    return print;
}

static void fill(struct issuers *set, struct entry *entry, const char *name, const struct issuer_conf *c,
                 const char *state_dir, const struct issuers *before)
{
    struct issuer *issuer = &entry->issuer;

    issuer->name = arena_copy(&set->arena, name);
    issuer->conf = copy_conf(&set->arena, c);
    issuer->directory = issuer_directory(issuer->conf->directory);
    issuer->staging_directory = issuer_staging(c);
    issuer->challenges_n = issuer_challenges(c, issuer->challenges);
    issuer->key_types_n = issuer_key_types(c, issuer->key_types);
    issuer->print = make_print(&set->arena, issuer);
    entry->real = begin_talk(name, c, issuer->directory, state_dir, false, before);
    issuer->ca = entry->real->ca;
    if (!issuer->staging_directory)
        return;
    entry->staging = begin_talk(name, c, issuer->staging_directory, state_dir, true, before);
    issuer->staging = entry->staging->ca;
}

struct issuers *issuers_new(const struct opt_conf *conf, const char *state_dir, const struct issuers *before)
{
    struct issuers *set = mem_new(sizeof *set);
    const struct issuer_conf *c;
    const char *name;

    atomic_init(&set->references, 1);
    arena_init(&set->arena, 0);
    while (issuer_at(conf, set->n, &name))
        set->n++;
    set->list = mem_new((set->n + 1) * sizeof *set->list);
    for (size_t i = 0; (c = issuer_at(conf, i, &name)); i++)
        fill(set, &set->list[i], name, c, state_dir, before);
    return set;
}

struct issuers *issuers_hold(struct issuers *i)
{
    atomic_fetch_add(&i->references, 1);
    return i;
}

void issuers_release(struct issuers *set)
{
    if (!set || atomic_fetch_sub(&set->references, 1) != 1)
        return;
    for (size_t i = 0; i < set->n; i++) {
        talk_release(set->list[i].real);
        talk_release(set->list[i].staging);
    }
    free(set->list);
    arena_free(&set->arena);
    free(set);
}

size_t issuers_count(const struct issuers *i)
{
    return i ? i->n : 0;
}

const struct issuer *issuers_get(const struct issuers *i, size_t at)
{
    return at < i->n ? &i->list[at].issuer : NULL;
}

const struct issuer *issuers_find(const struct issuers *i, const char *name)
{
    for (size_t at = 0; at < issuers_count(i); at++)
        if (strcmp(i->list[at].issuer.name, name) == 0)
            return &i->list[at].issuer;
    return NULL;
}
