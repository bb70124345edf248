/* What an authority has issued comes into the store. When our own disk does not take it, that is no failure of the authority's:
 * it is kept in memory, served from there, and put into the store by a later job. */
#include "relay/certs/obtain_parts.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <string.h>
#include <time.h>

static void log_certificate(const struct attempt *t, int64_t not_after)
{
    const time_t at = (time_t)not_after;
    char text[32] = "";
    struct tm tm;

    if (gmtime_r(&at, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    log_info("certificate", kv_str("domain", t->m->name), kv_str("issuer", t->by->name),
             kv_str("not_after", text));
}

static int put(struct attempt *t, const char *chain_pem, const struct signer *key,
               const struct limits_order *o)
{
    const struct due_site *site = &t->ask->site;
    const struct meta_cert *cert = &t->m->certs[due_slot(t->type)];
    struct store_offer offer = { .chain_pem = chain_pem,
                                 .key = key,
                                 .names = t->names,
                                 .names_n = t->names_n,
                                 .issuer = t->by->name,
                                 .directory = t->by->directory,
                                 .profile = t->by->conf->profile[0] ? t->by->conf->profile : NULL,
                                 .origin = "ordered",
                                 .deploys = t->by->conf->deploy_hook[0],
                                 .random = obtain_chance() };

    if (!t->ask->forced) {
        offer.wanted = site->names;
        offer.wanted_n = site->names_n;
    }
    if (store_install(t->ask->store, &offer, t->m, time(NULL), &t->r->why) != 0)
        return err_wrap(&t->r->why, "what %s has issued", t->by->name);
    t->r->installed = true;
    quota_issued(t->ask->quota, o, cert->facts.not_after - cert->facts.not_before);
    log_certificate(t, cert->facts.not_after);
    return 0;
}

/* Of what is wrong with a certificate other things are said. */
static bool is_disk(const struct err *e)
{
    return e->code == ERR_SYSTEM || e->code == ERR_MISSING;
}

int obtain_install(struct attempt *t, struct order_result *result, const struct limits_order *o)
{
    if (put(t, result->chain_pem, result->key, o) == 0) {
        result->class = ACME_OK;
        return 0;
    }
    result->class = is_disk(&t->r->why) ? ACME_STOPPED : ACME_REFUSED;
    if (result->class == ACME_STOPPED) {
        t->r->kept = (struct kept){ result->chain_pem, result->key, mem_copy(t->by->name), t->type };
        result->chain_pem = NULL;
        result->key = NULL;
    }
    return -1;
}

int obtain_install_kept(struct attempt *t)
{
    const struct kept *k = t->ask->kept;
    struct limits_order o;

    if (!k || !k->chain_pem || !(t->by = issuers_find(t->ask->site.issuers, k->issuer)))
        return 0;
    t->type = k->type;
    obtain_choose_names(t);
    o = obtain_limits(t, t->by->directory, false);
    if (put(t, k->chain_pem, k->key, &o) == 0)
        return 0;
    if (is_disk(&t->r->why)) {
        t->r->keep = true;
        return -1;
    }
    log_warn("a certificate that was kept is of no use any more", kv_str("domain", t->m->name),
             kv_str("error", t->r->why.text));
    t->r->why = (struct err){ 0 };
    return 0;
}
