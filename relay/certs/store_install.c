/* A new certificate is judged, and comes into the store when it is good, and not worse than what is in its place. */
#include "relay/certs/store_parts.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- judge ---- */

static int check_names(const struct facts *found, const struct facts *old, const char *const *names, size_t n,
                       struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (!chain_has_name(&found->chain, names[i]) && chain_has_name(&old->chain, names[i]))
            return err_set(e, ERR_TAKEN, "it does not cover %s, which the one in the store does", names[i]);
    return 0;
}

/* What somebody brings has to be better in each respect: it was not we who asked for it. */
static int check_import(const struct facts *found, const struct facts *old, struct err *e)
{
    if (found->not_after == old->not_after && strcmp(found->serial, old->serial) == 0)
        return err_set(e, ERR_TAKEN, "it is in the store already");
    if (found->not_after < old->not_after)
        return err_set(e, ERR_TAKEN, "the one in the store is good for longer");
    return check_names(found, old, (const char *const *)old->names, old->names_n, e);
}

static int check_against(const struct store_offer *o, const struct facts *found, const struct meta_cert *old,
                         int64_t now, struct err *e)
{
    if (facts_is_staging(found) && !facts_is_staging(&old->facts))
        return err_set(e, ERR_TAKEN,
                       "it is from a staging environment (%s), which no browser trusts, and the one in the "
                       "store is a real one",
                       found->ca);
    if (o->import)
        return check_import(found, &old->facts, e);
    if (o->wanted && !renewal_may_leave_out(&old->renewal, now))
        return check_names(found, &old->facts, o->wanted, o->wanted_n, e);
    return 0;
}

static int judge(const struct store_offer *o, const struct meta *m, int64_t now, struct facts *found,
                 struct err *e)
{
    const struct meta_cert *old;
    enum meta_slot slot;

    if (facts_read(o->chain_pem, strlen(o->chain_pem), found, e) != 0 ||
        chain_check(&found->chain, o->key, o->names, o->names_n, (time_t)now, e) != 0)
        return -1;
    if (o->import && facts_is_staging(found))
        return err_set(e, ERR_INPUT, "it is from a staging environment (%s), which no browser trusts",
                       found->ca);
    slot = found->rsa ? META_RSA : META_ECDSA;
    old = &m->certs[slot];
    return meta_is_good(m, slot, now) ? check_against(o, found, old, now, e) : 0;
}

int store_judge(const struct store_offer *o, const struct meta *m, int64_t now, struct err *e)
{
    struct facts found = { 0 };
    int rc = judge(o, m, now, &found, e);

    facts_free(&found);
    return rc;
}

/* ---- install ---- */

static void describe(struct meta_cert *cert, const struct store_offer *o, struct facts *takes, int64_t now)
{
    *cert = (struct meta_cert){ .there = true, .installed_at = now, .facts = *takes };
    meta_set(&cert->issuer, o->issuer);
    meta_set(&cert->directory, o->directory);
    meta_set(&cert->profile, o->profile);
    meta_set(&cert->origin, o->origin);
    renewal_begin(&cert->renewal, takes->not_before, takes->not_after, o->random);
}

void store_drop_order_key(const struct store *s, const char *name)
{
    char *folder = store_path(s, name, NULL),
         *path = folder ? mem_format("%s/" STORE_ORDER_KEY, folder) : NULL;

    if (path)
        (void)unlink(path); /* most often there is none */
    free(path);
    free(folder);
}

/* ---- all of it ---- */

int store_install(const struct store *s, const struct store_offer *o, struct meta *m, int64_t now,
                  struct err *e)
{
    struct facts found = { 0 };
    struct meta next = *m; /* shares all texts with m, but for what is new in it */
    enum meta_slot slot;
    bool noted = false;

    if (judge(o, m, now, &found, e) != 0) {
        facts_free(&found);
        return -1;
    }
    slot = found.rsa ? META_RSA : META_ECDSA;
    describe(&next.certs[slot], o, &found, now);
    renewal_reset(&next.retry);
    next.last_error = NULL;
    next.failing_since = 0;
    next.dns = NULL;
    next.order = (struct meta_order){ 0 };
    next.held_since = 0;
    if ((o->deploys && store_note_deployment(s, m->name, &noted, e) != 0) ||
        store_write_version(s, &next, m, slot, o->key, e) != 0) {
        if (noted)
            store_forget_deployment(s, m->name);
        meta_cert_free(&next.certs[slot]);
        return -1;
    }
    meta_cert_free(&m->certs[slot]);
    meta_set(&m->last_error, NULL);
    meta_set(&m->dns, NULL);
    meta_order_ended(m);
    *m = next;
    store_drop_order_key(s, m->name); /* it lies beside the certificate now */
    return 0;
}

int store_drop(const struct store *s, struct meta *m, enum meta_slot slot, struct err *e)
{
    struct meta next = *m;

    if (!m->certs[slot].there)
        return 0;
    next.certs[slot] = (struct meta_cert){ 0 };
    if (store_write_version(s, &next, m, slot, NULL, e) != 0)
        return -1;
    meta_cert_free(&m->certs[slot]);
    return 0;
}
