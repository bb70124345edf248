/* THE LIFE OF A DEPLOYMENT, noted in the store from before the certificate is there until the program has ended:
 *
 *   another certificate is there, or a note of one is found at a start -> deploy_hook runs -> it has ended, well or not
 *
 * One at a time for each site. */
#include "relay/certs/manager_parts.h"
#include "shared/buf.h"
#include "shared/hook.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>

struct deployment {
    struct manager *m;
    char *site;
};

static const char *hook_of(const struct manager *m, const struct meta_cert *cert)
{
    const struct issuer *by = cert->issuer ? issuers_find(m->issuers, cert->issuer) : NULL;

    return by ? by->conf->deploy_hook : "";
}

static void on_hook_ended(void *user)
{
    struct deployment *running = user;
    struct manager *m = running->m;
    struct managed *d = manager_find(m, running->site);

    store_deployed(m->store, running->site);
    if (d) {
        d->deploying = false;
        d->to_deploy = store_deploys(m->store, running->site); /* another one has come meanwhile */
    }
    free(running->site);
    free(running);
    manager_wake(m);
    manager_task_ended(m);
}

static void run(struct manager *m, struct managed *d, enum meta_slot slot, const char *hook)
{
    const struct meta_cert *cert = &d->meta.certs[slot];
    struct deployment *running = mem_new(sizeof *running);
    json_t *not_after = json_time((time_t)cert->facts.not_after);
    char *chain = NULL, *key = NULL;
    struct buf names = { 0 };

    for (size_t i = 0; i < cert->facts.names_n; i++)
        buf_printf(&names, "%s%s", i > 0 ? " " : "", cert->facts.names[i]);
    (void)store_pair(m->store, &d->meta, slot, &chain, &key); /* it is there: manager_deploy has looked */
    const struct hook_variable variables[] = {
        { "TUNNEL_DOMAIN", d->names[0] },
        { "TUNNEL_NAMES", buf_text(&names) },
        { "TUNNEL_ISSUER", cert->issuer },
        { "TUNNEL_CERT", chain },
        { "TUNNEL_KEY", key },
        { "TUNNEL_NOT_AFTER", json_string_value(not_after) },
    };

    *running = (struct deployment){ m, mem_copy(d->names[0]) };
    d->deploying = true;
    m->jobs++;
    hook_run(m->loop, "deploy_hook", hook, variables, sizeof variables / sizeof *variables, on_hook_ended,
             running);
    free(chain);
    free(key);
    json_decref(not_after);
    buf_free(&names);
}

void manager_deploy(struct manager *m, struct managed *d)
{
    const enum meta_slot slot = d->meta.certs[META_ECDSA].there ? META_ECDSA : META_RSA;
    const char *hook;

    if (!d->to_deploy || d->deploying || !d->meta.certs[slot].there)
        return;
    hook = hook_of(m, &d->meta.certs[slot]);
    d->to_deploy = false;
    store_deploy_begins(m->store, d->names[0]);
    if (hook[0])
        run(m, d, slot, hook);
    else
        store_deployed(m->store, d->names[0]); /* it was taken out of the configuration */
}
