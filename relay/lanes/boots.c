#include "relay/lanes/boots.h"

#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 16 };

struct boots_agent {
    char *agent;
    char (*now)[BOOT_BYTES]; /* the oldest first */
    size_t n;
    char displaced[REMEMBERED][BOOT_BYTES]; /* a ring */
    size_t next;
    char twin[160]; /* "": there never was one */
    int64_t twin_at_ms;
};

void boots_free(struct boots *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free(b->list[i].agent);
        free(b->list[i].now);
    }
    free(b->list);
    *b = (struct boots){ 0 };
}

static struct boots_agent *find(const struct boots *b, const char *agent)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->list[i].agent, agent) == 0)
            return &b->list[i];
    return NULL;
}

static struct boots_agent *find_or_add(struct boots *b, const char *agent)
{
    struct boots_agent *a = find(b, agent);

    if (a)
        return a;
    b->list = mem_grow(b->list, (b->n + 1) * sizeof *b->list);
    a = &b->list[b->n++];
    *a = (struct boots_agent){ .agent = mem_copy(agent) };
    return a;
}

static bool is_now(const struct boots_agent *a, const char *boot)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->now[i], boot) == 0)
            return true;
    return false;
}

static bool was_displaced(const struct boots_agent *a, const char *boot)
{
    for (size_t i = 0; i < REMEMBERED; i++)
        if (strcmp(a->displaced[i], boot) == 0)
            return true;
    return false;
}

static void drop(struct boots_agent *a, size_t i)
{
    a->n--;
    memmove(a->now[i], a->now[i + 1], (a->n - i) * sizeof *a->now);
}

/* Whoever has no lane left takes nobody's place. */
static void drop_gone(struct boots_agent *a, bool (*there)(void *user, const char *agent, const char *boot),
                      void *user)
{
    for (size_t i = a->n; i > 0; i--)
        if (!there(user, a->agent, a->now[i - 1]))
            drop(a, i - 1);
}

enum boots_verdict boots_admit(struct boots *b, const char *agent, const char *boot, int64_t instances,
                               bool (*there)(void *user, const char *agent, const char *boot), void *user,
                               char displaced[BOOT_BYTES])
{
    struct boots_agent *a = find_or_add(b, agent);

    displaced[0] = 0;
    if (is_now(a, boot))
        return BOOTS_KNOWN;
    drop_gone(a, there, user);
    if ((int64_t)a->n >= instances && was_displaced(a, boot))
        return BOOTS_TWIN;
    if (a->n > 0 && (int64_t)a->n >= instances) {
        memcpy(displaced, a->now[0], BOOT_BYTES);
        memcpy(a->displaced[a->next++ % REMEMBERED], displaced, BOOT_BYTES);
        drop(a, 0);
    }
    a->now = mem_grow(a->now, (a->n + 1) * sizeof *a->now);
    snprintf(a->now[a->n++], BOOT_BYTES, "%s", boot);
    return BOOTS_NEW;
}

void boots_note_twin(struct boots *b, const char *agent, const char *boot, const char *from, int64_t now_ms)
{
    struct boots_agent *a = find_or_add(b, agent);

    snprintf(
        a->twin, sizeof a->twin,
        "a second machine, at %.64s, boot %.8s, has this agent's key; give each its own, or set instances",
        from, boot);
    a->twin_at_ms = now_ms;
}

const char *boots_twin(const struct boots *b, const char *agent, int64_t now_ms)
{
    const struct boots_agent *a = find(b, agent);

    return a && a->twin[0] && now_ms - a->twin_at_ms < BOOTS_TWIN_MS ? a->twin : "";
}

bool boots_is_newest(const struct boots *b, const char *agent, const char *boot)
{
    const struct boots_agent *a = find(b, agent);

    return a && a->n > 0 && strcmp(a->now[a->n - 1], boot) == 0;
}
