#include "relay/certs/cert_file.h"

#include "relay/certs/signer.h"
#include "relay/edge/tls.h"
#include "shared/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { MAX_CERT_BYTES = 256 * 1024, MAX_CHAIN = 16 };

/* ---- reading ---- */

/* The next certificate; NULL at the end, and when e says why. */
static X509 *next_cert(BIO *pem, struct err *e)
{
    X509 *cert = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    unsigned long code = ERR_peek_last_error();

    if (!cert && ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
        err_set(e, ERR_INPUT, "holds a damaged certificate (%s); get it anew from its issuer",
                ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "no reason given");
    ERR_clear_error();
    return cert;
}

/* What the library says of a certificate that it does not take, such as a key that is too short. */
static int refuse_use(struct err *e)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return err_set(e, ERR_INPUT, "cannot be used for TLS (%s); get one with an ECDSA or a longer RSA key",
                   reason ? reason : "no reason given");
}

static int use_chain(SSL_CTX *ctx, BIO *pem, struct err *e)
{
    struct err why = { 0 };
    X509 *cert = next_cert(pem, &why);
    int n = 0;

    if (!cert && why.code == ERR_NONE)
        err_set(&why, ERR_INPUT,
                "holds no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----");
    for (; cert && why.code == ERR_NONE; n++) {
        if (n == MAX_CHAIN)
            err_set(&why, ERR_LIMIT, "holds more than %d certificates; give a site's own and its chain",
                    MAX_CHAIN);
        else if ((n == 0 ? SSL_CTX_use_certificate(ctx, cert) : SSL_CTX_add1_chain_cert(ctx, cert)) != 1)
            (void)refuse_use(&why);
        X509_free(cert);
        cert = why.code == ERR_NONE ? next_cert(pem, &why) : NULL;
    }
    return why.code == ERR_NONE ? 0 : err_set(e, why.code, "%s", why.text);
}

static int use_file(SSL_CTX *ctx, const char *path, struct err *e)
{
    struct buf bytes = { 0 };
    BIO *pem;
    struct err why = { 0 };
    int rc = file_read(path, MAX_CERT_BYTES, &bytes, &why);

    if (rc != 0) {
        err_set(e, why.code, "%s; is it there, and may the relay's user read it?", why.text);
    } else {
        pem = BIO_new_mem_buf(buf_bytes(&bytes), (int)bytes.len);
        rc = use_chain(ctx, pem, e);
        if (rc != 0)
            err_wrap(e, "%s", path);
        BIO_free(pem);
    }
    buf_free(&bytes);
    return rc;
}

static int use_key(SSL_CTX *ctx, const char *cert, const char *key, struct err *e)
{
    struct signer *signer = signer_load(key, e);
    int rc = -1;

    if (!signer)
        return -1;
    if (signer_matches(signer, SSL_CTX_get0_certificate(ctx), NULL) != 0)
        err_set(e, ERR_INPUT,
                "the key in %s does not belong to the certificate in %s; give the two of one order", key,
                cert);
    else
        rc = signer_use(signer, ctx, e);
    signer_free(signer);
    return rc;
}

SSL_CTX *cert_file_load(const char *cert, const char *key, struct err *e)
{
    SSL_CTX *ctx = tls_site_context();

    if (use_file(ctx, cert, e) == 0 && use_key(ctx, cert, key, e) == 0)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

int cert_file_check(const char *cert, const char *key, struct err *e)
{
    SSL_CTX *ctx = cert_file_load(cert, key, e);

    SSL_CTX_free(ctx);
    return ctx ? 0 : -1;
}

/* ---- what it says ---- */

static time_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm = { 0 };

    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

time_t cert_file_ends(SSL_CTX *ctx)
{
    return seconds_of(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)));
}

/* Nobody renews it here, and whoever does so elsewhere begins long before: at a third of its life that is left, mostly. */
time_t cert_file_late(SSL_CTX *ctx)
{
    enum { LATE_S = 7 * 24 * 3600, PART = 5 };
    time_t ends = cert_file_ends(ctx);
    time_t part = (ends - seconds_of(X509_get0_notBefore(SSL_CTX_get0_certificate(ctx)))) / PART;

    return ends - (part < LATE_S ? part : LATE_S);
}

static void add_times(const X509 *cert, time_t now, struct buf *text)
{
    char date[32];
    time_t from = seconds_of(X509_get0_notBefore(cert)), to = seconds_of(X509_get0_notAfter(cert));
    time_t told = now > to ? to : from;
    struct tm tm;

    if (now >= from && now <= to)
        return;
    if (text->len > 0)
        buf_add_text(text, "; besides, ");
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&told, &tm));
    if (now > to)
        buf_printf(text, "it expired at %s; put a renewed one in its place", date);
    else
        buf_printf(text, "it is not valid before %s; is this machine's clock right?", date);
}

void cert_file_doubts(SSL_CTX *ctx, const char *const *names, size_t n, time_t now, struct buf *text)
{
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    bool left_out = false;

    for (size_t i = 0; i < n; i++) {
        if (X509_check_host(cert, names[i], 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1)
            continue;
        buf_printf(text, left_out ? " %s" : "it does not cover %s", names[i]);
        left_out = true;
    }
    if (left_out)
        buf_add_text(text, "; get one for all names of the site");
    add_times(cert, now, text);
}
