/* THE END OF A FOLDER in the store that no site has any more:
 *
 *   once a day all folders are listed -> one by one: a site has it: it stays; its certificate ended a month ago: removed
 *
 * One in each tick, so that many of them keep nobody waiting. */
#include "relay/certs/manager_parts.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>

enum { DAY_MS = 24 * 3600 * 1000 };

static void on_listed(void *user, const char *name)
{
    struct manager_old *o = user;

    o->names = mem_grow(o->names, (o->n + 1) * sizeof *o->names);
    o->names[o->n++] = mem_copy(name);
}

static void look_at(const struct manager *m, const char *name, int64_t now)
{
    struct err why = { 0 };

    if (manager_find(m, name) || manager_find_gone(m, name) || !store_is_old(m->store, name, now))
        return;
    if (store_forget(m->store, name, &why) == 0)
        log_info("the certificates of a site that is no more are removed", kv_str("domain", name));
    else
        log_warn("the certificates of a site that is no more cannot be removed", kv_str("domain", name),
                 kv_str("error", why.text));
}

void manager_clear_old(struct manager *m, int64_t now)
{
    struct manager_old *o = &m->old;

    if (!m->store)
        return;
    if (o->n == 0 && loop_now_ms(m->loop) >= o->next_ms) {
        store_each(m->store, on_listed, o);
        o->next_ms = loop_now_ms(m->loop) + DAY_MS;
    }
    if (o->n == 0)
        return;
    look_at(m, o->names[--o->n], now);
    free(o->names[o->n]);
}

void manager_old_free(struct manager_old *o)
{
    while (o->n > 0)
        free(o->names[--o->n]);
    free(o->names);
}
