/* Where an order's job looks before it orders: at what the authority suggests for renewals, and whether names lead here. */
#include "relay/certs/obtain_parts.h"
#include "relay/certs/renewal_info.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint32_t obtain_chance(void)
{
    uint32_t random = 0;

    (void)RAND_bytes((unsigned char *)&random, sizeof random); /* spreads load: any number will do */
    return random;
}

int obtain_save(struct attempt *t)
{
    return store_save(t->ask->store, t->m, &t->r->why);
}

/* ---- renewal information ---- */

static void look_at(struct attempt *t, struct meta_cert *cert)
{
    const struct issuer *by = issuers_find(t->ask->site.issuers, cert->issuer);
    struct acme_window window = { 0 };
    struct renewal_window suggested;
    struct acme_why why;
    int64_t again_ms = -1, now;

    acme_why_init(&why);
    if (renewal_info_get(by->ca, t->ask->job, cert->facts.ari_id, &window, &again_ms, &why) == 0) {
        now = time(NULL);
        suggested = (struct renewal_window){ window.start, window.end };
        if (renewal_suggested(&cert->renewal, &suggested, obtain_chance(), &why.err) < 0)
            log_warn_limited(by->name, "what an authority suggests for renewal makes no sense",
                             kv_str("domain", t->m->name), kv_str("error", why.err.text));
        meta_set(&cert->ari_url, window.explanation[0] ? window.explanation : NULL);
        cert->ari_next_look = renewal_next_look(now, again_ms > 0 ? again_ms / 1000 : 0, obtain_chance());
    } else if (why.err.code == ERR_MISSING) {
        renewal_unsuggested(&cert->renewal, obtain_chance());
        cert->ari_next_look = renewal_next_look(time(NULL), DUE_TAKE_BACK_S, obtain_chance());
    } else if (why.class != ACME_STOPPED) {
        cert->ari_next_look = renewal_next_look_failed(time(NULL), obtain_chance());
    }
    acme_why_free(&why);
}

/* It never stands in the way of a renewal. */
int obtain_suggestions(struct attempt *t)
{
    bool looked = false;

    for (int slot = 0; slot < META_SLOTS; slot++)
        if (due_look(&t->ask->site, t->m, (enum meta_slot)slot, time(NULL))) {
            look_at(t, &t->m->certs[slot]);
            looked = true;
        }
    return looked ? obtain_save(t) : 0;
}

/* ---- does it lead here ---- */

static bool is_first(const struct meta *m)
{
    return !m->certs[META_ECDSA].there && !m->certs[META_RSA].there;
}

/* So that it is known what a look may take back. */
static const char not_here[] = "it does not lead here: ";

static int look_at_name(struct attempt *t, const char *name, struct err *why)
{
    const struct obtain_help *help = t->ask->help;
    char warning[OBTAIN_WARNING_BYTES] = "";
    struct buf text = { 0 };
    int rc = help->look(help->user, t->by, name, t->ask->job, warning, why);

    t->r->looked = true;
    if (warning[0]) {
        buf_printf(&text, "%s%s%s: %s", t->r->warning, t->r->warning[0] ? "; " : "", name, warning);
        snprintf(t->r->warning, sizeof t->r->warning, "%s", buf_text(&text));
        buf_free(&text);
    }
    return rc;
}

/* For a day since the first look that held it back, whatever restarts meanwhile. */
static bool was_held_long(struct meta *m, int64_t now)
{
    if (m->held_since > now)
        m->held_since = now; /* the clock has gone back */
    return m->held_since != 0 && now - m->held_since >= OBTAIN_HELD_LONGEST_S;
}

/* Nothing is ordered, so nothing is left out. */
static int hold(struct attempt *t)
{
    meta_take_back(t->m, NULL);
    if (t->m->held_since == 0)
        t->m->held_since = time(NULL);
    if (store_save(t->ask->store, t->m, &t->r->why) != 0)
        return -1;
    t->r->end = OBTAIN_HELD;
    return -1;
}

