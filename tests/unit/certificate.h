/* tests/unit/certificate.h - certificates in memory, and a server's context that shows one.
 *
 *   struct certificate own = { 0 };
 *   certificate_make(&own, "DNS:a.test", 30, NULL);      signed by itself, valid for 30 days; issuer: another one
 *   SSL_CTX *ctx = certificate_context(&own);            the test's, to be freed
 *   certificate_free(&own); */
#ifndef TESTS_UNIT_CERTIFICATE_H
#define TESTS_UNIT_CERTIFICATE_H
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct certificate {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void certificate_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* The subject is names, too. Without an issuer it may issue others. */
static inline void certificate_make(struct certificate *c, const char *names, int days,
                                    const struct certificate *issuer)
{
    static long serial;
    X509_NAME *subject;

    c->key = EVP_EC_gen("P-256");
    c->cert = X509_new();
    X509_set_version(c->cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c->cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c->cert), -2 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(c->cert), days * 86400L);
    X509_set_pubkey(c->cert, c->key);
    subject = X509_get_subject_name(c->cert);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)names, -1, -1, 0);
    X509_set_issuer_name(c->cert, issuer ? X509_get_subject_name(issuer->cert) : subject);
    certificate_extend(c->cert, issuer ? issuer->cert : c->cert, NID_subject_alt_name, names);
    certificate_extend(c->cert, c->cert, NID_basic_constraints, issuer ? "CA:FALSE" : "CA:TRUE");
    X509_sign(c->cert, issuer ? issuer->key : c->key, EVP_sha256());
}

static inline SSL_CTX *certificate_context(const struct certificate *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(ctx, c->cert);
    SSL_CTX_use_PrivateKey(ctx, c->key);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
    return ctx;
}

static inline void certificate_write(const struct certificate *c, const char *path)
{
    FILE *file = fopen(path, "w");

    PEM_write_X509(file, c->cert);
    fclose(file);
}

static inline void certificate_free(struct certificate *c)
{
    X509_free(c->cert);
    EVP_PKEY_free(c->key);
    *c = (struct certificate){ 0 };
}
#endif
