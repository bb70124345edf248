#include "relay/certs/due.h"

#include "shared/buf.h"
#include "shared/mem.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static const struct issuer *candidate(const struct due_site *s, size_t i)
{
    if (!s->issuer)
        return i < issuers_count(s->issuers) ? issuers_get(s->issuers, i) : NULL;
    return i == 0 ? issuers_find(s->issuers, s->issuer) : NULL;
}

char *due_print(const struct due_site *s)
{
    const struct issuer *by;
    struct buf text = { 0 };
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char *print = mem_new(2 * sizeof digest + 1);

    for (size_t i = 0; i < s->names_n; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", s->names[i]);
    for (size_t i = 0; (by = candidate(s, i)); i++)
        buf_printf(&text, "; %s", by->print);
    SHA256((const unsigned char *)buf_bytes(&text), text.len, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(print + 2 * i, 3, "%02x", digest[i]);
    buf_free(&text);
    return print;
}

bool due_is_changed(const struct due_site *s, const struct meta *m)
{
    return !m->configured || strcmp(m->configured, s->configured) != 0;
}

/* ---- who ---- */

static const struct meta_issuer *history(const struct meta *m, const struct issuer *by)
{
    for (size_t i = 0; i < m->issuers_n; i++)
        if (strcmp(m->issuers[i].issuer, by->name) == 0)
            return &m->issuers[i];
    return NULL;
}

/* The first one that has not failed repeatedly, or not lately. When all have, whoever was asked longest ago. */
const struct issuer *due_issuer(const struct due_site *s, const struct meta *m, int64_t now)
{
    const struct issuer *by, *longest_ago = NULL;
    int64_t then = INT64_MAX;

    for (size_t i = 0; (by = candidate(s, i)); i++) {
        const struct meta_issuer *had = history(m, by);

        if (!had || had->failures < DUE_FALL_BACK || now - had->last_try >= DUE_BACK_AGAIN_S ||
            due_is_changed(s, m))
            return by;
        if (had->last_try < then) {
            then = had->last_try;
            longest_ago = by;
        }
    }
    return longest_ago;
}

/* ---- what ---- */

enum meta_slot due_slot(enum key_type type)
{
    return type == KEY_ECDSA || type == KEY_P384 ? META_ECDSA : META_RSA;
}

bool due_is_left_out(const struct meta *m, const char *name)
{
    for (size_t i = 0; i < m->left_out_n; i++)
        if (strcmp(m->left_out[i].name, name) == 0)
            return true;
    return false;
}

static bool is_covered(const struct meta_cert *cert, const struct meta *m, const char *name)
{
    return due_is_left_out(m, name) || chain_has_name(&cert->facts.chain, name);
}

static const char *names_missing(const struct due_site *s, const struct meta *m, const struct meta_cert *cert)
{
    for (size_t i = 0; i < s->names_n; i++)
        if (!is_covered(cert, m, s->names[i]))
            return "it does not cover all names of the site";
    return NULL;
}

static const char *taken_back(const struct due_site *s, const struct meta *m, int64_t now)
{
    for (size_t i = 0; i < m->left_out_n; i++)
        for (size_t j = 0; j < s->names_n; j++)
            if (strcmp(m->left_out[i].name, s->names[j]) == 0 &&
                now - m->left_out[i].since >= DUE_TAKE_BACK_S)
                return "a name that was left out is tried again";
    return NULL;
}

/* Of somebody else's a site's owner has made up his mind; it is renewed by us when its time comes. */
static bool is_from_elsewhere(const struct due_site *s, const struct meta_cert *cert)
{
    const struct issuer *by;

    if (cert->issuer && strcmp(cert->issuer, "import") == 0)
        return false;
    for (size_t i = 0; (by = candidate(s, i)); i++)
        if (cert->issuer && strcmp(cert->issuer, by->name) == 0)
            return cert->directory && strcmp(cert->directory, by->directory) != 0;
    return true;
}

/* Not soon after it has come, whatever the authority suggests and the clocks say: what is renewed for being too old as soon as
 * it is there would be renewed for ever, and renewals as suggested count towards no limit of the authority's. */
static int64_t renewal_moment(const struct meta_cert *cert, int64_t now)
{
    int64_t rest = (cert->facts.not_after - cert->installed_at) / DUE_REST_PART,
            earliest = cert->installed_at + (rest < DUE_REST_S ? rest : DUE_REST_S),
            at = renewal_at(&cert->renewal);

    return cert->installed_at <= now && at < earliest ? earliest : at;
}

/* What was taken over from another program does until its time comes, whatever kind of key it has. */
static bool does_meanwhile(const struct due_site *s, const struct meta *m, const struct meta_cert *cert,
                           int64_t now)
{
    return cert->there && cert->issuer && strcmp(cert->issuer, "import") == 0 && cert->revoked_at == 0 &&
           now < renewal_moment(cert, now) && !names_missing(s, m, cert);
}

const char *due_order(const struct due_site *s, const struct meta *m, enum key_type type, int64_t now)
{
    const struct meta_cert *cert = &m->certs[due_slot(type)];
    const char *why;

    if (!cert->there)
        return does_meanwhile(s, m, &m->certs[!due_slot(type)], now) ? NULL : "there is none yet";
    if (cert->revoked_at != 0)
        return "it was revoked";
    if (is_from_elsewhere(s, cert))
        return "it is from another issuer";
    if ((why = names_missing(s, m, cert)) || (why = taken_back(s, m, now)))
        return why;
    return now >= renewal_moment(cert, now) ? renewal_why(&cert->renewal) : NULL;
}

bool due_wants(const struct due_site *s, enum meta_slot slot)
{
    const struct issuer *by;

    for (size_t i = 0; (by = candidate(s, i)); i++)
        for (size_t j = 0; j < by->key_types_n; j++)
            if (due_slot(by->key_types[j]) == slot)
                return true;
    return false;
}

bool due_is_well(const struct due_site *s, const struct meta *m, enum meta_slot slot, int64_t now)
{
    return meta_is_good(m, slot, now) && !due_order(s, m, slot == META_RSA ? KEY_RSA2048 : KEY_ECDSA, now);
}

bool due_look(const struct due_site *s, const struct meta *m, enum meta_slot slot, int64_t now)
{
    const struct meta_cert *cert = &m->certs[slot];
    const struct issuer *by;

    if (!cert->there || !cert->facts.ari_id || !cert->issuer || !renewal_may_look(cert->ari_next_look, now) ||
        cert->revoked_at != 0 || now >= cert->facts.not_after)
        return false;
    by = issuers_find(s->issuers, cert->issuer);
    return by && cert->directory && strcmp(by->directory, cert->directory) == 0;
}

bool due_orders(const struct due_site *s, const struct meta *m, int64_t now)
{
    const struct issuer *by = due_issuer(s, m, now);

    for (size_t i = 0; by && i < by->key_types_n; i++)
        if ((due_is_changed(s, m) || renewal_may_try(&m->retry, now)) &&
            due_order(s, m, by->key_types[i], now))
            return true;
    return false;
}

bool due_is_moot(const struct due_site *s, const struct meta *m, int64_t now)
{
    const struct issuer *by = due_issuer(s, m, now);

    if (!by || !m->last_error || !renewal_may_try(&m->retry, now))
        return false;
    for (size_t i = 0; i < by->key_types_n; i++)
        if (due_order(s, m, by->key_types[i], now))
            return false;
    return true;
}

bool due_anything(const struct due_site *s, const struct meta *m, int64_t now)
{
    for (int slot = 0; slot < META_SLOTS; slot++)
        if (due_look(s, m, (enum meta_slot)slot, now))
            return true;
    return due_orders(s, m, now) || due_is_moot(s, m, now) || (due_is_changed(s, m) && due_issuer(s, m, now));
}

int64_t due_next(const struct due_site *s, const struct meta *m, int64_t now, const char **why)
{
    const struct issuer *by = due_issuer(s, m, now);
    int64_t next = 0;

    *why = NULL;
    for (size_t i = 0; by && i < by->key_types_n; i++) {
        const struct meta_cert *cert = &m->certs[due_slot(by->key_types[i])];
        const char *now_because = due_order(s, m, by->key_types[i], now);
        int64_t at = now_because
                         ? now
                         : renewal_moment(cert->there ? cert : &m->certs[!due_slot(by->key_types[i])], now);

        if (now_because && !renewal_may_try(&m->retry, now))
            at = m->retry.next_try;
        if (next != 0 && at >= next)
            continue;
        next = at;
        *why = now_because ? now_because : renewal_why(&cert->renewal);
    }
    return next;
}

unsigned due_orders_a_day(const struct due_site *s)
{
    const struct issuer *by;
    size_t orders = 0;

    for (size_t i = 0; (by = candidate(s, i)); i++)
        orders += by->key_types_n * (by->staging ? 2 : 1);
    return 2 * (unsigned)orders;
}
