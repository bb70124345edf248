/* THE LIFE OF A DEPLOYMENT, noted in the store from before the certificate is there until the program has ended:
 *
 *   another certificate is there, or a note of one is found at a start -> deploy_hook runs -> it has ended, well or not
 *
 * One at a time for each site, also for one that goes and comes back meanwhile; and none while a job of the site may be putting a
 * certificate into the store, whose note the end of this one would take for its own. */
#include "relay/certs/manager_parts.h"
#include "shared/buf.h"
#include "shared/hook.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct manager_deployment {
    struct manager_deployment *next;
    struct manager *m;
    char *site, *hook;
};

static bool runs(const struct manager *m, const char *site)
{
    const struct manager_deployment *at = m->deployments;

    while (at && strcmp(at->site, site) != 0)
        at = at->next;
    return at;
}

void manager_note_deployment(const struct manager *m, struct managed *d)
{
    d->to_deploy = !runs(m, d->names[0]) && store_deploys(m->store, d->names[0]);
}

static void see_undeployed(const struct manager *m, struct managed *d)
{
    free(d->undeployed);
    d->undeployed = store_undeployed(m->store, d->names[0], &d->undeployed_since);
}

void manager_deploy_again(const struct manager *m, struct managed *d)
{
    if (!d->loaded)
        return;
    see_undeployed(m, d);
    d->to_deploy = d->to_deploy || (d->undeployed && !runs(m, d->names[0]));
}

static const char *hook_of(const struct manager *m, const struct meta_cert *cert)
{
    const struct issuer *by = cert->issuer ? issuers_find(m->issuers, cert->issuer) : NULL;

    return by ? by->conf->deploy_hook : "";
}

static void take_off(struct manager_deployment *ended)
{
    struct manager_deployment **at = &ended->m->deployments;

    while (*at != ended)
        at = &(*at)->next;
    *at = ended->next;
}

/* NULL: it has done what it is there for. */
static char *what_went_wrong(const char *hook, const struct hook_end *end)
{
    static const char rest[] = "so the certificate may be missing where it takes it; mend it, then "
                               "tunnelctl reload runs it again";

    if (!end->started)
        return mem_format("deploy_hook %s cannot be run, %s", hook, rest);
    if (end->signal == SIGKILL)
        return mem_format("deploy_hook %s was killed, as what runs for longer than a minute is, %s", hook,
                          rest);
    if (end->signal != 0)
        return mem_format("deploy_hook %s was ended by signal %d, %s", hook, end->signal, rest);
    return end->status == 0 ? NULL
                            : mem_format("deploy_hook %s ended with exit code %lld, %s", hook,
                                         (long long)end->status, rest);
}

static void on_hook_ended(void *user, const struct hook_end *end)
{
    struct manager_deployment *running = user;
    struct manager *m = running->m;
    struct managed *d = manager_find(m, running->site);
    char *why = what_went_wrong(running->hook, end);

    store_deployed(m->store, running->site, why, time(NULL));
    take_off(running);
    if (d) {
        manager_note_deployment(m, d); /* another one has come meanwhile */
        see_undeployed(m, d);
        if (why && !d->undeployed) { /* the disk took no note of it */
            d->undeployed = mem_copy(why);
            d->undeployed_since = time(NULL);
        }
    }
    free(why);
    free(running->hook);
    free(running->site);
    free(running);
    manager_wake(m);
    manager_task_ended(m);
}

static void run(struct manager *m, struct managed *d, enum meta_slot slot, const char *hook)
{
    const struct meta_cert *cert = &d->meta.certs[slot];
    struct manager_deployment *running = mem_new(sizeof *running);
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

    *running = (struct manager_deployment){ m->deployments, m, mem_copy(d->names[0]), mem_copy(hook) };
    m->deployments = running;
    m->jobs++;
    hook_run(m->loop, "deploy_hook", hook, variables, sizeof variables / sizeof *variables, on_hook_ended,
             running);
    free(chain);
    free(key);
    json_decref(not_after);
    buf_free(&names);
}

static void forget(const struct manager *m, struct managed *d)
{
    store_deployed(m->store, d->names[0], NULL, 0);
    see_undeployed(m, d);
}

void manager_deploy(struct manager *m, struct managed *d)
{
    const enum meta_slot slot = d->meta.certs[META_ECDSA].there ? META_ECDSA : META_RSA;
    const char *hook;

    if (!d->to_deploy || d->job || runs(m, d->names[0]) || !d->meta.certs[slot].there)
        return;
    hook = hook_of(m, &d->meta.certs[slot]);
    d->to_deploy = false;
    store_deploy_begins(m->store, d->names[0]);
    if (hook[0])
        run(m, d, slot, hook);
    else
        forget(m, d); /* it was taken out of the configuration */
}
