#include "relay/lanes/presence.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

struct presence_entry {
    char *agent;
    bool there, was_there;
    time_t since;
    struct presence_lane last; /* id 0: there was none */
};

void presence_init(struct presence *p, time_t now)
{
    *p = (struct presence){ .began = now };
}

void presence_free(struct presence *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->list[i].agent);
    free(p->list);
    presence_init(p, 0);
}

static struct presence_entry *find(const struct presence *p, const char *agent)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->list[i].agent, agent) == 0)
            return &p->list[i];
    return NULL;
}

static struct presence_entry *find_or_add(struct presence *p, const char *agent)
{
    struct presence_entry *entry = find(p, agent);

    if (entry)
        return entry;
    p->list = mem_grow(p->list, (p->n + 1) * sizeof *p->list);
    entry = &p->list[p->n++];
    *entry = (struct presence_entry){ .agent = mem_copy(agent), .since = p->began };
    return entry;
}

void presence_note(struct presence *p, const char *agent, bool there, time_t now)
{
    struct presence_entry *entry = find_or_add(p, agent);

    if (entry->there == there)
        return;
    entry->there = there;
    entry->was_there = true;
    entry->since = now;
}

time_t presence_since(const struct presence *p, const char *agent)
{
    const struct presence_entry *entry = find(p, agent);

    return entry ? entry->since : p->began;
}

time_t presence_away_since(const struct presence *p, const char *agent)
{
    const struct presence_entry *entry = find(p, agent);

    return entry && entry->there ? 0 : presence_since(p, agent);
}

bool presence_was_there(const struct presence *p, const char *agent)
{
    const struct presence_entry *entry = find(p, agent);

    return entry && entry->was_there;
}

void presence_note_end(struct presence *p, const char *agent, const struct presence_lane *last)
{
    find_or_add(p, agent)->last = *last;
}

const struct presence_lane *presence_away(const struct presence *p, size_t i, const char **agent)
{
    for (size_t j = 0; j < p->n; j++)
        if (!p->list[j].there && p->list[j].last.id != 0 && i-- == 0) {
            *agent = p->list[j].agent;
            return &p->list[j].last;
        }
    return NULL;
}
