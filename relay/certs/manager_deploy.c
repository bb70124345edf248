/* THE LIFE OF A DEPLOYMENT: another certificate is there -> deploy_hook runs -> it has ended, well or not. */
#include "relay/certs/manager_parts.h"
#include "shared/buf.h"
#include "shared/hook.h"
#include "shared/json.h"

#include <stdlib.h>

static void on_hook_ended(void *user)
{
    manager_task_ended(user);
}

static const char *hook_of(const struct manager *m, const struct meta_cert *cert)
{
    const struct issuer *by = cert->issuer ? issuers_find(m->issuers, cert->issuer) : NULL;

    return by ? by->conf->deploy_hook : "";
}

void manager_deploy(struct manager *m, const struct managed *d)
{
    const enum meta_slot slot = d->meta.certs[META_ECDSA].there ? META_ECDSA : META_RSA;
    const struct meta_cert *cert = &d->meta.certs[slot];
    const char *hook = hook_of(m, cert);
    json_t *not_after = json_time((time_t)cert->facts.not_after);
    char *chain = NULL, *key = NULL;
    struct buf names = { 0 };

    for (size_t i = 0; i < cert->facts.names_n; i++)
        buf_printf(&names, "%s%s", i > 0 ? " " : "", cert->facts.names[i]);
    if (hook[0] && store_pair(m->store, &d->meta, slot, &chain, &key)) {
        const struct hook_variable variables[] = {
            { "TUNNEL_DOMAIN", d->names[0] },
            { "TUNNEL_NAMES", buf_text(&names) },
            { "TUNNEL_ISSUER", cert->issuer },
            { "TUNNEL_CERT", chain },
            { "TUNNEL_KEY", key },
            { "TUNNEL_NOT_AFTER", json_string_value(not_after) },
        };

        m->jobs++;
        hook_run(m->loop, "deploy_hook", hook, variables, sizeof variables / sizeof *variables, on_hook_ended,
                 m);
    }
    free(chain);
    free(key);
    json_decref(not_after);
    buf_free(&names);
}
