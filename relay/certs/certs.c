#include "relay/certs/certs.h"

#include "relay/certs/internal_ca.h"
#include "relay/certs/signer.h"
#include "relay/edge/tls.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LEAF_S = INTERNAL_LEAF_DAYS * 86400 };

struct cert {
    struct cert *next;
    char **names; /* the site's first */
    size_t names_n;
    SSL_CTX *tls;
    time_t made;
    char *last_error; /* why there is no newer one; NULL: none is due, or nothing went wrong */
    time_t failing_since;
    bool used;
};

struct certs {
    struct internal_ca *ca;
    struct cert *first;
};

struct certs *certs_open(const char *state_dir, time_t now, struct err *e)
{
    char *folder = mem_format("%s/internal", state_dir);
    struct internal_ca *ca = internal_ca_open(folder, now, e);
    struct certs *c = NULL;

    if (ca) {
        c = mem_new(sizeof *c);
        c->ca = ca;
    }
    free(folder);
    return c;
}

static void cert_free(struct cert *cert)
{
    for (size_t i = 0; i < cert->names_n; i++)
        free(cert->names[i]);
    free(cert->names);
    free(cert->last_error);
    SSL_CTX_free(cert->tls);
    free(cert);
}

static bool covers(const struct cert *cert, const char *const *names, size_t n)
{
    if (cert->names_n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(cert->names[i], names[i]) != 0)
            return false;
    return true;
}

static time_t due(const struct cert *cert)
{
    return cert->made + LEAF_S / 2;
}

/* A clock that was wrong when the leaf was made (now before made) makes a new one as well. */
static bool is_fresh(const struct cert *cert, time_t now)
{
    return now < due(cert) && now >= cert->made;
}

static bool is_expired(const struct cert *cert, time_t now)
{
    return now >= cert->made + LEAF_S;
}

static SSL_CTX *make_context(struct certs *c, const char *const *names, size_t n, time_t now, struct err *e)
{
    struct signer *key = signer_new();
    X509 *leaf = internal_ca_issue(c->ca, key, names, n, now, e);
    SSL_CTX *ctx = leaf ? tls_site_context() : NULL;

    if (ctx && (SSL_CTX_use_certificate(ctx, leaf) != 1 ||
                SSL_CTX_add1_chain_cert(ctx, internal_ca_root(c->ca)) != 1 || signer_use(key, ctx, e) != 0)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    X509_free(leaf);
    signer_free(key);
    return ctx;
}

static struct cert *new_cert(const char *const *names, size_t n, SSL_CTX *takes, time_t now)
{
    struct cert *cert = mem_new(sizeof *cert);

    cert->names = mem_new(n * sizeof(char *));
    cert->names_n = n;
    for (size_t i = 0; i < n; i++)
        cert->names[i] = mem_copy(names[i]);
    cert->tls = takes;
    cert->made = now;
    return cert;
}

/* Each attempt may fail anew; the same reason is told once. */
static void keep_old(struct cert *old, const struct err *why, time_t now)
{
    if (!old->last_error)
        old->failing_since = now;
    if (!old->last_error || strcmp(old->last_error, why->text) != 0)
        log_error("no new certificate; the old one is shown until it expires",
                  kv_str("domain", old->names[0]), kv_str("error", why->text));
    free(old->last_error);
    old->last_error = mem_copy(why->text);
}

/* -1: there is neither a new one nor an old one that is still good. */
static int renew(struct certs *c, struct cert **at, const char *const *names, size_t n, time_t now,
                 struct err *e)
{
    struct cert *old = *at;
    struct err why = { 0 };
    SSL_CTX *made = make_context(c, names, n, now, &why);

    if (!made && old && !is_expired(old, now)) {
        keep_old(old, &why, now);
        return 0;
    }
    if (!made)
        return err_set(e, why.code, "%s", why.text);
    *at = new_cert(names, n, made, now);
    if (old) {
        (*at)->next = old->next;
        cert_free(old);
    }
    return 0;
}

SSL_CTX *certs_context(struct certs *c, const char *const *names, size_t n, time_t now, struct err *e)
{
    struct cert **at = &c->first;

    while (*at && strcmp((*at)->names[0], names[0]) != 0)
        at = &(*at)->next;
    if ((!*at || !covers(*at, names, n) || !is_fresh(*at, now)) && renew(c, at, names, n, now, e) != 0)
        return NULL;
    (*at)->used = true;
    SSL_CTX_up_ref((*at)->tls);
    return (*at)->tls;
}

time_t certs_next_renewal(const struct certs *c)
{
    time_t next = 0;

    for (const struct cert *cert = c->first; cert; cert = cert->next)
        if (next == 0 || due(cert) < next)
            next = due(cert);
    return next;
}

void certs_forget_unused(struct certs *c)
{
    for (struct cert **at = &c->first; *at;) {
        struct cert *cert = *at;

        if (cert->used) {
            cert->used = false;
            at = &cert->next;
        } else {
            *at = cert->next;
            cert_free(cert);
        }
    }
}

void certs_root_pem(const struct certs *c, struct buf *out)
{
    internal_ca_root_pem(c->ca, out);
}

time_t certs_root_ends(const struct certs *c)
{
    struct tm tm = { 0 };

    return ASN1_TIME_to_tm(X509_get0_notAfter(internal_ca_root(c->ca)), &tm) == 1 ? timegm(&tm) : 0;
}

static const struct cert *find(const struct certs *c, const char *site)
{
    const struct cert *cert = c->first;

    while (cert && strcmp(cert->names[0], site) != 0)
        cert = cert->next;
    return cert;
}

bool certs_has(const struct certs *c, const char *site)
{
    return find(c, site) != NULL;
}

json_t *certs_status(const struct certs *c, const char *site)
{
    const struct cert *cert = find(c, site);
    json_t *names = json_array();

    for (size_t i = 0; cert && i < cert->names_n; i++)
        json_array_append_new(names, json_string(cert->names[i]));
    if (!cert)
        return json_pack("{s:s, s:s, s:n, s:o, s:n, s:n, s:n}", "state", "none", "issuer", "internal",
                         "not_after", "names", names, "next_attempt", "last_error", "failing_since");
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "state", cert->last_error ? "failing" : "valid",
                     "issuer", "internal", "not_after", json_time(cert->made + LEAF_S), "names", names,
                     "next_attempt", cert->last_error ? json_null() : json_time(due(cert)), "last_error",
                     cert->last_error ? json_any_text(cert->last_error) : json_null(), "failing_since",
                     cert->last_error ? json_time(cert->failing_since) : json_null());
}

void certs_free(struct certs *c)
{
    if (!c)
        return;
    certs_forget_unused(c);
    certs_forget_unused(c); /* the second time nothing is in use */
    internal_ca_free(c->ca);
    free(c);
}
