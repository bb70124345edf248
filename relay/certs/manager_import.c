/* POST /v1/certs/import: certificates that somebody brings, for sites that we look after, and for those that are still to come.
 *
 *   a job of such a site is under way -> it is cancelled, and the answer waits for its end -> the store takes what is good */
#include "relay/certs/import.h"
#include "relay/certs/manager_parts.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct managed *site_of(const struct manager *m, const char *name)
{
    for (struct managed *d = m->first; d; d = d->next)
        for (size_t i = 0; i < d->names_n; i++)
            if (strcmp(d->names[i], name) == 0)
                return d;
    return NULL;
}

static size_t names_of(void *user, const char *name, const char *const **names)
{
    const struct managed *d = site_of(user, name);

    *names = d ? (const char *const *)d->names : NULL;
    return d ? d->names_n : 0;
}

/* A job writes what it has learned when it ends, over what is brought meanwhile. */
static bool is_busy(void *user, const char *site)
{
    const struct managed *d = manager_find(user, site);

    return (d && d->job) || manager_find_gone(user, site);
}

/* An order that has begun is taken up by a later job, if it is still needed then. */
static bool interrupt(void *user, const char *site)
{
    struct managed *d = manager_find(user, site);

    return d ? manager_interrupt(d) : manager_find_gone(user, site) != NULL;
}

/* What waits. */
struct manager_import {
    struct manager_import *next;
    json_t *content;
    struct http_later *later;
};

static void on_taken(void *user, const char *site)
{
    manager_load_again(user, site);
}

static struct import_sites sites_of(struct manager *m)
{
    const char *caveat =
        issuers_count(m->issuers) > 0
            ? NULL
            : "relay.ini has no [acme] section, so that it stays in the store and is not shown";

    return (struct import_sites){ names_of, is_busy, interrupt, on_taken, caveat, m };
}

void manager_answer_import(struct manager *m, const struct http_request *request, struct http_reply *reply)
{
    const struct import_sites sites = sites_of(m);
    struct err why = { 0 };
    struct store *store = manager_store(m, &why);
    struct manager_import *waits;
    json_t *answer;

    if (!store) {
        http_reply_error(reply, 500, "%s", why.text);
        return;
    }
    if (!request->json) {
        http_reply_error(reply, 400, "content is missing: {\"chain\": PEM, \"key\": PEM, \"origin\": TEXT}");
        return;
    }
    if (import_waits(&sites, request->json)) {
        waits = mem_new(sizeof *waits);
        *waits = (struct manager_import){ m->imports, json_incref((json_t *)request->json),
                                          http_reply_later(reply) };
        m->imports = waits;
        return;
    }
    answer = import_take(store, &sites, request->json, time(NULL), &why);
    if (answer)
        http_reply_json(reply, 200, answer);
    else
        http_reply_error(reply, 400, "%s", why.text);
}

static struct manager_import *take_off(struct manager_import **at)
{
    struct manager_import *off = *at;

    *at = off->next;
    return off;
}

static void finish(struct manager_import *waits, json_t *takes_answer, int status, const char *why)
{
    if (takes_answer)
        http_later_json(waits->later, 200, takes_answer);
    else
        http_later_error(waits->later, status, "%s", why);
    json_decref(waits->content);
    free(waits);
}

void manager_import_waiting(struct manager *m)
{
    const struct import_sites sites = sites_of(m);

    for (struct manager_import **at = &m->imports; *at;) {
        struct err why = { 0 };
        struct manager_import *now;
        json_t *answer;

        if (import_waits(&sites, (*at)->content)) {
            at = &(*at)->next;
            continue;
        }
        now = take_off(at);
        answer = import_take(m->store, &sites, now->content, time(NULL), &why);
        finish(now, answer, 400, why.text);
    }
}

void manager_import_end(struct manager *m)
{
    while (m->imports)
        finish(take_off(&m->imports), NULL, 503, "the relay is stopping");
}
