/* The way out of a relay that was taken out of the configuration:
 *
 *   CARRYING ── no record has its address, and no resolver keeps it ──▶ DRAINING ── last stream, or `drain` ──▶ ended
 *
 * DNS is changed first, by others; until visitors have learnt of it, they are served here as before. */
#include "agent/link/leaving.h"

#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_MS = 2 * 3600 * 1000 }; /* a provider that cannot be reached is waited for no longer */

struct leaver {
    struct supervise *relay;
    time_t since;
    int64_t since_ms, draining_ms; /* monotonic; draining_ms 0: it carries */
};

void leaving_take(struct leaving *l, struct supervise *takes, int64_t now_ms)
{
    l->list = mem_grow(l->list, (l->n + 1) * sizeof *l->list);
    l->list[l->n++] = (struct leaver){ .relay = takes, .since = time(NULL), .since_ms = now_ms };
}

void leaving_forget(struct leaving *l, const struct supervise *ended)
{
    for (size_t i = l->n; i > 0; i--)
        if (l->list[i - 1].relay == ended)
            l->list[i - 1] = l->list[--l->n];
}

struct supervise *leaving_give_back(struct leaving *l, const char *name, const struct agent_relay_conf *conf,
                                    const char *key_file)
{
    for (size_t i = 0; i < l->n; i++) {
        struct supervise *s = l->list[i].relay;

        if (l->list[i].draining_ms > 0 || !supervise_follow(s, name, conf, key_file))
            continue;
        leaving_forget(l, s);
        return s;
    }
    return NULL;
}

/* ---- CARRYING, DRAINING ---- */

static void end_one(struct leaver *one, int64_t now_ms, int64_t drain_ms, int64_t left_ms)
{
    if (one->draining_ms > 0 && now_ms - one->draining_ms >= drain_ms) {
        supervise_stop(one->relay);
    } else if (one->draining_ms == 0 && (left_ms == 0 || now_ms - one->since_ms >= MOST_MS)) {
        log_info("relay is left", kv_str("relay", supervise_relay(one->relay)));
        one->draining_ms = now_ms;
        supervise_drain(one->relay);
    }
}

void leaving_tick(struct leaving *l, int64_t now_ms, int64_t drain_ms,
                  int64_t (*left_ms)(void *user, const char *relay), void *user)
{
    for (size_t i = 0; i < l->n; i++) {
        struct leaver *one = &l->list[i];

        end_one(one, now_ms, drain_ms, one->draining_ms > 0 ? 0 : left_ms(user, supervise_relay(one->relay)));
    }
}

/* ---- what the agent wants ---- */

bool leaving_say(const struct leaving *l, const char *relay, const struct lane_msg *m)
{
    bool said = false;

    for (size_t i = 0; i < l->n && !said; i++)
        if (strcmp(supervise_relay(l->list[i].relay), relay) == 0)
            said = supervise_say(l->list[i].relay, m, SUPERVISE_ONE);
    return said;
}

void leaving_each(const struct leaving *l, void (*what)(struct supervise *s))
{
    for (size_t i = 0; i < l->n; i++)
        what(l->list[i].relay);
}

json_t *leaving_status(const struct leaving *l)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->n; i++) {
        json_t *relay = supervise_status(l->list[i].relay);

        json_object_set_new(relay, "since", json_time(l->list[i].since));
        json_array_append_new(list, relay);
    }
    return list;
}

void leaving_free(struct leaving *l)
{
    free(l->list);
    *l = (struct leaving){ 0 };
}
