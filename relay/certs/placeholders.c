#include "relay/certs/placeholders.h"

#include "relay/certs/own_cert.h"
#include "relay/certs/signer.h"
#include "relay/edge/tls.h"
#include "shared/buf.h"
#include "shared/mem.h"

#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PLACEHOLDER_DAYS = 7, DAY_S = 86400 };

struct placeholder {
    struct placeholder *next;
    char *names; /* all of them */
    SSL_CTX *tls;
    time_t made;
    bool used;
};

struct placeholders {
    struct signer *key; /* one for all of them: nobody is to trust any of them */
    struct placeholder *first;
};

struct placeholders *placeholders_new(void)
{
    struct placeholders *p = mem_new(sizeof *p);

    p->key = signer_new();
    return p;
}

static void put_subject(X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Temporary certificate", -1,
                               -1, 0);
    X509_set_issuer_name(cert, name);
}

static X509 *make_cert(const struct signer *key, const char *const *names, size_t n, time_t now,
                       struct err *e)
{
    X509 *cert = own_cert_new(key, now, PLACEHOLDER_DAYS);

    put_subject(cert);
    if (own_cert_extend_names(cert, "", names, n, e) == 0 &&
        own_cert_extend(cert, cert, NID_basic_constraints, "critical,CA:FALSE", e) == 0 &&
        own_cert_extend(cert, cert, NID_key_usage, "critical,digitalSignature", e) == 0 &&
        own_cert_extend(cert, cert, NID_ext_key_usage, "serverAuth", e) == 0 &&
        signer_sign(key, cert, e) == 0)
        return cert;
    X509_free(cert);
    return NULL;
}

static SSL_CTX *make_context(const struct placeholders *p, const char *const *names, size_t n, time_t now,
                             struct err *e)
{
    X509 *cert = make_cert(p->key, names, n, now, e);
    SSL_CTX *ctx = cert ? tls_site_context() : NULL;

    if (ctx && (SSL_CTX_use_certificate(ctx, cert) != 1 || signer_use(p->key, ctx, e) != 0)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    X509_free(cert);
    return ctx;
}

/* A clock that was wrong when it was made makes a new one as well. */
static bool is_fresh(const struct placeholder *one, time_t now)
{
    return now >= one->made && now < one->made + PLACEHOLDER_DAYS * DAY_S / 2;
}

/* Of the same names; made when there is none. */
static struct placeholder *find(struct placeholders *p, const char *const *names, size_t n)
{
    struct buf all = { 0 };
    struct placeholder *one;

    for (size_t i = 0; i < n; i++)
        buf_printf(&all, "%s ", names[i]);
    for (one = p->first; one && strcmp(one->names, buf_text(&all)) != 0; one = one->next)
        continue;
    if (!one) {
        one = mem_new(sizeof *one);
        one->names = mem_copy(buf_text(&all));
        one->next = p->first;
        p->first = one;
    }
    buf_free(&all);
    return one;
}

SSL_CTX *placeholders_context(struct placeholders *p, const char *const *names, size_t n, time_t now,
                              struct err *e)
{
    struct placeholder *one = find(p, names, n);

    one->used = true;
    if (!one->tls || !is_fresh(one, now)) {
        SSL_CTX *made = make_context(p, names, n, now, e);

        if (!made)
            return NULL;
        SSL_CTX_free(one->tls);
        one->tls = made;
        one->made = now;
    }
    SSL_CTX_up_ref(one->tls);
    return one->tls;
}

void placeholders_forget_unused(struct placeholders *p)
{
    for (struct placeholder **at = &p->first; *at;) {
        struct placeholder *one = *at;

        if (one->used) {
            one->used = false;
            at = &one->next;
            continue;
        }
        *at = one->next;
        SSL_CTX_free(one->tls);
        free(one->names);
        free(one);
    }
}

void placeholders_free(struct placeholders *p)
{
    if (!p)
        return;
    placeholders_forget_unused(p);
    placeholders_forget_unused(p); /* the second time nothing is in use */
    signer_free(p->key);
    free(p);
}
