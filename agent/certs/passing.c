#include "agent/certs/passing.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELAYS_MAX = 16, RELAY_BYTES = 64 };

struct passed {
    struct passed *next;
    char from[RELAY_BYTES];
    json_t *id; /* of the one who asked */
    int64_t number, began_ms;
    struct {
        char relay[RELAY_BYTES];
        bool done;
    } legs[RELAYS_MAX];
    size_t legs_n;
};

void passing_init(struct passing *p, const struct passing_host *host)
{
    *p = (struct passing){ .host = host };
}

static void forget(struct passing *p, struct passed *d)
{
    struct passed **at = &p->list;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    json_decref(d->id);
    free(d);
}

void passing_free(struct passing *p)
{
    while (p->list)
        forget(p, p->list);
}

static void answer(struct passing *p, const char *relay, json_t *id, const char *why)
{
    const struct lane_msg m = { .type = LANE_CHALLENGE_DONE, .done = { .id = id, .ok = !*why, .why = why } };

    p->host->say(p->host->user, relay, &m);
}

static void finish(struct passing *p, struct passed *d, const char *why)
{
    if (*why)
        log_warn_limited(d->from, "what a CA is to be answered was not passed on", kv_str("relay", d->from),
                         kv_str("error", why));
    answer(p, d->from, d->id, why);
    forget(p, d);
}

static void finish_if_done(struct passing *p, struct passed *d)
{
    for (size_t i = 0; i < d->legs_n; i++)
        if (!d->legs[i].done)
            return;
    finish(p, d, "");
}

static size_t count(const struct passing *p)
{
    size_t n = 0;

    for (const struct passed *d = p->list; d; d = d->next)
        n++;
    return n;
}

/* To all that serve the name and are connected: to one that is not, no visitor gets through either, and no CA. */
static void pass(struct passing *p, struct passed *d, const struct lane_msg *m)
{
    struct lane_msg onward = *m;
    const char *name;
    bool up;

    onward.challenge.id = json_integer(d->number);
    for (size_t i = 0; p->host->relay(p->host->user, i, &name, &up) && d->legs_n < RELAYS_MAX; i++) {
        if (!up || strcmp(name, d->from) == 0 || !p->host->claims(p->host->user, name, m->challenge.name) ||
            !p->host->say(p->host->user, name, &onward))
            continue;
        snprintf(d->legs[d->legs_n++].relay, RELAY_BYTES, "%s", name);
    }
    json_decref(onward.challenge.id);
}

void passing_hear(struct passing *p, const char *relay, const struct lane_msg *m, const char *why,
                  int64_t now_ms)
{
    struct passed *d;

    if (!*why && count(p) >= PASSING_MAX)
        why = "the agent passes on too much already";
    if (*why) {
        answer(p, relay, m->challenge.id, why);
        return;
    }
    d = mem_new(sizeof *d);
    snprintf(d->from, sizeof d->from, "%s", relay);
    d->id = json_incref(m->challenge.id);
    d->number = ++p->last_id;
    d->began_ms = now_ms;
    d->next = p->list;
    p->list = d;
    pass(p, d, m);
    finish_if_done(p, d);
}

static bool take(struct passing *p, struct passed *d, const char *relay, const struct lane_msg *m)
{
    char why[LANE_TEXT_BYTES + RELAY_BYTES];

    if (!json_is_integer(m->done.id) || json_integer_value(m->done.id) != d->number)
        return false;
    for (size_t i = 0; i < d->legs_n; i++) {
        if (d->legs[i].done || strcmp(d->legs[i].relay, relay) != 0)
            continue;
        d->legs[i].done = true;
        snprintf(why, sizeof why, "relay %s: %s", relay, m->done.why);
        if (m->done.ok)
            finish_if_done(p, d);
        else
            finish(p, d, why);
        return true;
    }
    return false;
}

void passing_done(struct passing *p, const char *relay, const struct lane_msg *m)
{
    struct passed *d = p->list;

    while (d) {
        struct passed *next = d->next;

        if (take(p, d, relay, m))
            return;
        d = next;
    }
}

static bool is_up(const struct passing *p, const char *relay)
{
    const char *name;
    bool up;

    for (size_t i = 0; p->host->relay(p->host->user, i, &name, &up); i++)
        if (strcmp(name, relay) == 0)
            return up;
    return false;
}

void passing_tick(struct passing *p, int64_t now_ms)
{
    struct passed *d = p->list;

    while (d) {
        struct passed *next = d->next;

        for (size_t i = 0; i < d->legs_n; i++)
            d->legs[i].done = d->legs[i].done || !is_up(p, d->legs[i].relay);
        if (now_ms - d->began_ms > PASSING_PATIENCE_MS)
            finish(p, d, "another relay of the agent has not answered in time");
        else
            finish_if_done(p, d);
        d = next;
    }
}
