/* POST /v1/certs/import: certificates that somebody brings, for sites that we look after, and for those that are still to
 * come. */
#include "relay/certs/import.h"
#include "relay/certs/manager_parts.h"

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

    return d && d->job;
}

static void on_taken(void *user, const char *site)
{
    manager_load_again(user, site);
}

void manager_answer_import(struct manager *m, const struct http_request *request, struct http_reply *reply)
{
    const char *caveat =
        issuers_count(m->issuers) > 0
            ? NULL
            : "relay.ini has no [acme] section, so that it stays in the store and is not shown";
    const struct import_sites sites = { names_of, is_busy, on_taken, caveat, m };
    struct err why = { 0 };
    struct store *store = manager_store(m, &why);
    json_t *answer;

    if (!store) {
        http_reply_error(reply, 500, "%s", why.text);
        return;
    }
    if (!request->json) {
        http_reply_error(reply, 400, "content is missing: {\"chain\": PEM, \"key\": PEM, \"origin\": TEXT}");
        return;
    }
    answer = import_take(store, &sites, request->json, time(NULL), &why);
    if (answer)
        http_reply_json(reply, 200, answer);
    else
        http_reply_error(reply, 400, "%s", why.text);
}