/* Names that do not lead here are left out, as long as there are others. */
int obtain_look_ahead(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;
    size_t here = 0;

    if (!t->by->conf->preflight || t->ask->forced || !is_first(t->m) || was_held_long(t->m, time(NULL)))
        return 0;
    meta_take_back(t->m, NULL);
    for (size_t i = 0; i < site->names_n; i++) {
        struct err why = { 0 };
        char text[sizeof why.text + sizeof not_here];

        if (look_at_name(t, site->names[i], &why) == 0) {
            here++;
            continue;
        }
        if (why.code == ERR_STOPPED)
            return err_set(&t->r->why, ERR_STOPPED, "%s", why.text);
        if (t->r->why.code == ERR_NONE)
            err_set(&t->r->why, why.code, "%s", why.text);
        snprintf(text, sizeof text, "%s%s", not_here, why.text);
        if (!meta_leave_out(t->m, site->names[i], text, time(NULL)))
            return -1;
    }
    if (here > 0) {
        t->r->why = (struct err){ 0 };
        t->m->held_since = 0;
        return obtain_save(t);
    }
    return hold(t);
}

/* More names lead here than did: somebody has mended what was wrong. */
static int watch_names(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;
    int here = 0;

    for (size_t i = 0; i < site->names_n; i++) {
        struct err why = { 0 };

        if (look_at_name(t, site->names[i], &why) == 0)
            here++;
        else if (why.code == ERR_STOPPED)
            return err_set(&t->r->why, ERR_STOPPED, "%s", why.text);
    }
    t->r->here = here;
    if (t->ask->here >= 0 && here > t->ask->here)
        (void)renewal_hasten(&t->m->retry, time(NULL)); /* or it was due anyway */
    return 0;
}

/* A digest of all that is said of the names; NULL when that cannot be had, so that nothing follows from it. */
static char *dns_now(struct attempt *t)
{
    const struct due_site *site = &t->ask->site;
    const struct obtain_help *help = t->ask->help;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct buf said = { 0 };
    char *print = NULL;
    size_t i = 0;

    while (i < site->names_n &&
           help->dns(help->user, t->by, site->names[i], t->ask->job, &said, &(struct err){ 0 }) == 0)
        i++;
    if (i == site->names_n) {
        print = mem_new(2 * sizeof digest + 1);
        SHA256((const unsigned char *)buf_bytes(&said), said.len, digest);
        for (i = 0; i < sizeof digest; i++)
            snprintf(print + 2 * i, 3, "%02x", digest[i]);
    }
    buf_free(&said);
    return print;
}

/* Also what no look at where the names lead would show: CAA, a delegated challenge, and all where preflight = off. */
static void watch_dns(struct attempt *t)
{
    char *now = dns_now(t);

    if (now && t->m->dns && strcmp(now, t->m->dns) != 0 && renewal_hasten(&t->m->retry, time(NULL)) &&
        renewal_may_try(&t->m->retry, time(NULL)))
        log_info("DNS has changed, so a certificate is tried for again", kv_str("domain", t->m->name));
    if (now)
        meta_set(&t->m->dns, now);
    free(now);
}

/* While failures hold the next try off: has what was wrong been mended? */
int obtain_watch(struct attempt *t)
{
    if (!t->ask->look_again || !t->m->last_error || renewal_may_try(&t->m->retry, time(NULL)))
        return 0;
    if (t->ask->came && renewal_hasten(&t->m->retry, time(NULL)) &&
        renewal_may_try(&t->m->retry, time(NULL))) {
        log_info("the site was added again, so a certificate is tried for again",
                 kv_str("domain", t->m->name));
        return obtain_save(t);
    }
    if (t->by->conf->preflight && watch_names(t) != 0)
        return -1;
    watch_dns(t);
    return obtain_save(t);
}

/* Now and then, at those that were left out then. */
int obtain_look_again(struct attempt *t)
{
    bool any = false;

    for (size_t i = t->m->left_out_n; t->ask->look_again && i-- > 0;) {
        const struct meta_left_out *l = &t->m->left_out[i];
        struct err why = { 0 };

        if (strncmp(l->why, not_here, sizeof not_here - 1) != 0 || look_at_name(t, l->name, &why) != 0)
            continue;
        meta_take_back(t->m, l->name);
        any = true;
    }
    return any ? obtain_save(t) : 0;
}
